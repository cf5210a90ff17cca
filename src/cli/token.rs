//! `palisade token`: reads a token on standard input and says, rule by rule, whether it would be accepted.

use std::io::Read as _;

use anstream::println;
use serde_json::json;

use super::{Exit, Format, Shell, render, serve};
use crate::clock::Clock;
use crate::config::Configuration;
use crate::identity::{RuleOutcome, Verifier};
use crate::model::Token;
use crate::telemetry::Metrics;

pub(super) fn run(shell: &Shell) -> Exit {
    let configuration = match shell.configuration() {
        Ok(configuration) => configuration,
        Err(exit) => return exit,
    };
    match judge(&configuration) {
        Ok(outcomes) => {
            match shell.format {
                Format::Json => render::json(&outcomes.iter().map(as_json).collect::<Vec<_>>()),
                Format::Text => outcomes.iter().for_each(|outcome| show(outcome, &configuration)),
            }
            if outcomes.iter().all(|outcome| outcome.passed == Some(true)) {
                Exit::Good
            } else {
                Exit::Problems
            }
        }
        Err(why) => serve::failed(&why, None),
    }
}

fn judge(configuration: &Configuration) -> Result<Vec<RuleOutcome>, String> {
    configuration.check_for_serving().map_err(|finding| finding.to_string())?;
    let mut text = String::new();
    let most = u64::try_from(configuration.config.limits.token).unwrap_or(u64::MAX).saturating_mul(2);
    std::io::stdin()
        .lock()
        .take(most)
        .read_to_string(&mut text)
        .map_err(|error| format!("standard input cannot be read: {error}"))?;
    if text.trim().is_empty() {
        return Err("no token came on standard input: write `palisade token < token.txt`".to_owned());
    }
    let token = pasted(&text);
    let config = &configuration.config;
    let verifier = Verifier::new(&config.issuers, &config.limits, Clock::machine(), &Metrics::new())
        .map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    Ok(runtime.block_on(verifier.inspect(&token)))
}

/// A token as people paste it: with white space around it, or out of an `Authorization` header.
pub(super) fn pasted(text: &str) -> Token {
    let text = text.trim();
    match text.split_once(char::is_whitespace) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Token::new(token.trim()),
        _ => Token::new(text),
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
