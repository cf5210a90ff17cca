//! `palisade token`: reads a token on standard input and says, rule by rule, whether it would be accepted.

use std::io::Read as _;

use anstream::println;
use serde_json::json;

use super::{Exit, Format, Shell, render, serve};
use crate::clock::Clock;
use crate::config::Configuration;
use crate::identity::mistake::Words;
use crate::identity::{Mistake, Pasted, RuleOutcome, Verifier};
use crate::telemetry::Metrics;

/// The longest text that is looked for a token: an event of API Gateway holds a request of up to 10 MB.
const LONGEST_TEXT: u64 = 16 << 20;

/// What there is to say about a text.
struct Judged {
    mistakes: Vec<Mistake>,
    /// Empty where there is no token to judge.
    rules: Vec<RuleOutcome>,
}

pub(super) fn run(shell: &Shell) -> Exit {
    let configuration = match shell.configuration() {
        Ok(configuration) => configuration,
        Err(exit) => return exit,
    };
    match judge(&configuration) {
        Ok(judged) => {
            match shell.format {
                Format::Json => render::json(&judged.as_json()),
                Format::Text => judged.show(&configuration),
            }
            if judged.is_good() { Exit::Good } else { Exit::Problems }
        }
        Err(why) => serve::failed(&why, None),
    }
}

fn judge(configuration: &Configuration) -> Result<Judged, String> {
    configuration.check_for_serving().map_err(|finding| finding.to_string())?;
    let mut text = String::new();
    std::io::stdin()
        .lock()
        .take(LONGEST_TEXT)
        .read_to_string(&mut text)
        .map_err(|error| format!("standard input cannot be read: {error}"))?;
    if text.trim().is_empty() {
        return Err("no token came on standard input: write `palisade token < token.txt`".to_owned());
    }
    let Pasted { token, mut mistakes } = Pasted::read(&text);
    let Some(token) = token else { return Ok(Judged { mistakes, rules: Vec::new() }) };
    let config = &configuration.config;
    mistakes.extend(Mistake::of_token(&token, &config.issuers, config.limits.token));
    let verifier = Verifier::new(&config.issuers, &config.limits, Clock::machine(), &Metrics::new())
        .map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    Ok(Judged { mistakes, rules: runtime.block_on(verifier.inspect(&token)) })
}

impl Judged {
    /// Whether a token came, as it has to be sent, and is accepted.
    fn is_good(&self) -> bool {
        let kept = |outcome: &RuleOutcome| outcome.passed == Some(true);
        self.mistakes.is_empty() && !self.rules.is_empty() && self.rules.iter().all(kept)
    }

    fn show(&self, configuration: &Configuration) {
        for Words { message, help, .. } in self.mistakes.iter().map(Mistake::words) {
            println!("{}\n    {}", render::plain(&message), render::plain(&help));
        }
        if !self.mistakes.is_empty() && !self.rules.is_empty() {
            println!();
        }
        self.rules.iter().for_each(|outcome| show(outcome, configuration));
    }

    fn as_json(&self) -> serde_json::Value {
        let mistake = |Words { code, message, help }| json!({"code": code, "message": message, "help": help});
        json!({
            "mistakes": self.mistakes.iter().map(Mistake::words).map(mistake).collect::<Vec<_>>(),
            "rules": self.rules.iter().map(as_json).collect::<Vec<_>>(),
        })
    }
}

fn show(outcome: &RuleOutcome, configuration: &Configuration) {
    let mark = match outcome.passed {
        Some(true) => "✓",
        Some(false) => "✗",
        None => "·",
    };
    let detail = if outcome.detail.is_empty() {
        String::new()
    } else {
        format!(": {}", render::plain(&outcome.detail))
    };
    println!("{mark} {}{detail}", outcome.rule.title());
    if let Some(setting) = &outcome.setting {
        let fault = configuration.fault(setting, "");
        let line = fault
            .place
            .map_or_else(String::new, |place| format!(" ({}:{})", render::plain(&fault.path), place.line));
        println!("    `{}` would have to change{line}", render::plain(setting));
    }
}

fn as_json(outcome: &RuleOutcome) -> serde_json::Value {
    json!({"rule": outcome.rule.title(), "passed": outcome.passed, "detail": outcome.detail, "setting": outcome.setting})
}
