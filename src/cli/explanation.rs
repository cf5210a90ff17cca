//! An explanation for people: who the principal was, what determined the decision, which policies
//! almost applied, each with its source lines, and what to do.

use anstream::println;

use super::render::{self, Texts, plain};
use crate::cedar::explain::{Explanation, FailedPart, Hint, NearMiss, Part, Seen};
use crate::model::{Evaluation, Reason};

/// Prints it, on standard output.
pub(super) fn print(evaluation: &Evaluation, explanation: &Explanation, texts: &Texts) {
    let principal = &explanation.principal;
    println!("principal {} ({} token)", plain(&principal.uid), principal.token_use.as_str());
    for group in &principal.groups {
        println!(
            "  in {} ({})",
            plain(&group.uid),
            plain(serde_json::to_string(&group.from).unwrap_or_default().trim_matches('"'))
        );
    }
    for (name, value) in &principal.attributes {
        println!("  {} = {}", plain(name), plain(&serde_json::to_string(value).unwrap_or_default()));
    }
    for policy in &explanation.policies {
        let (id, path) = (plain(&policy.id), plain(&policy.path));
        println!("{} {id} at {path}:{}:{}", policy.effect, policy.line, policy.column);
    }
    for error in &explanation.errors {
        println!("error in {}: {}", plain(&error.policy), plain(&error.message));
    }
    for miss in telling(evaluation, &explanation.near_misses) {
        print_near_miss(miss, texts);
    }
    if explanation.unexamined > 0 {
        println!("{} policies were not looked into", explanation.unexamined);
    }
    print_hints(&explanation.hints);
}

/// Prints what to do, a sentence a line.
pub(super) fn print_hints(hints: &[Hint]) {
    for hint in hints {
        println!("hint: {}", plain(&hint.message));
    }
}

/// The near misses that somebody who wonders wants to see: those that could have turned the
/// decision, and those for other actions only where there is nothing nearer.
fn telling<'a>(evaluation: &Evaluation, near_misses: &'a [NearMiss]) -> Vec<&'a NearMiss> {
    let turning: Vec<_> = near_misses.iter().filter(|miss| could_have_turned(evaluation, miss)).collect();
    let is_of_this_action = |miss: &&NearMiss| miss.failed.iter().all(|part| part.part != Part::Action);
    let nearer: Vec<_> = turning.iter().copied().filter(is_of_this_action).collect();
    if nearer.is_empty() { turning } else { nearer }
}

/// Whether the decision would be another one if this policy had applied.
fn could_have_turned(evaluation: &Evaluation, miss: &NearMiss) -> bool {
    match evaluation.reason {
        Reason::NoPermit | Reason::EvaluationError => miss.policy.effect == "permit",
        Reason::Permitted => miss.policy.effect == "forbid",
        Reason::Forbidden | Reason::NotEvaluated => false,
    }
}

fn print_near_miss(miss: &NearMiss, texts: &Texts) {
    let Some(first) = miss.failed.first() else { return };
    let NearMiss { policy, failed } = miss;
    let why: Vec<_> = failed.iter().map(reason).collect();
    let message = format!("{} {} did not apply: {}", policy.effect, policy.id, why.join(", and "));
    let labels: Vec<_> = miss.failed.iter().map(|part| (part.place, label(part))).collect();
    if let Some(remark) = render::remark(&message, &first.path, &labels, texts) {
        println!("{remark}");
        return;
    }
    println!("{}", plain(&message));
    for (part, (place, label)) in miss.failed.iter().zip(&labels) {
        println!("  {}:{}:{}: {label}", plain(&part.path), place.line, place.column);
    }
}

/// Why the part failed, in short.
const fn reason(part: &FailedPart) -> &'static str {
    match part.part {
        Part::Principal => "it is for another principal",
        Part::Action => "it is for another action",
        Part::Resource => "it is for another resource",
        Part::When | Part::Unless if part.error.is_some() => "a condition could not be evaluated",
        Part::When => "a condition does not hold",
        Part::Unless => "an exception holds",
    }
}

/// What it saw, in the words that stand under its line.
fn label(part: &FailedPart) -> String {
    if let Some(error) = &part.error {
        return plain(error).into_owned();
    }
    let seen: Vec<_> = part.seen.iter().map(|seen| saw(part, seen)).collect();
    match (part.part, seen.as_slice()) {
        (Part::Unless, []) => "it holds".to_owned(),
        (_, []) => "it does not hold".to_owned(),
        (_, seen) => plain(&seen.join(", ")).into_owned(),
    }
}

fn saw(part: &FailedPart, seen: &Seen) -> String {
    let Some(value) = &seen.value else { return format!("there is no `{}`", seen.expression) };
    let is = match part.part {
        Part::Principal | Part::Action | Part::Resource => format!("it is {value}"),
        Part::When | Part::Unless => format!("`{}` is {value}", seen.expression),
    };
    match seen.ancestors.as_deref() {
        None => is,
        Some([]) => format!("{is}, in nothing"),
        Some(ancestors) => format!("{is}, in {}", ancestors.join(", ")),
    }
}
