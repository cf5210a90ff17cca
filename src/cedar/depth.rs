//! The deepest policies that the limits let pass, evaluated once on the stack that evaluates.
//!
//! Cedar skips a condition that is too deep for the stack, and a `forbid` that is skipped is a hole.
//! What bounds the depth are constants, and `[limits]` of the configuration adds nothing to it:
//! once in a process speaks for every snapshot.

use std::collections::{HashMap, HashSet};
use std::str::FromStr as _;
use std::sync::{Arc, OnceLock};
use std::thread;

use cedar_policy::{
    Authorizer, Context, Entities, Entity, EntityUid, PolicySet, Request, RestrictedExpression,
};

use super::clauses::Clauses;
use super::limits::{CONDITIONALS, EVALUATION_STACK, NESTING, OPERATORS};
use super::statements;
use crate::model::Finding;

/// What may be on the stack already where a question is evaluated: the runtime, the connection, the
/// route, and the assembling of the request.
const CALLERS: usize = 1024 * 1024;

/// Why no snapshot of this program may serve: the limits are higher than the stack is. Runs on the
/// stack that compiles.
pub(super) fn beyond_the_stack() -> Option<Finding> {
    static FOUND: OnceLock<Option<String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| evaluated_on(EVALUATION_STACK - CALLERS).err());
    found.as_ref().map(|why| {
        let message = format!("the deepest policies that pass the limits cannot be evaluated: {why}");
        Finding::error(&Arc::from("palisade"), "internal", message)
    })
}

fn evaluated_on(stack: usize) -> Result<(), String> {
    // One after the other: parsing all at once would leave the process with megabytes it has no use for.
    deepest(OPERATORS).iter().try_for_each(|policy| one_evaluated_on(stack, policy))
}

fn one_evaluated_on(stack: usize, policy: &str) -> Result<(), String> {
    let policies = PolicySet::from_str(policy).map_err(|error| error.to_string())?;
    let statements = statements::policies(policy);
    let clauses = statements.first().and_then(|statement| Clauses::of(policy, statement).transpose());
    let clauses = clauses.ok_or("the policy has no conditions")??;
    thread::scope(|scope| {
        let builder = thread::Builder::new().name("depth".to_owned()).stack_size(stack);
        let evaluating = builder
            .spawn_scoped(scope, || evaluate(&clauses, &policies))
            .map_err(|error| format!("no thread to evaluate on: {error}"))?;
        evaluating.join().unwrap_or_else(|_| Err("the evaluation stopped in the middle".to_owned()))
    })
}

/// The conditions as decisions evaluate them, and the whole policy as `verify_index` does.
fn evaluate(clauses: &Clauses, policies: &PolicySet) -> Result<(), String> {
    let uid = EntityUid::from_str("Deep::\"deep\"").map_err(|error| error.to_string())?;
    let itself = RestrictedExpression::new_entity_uid(uid.clone());
    let entity = Entity::new(uid.clone(), HashMap::from([("a".to_owned(), itself)]), HashSet::new())
        .map_err(|error| error.to_string())?;
    let entities = Entities::from_entities([entity], None).map_err(|error| error.to_string())?;
    let request = Request::new(uid.clone(), uid.clone(), uid, Context::empty(), None)
        .map_err(|error| error.to_string())?;
    clauses.hold(&request, &entities).map_err(|error| error.to_string())?;
    let response = Authorizer::new().is_authorized(&request, policies, &entities);
    response.diagnostics().errors().next().map_or(Ok(()), |error| Err(error.to_string()))
}

/// One policy for each kind of level that an expression can have, as deep as that many operators
/// make it. Sets, records and `if` add theirs.
fn deepest(operators: usize) -> [String; 4] {
    // `forbid(`, `when` and the comparison count as three, and the braces of `when` as a bracket.
    let (operators, brackets) = (operators.saturating_sub(3), NESTING.saturating_sub(1));
    let ifs = CONDITIONALS.min(operators);
    let around = |expression: &str| {
        let (sets, records) = (brackets.div_ceil(2), brackets / 2);
        let (open, close) = ("[{a:".repeat(records), "}]".repeat(records));
        let (open_one, close_one) = if sets > records { ("[", "]") } else { ("", "") };
        format!(
            "forbid(principal,action,resource)when{{{open_one}{open}{expression}{close}{close_one}==[]}};"
        )
    };
    [
        around(&format!("true{}", "&&true".repeat(operators))),
        around(&format!("0{}", "+0".repeat(operators))),
        around(&format!("principal{}", ".a".repeat(operators))),
        around(&format!(
            "{}true{}{}",
            "if ".repeat(ifs),
            "&&true".repeat(operators - ifs),
            " then true else true".repeat(ifs)
        )),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::{Source, limits};
    use super::*;
    use crate::model::Limits;

    fn found(policy: &str) -> Vec<&'static str> {
        let source = Source { path: "p".into(), name: "p".into(), text: policy.into() };
        limits::policy_text(&source, &Limits::default()).iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn what_is_evaluated_is_the_deepest_that_passes() {
        for policy in deepest(OPERATORS) {
            assert_eq!(found(&policy), [""; 0], "{policy}");
            let deeper = policy.replacen("when{", "when{[", 1).replacen("==[]", "]==[]", 1);
            assert_eq!(found(&deeper), ["too-deep"], "{deeper}");
        }
        for policy in deepest(OPERATORS + 1) {
            assert_eq!(found(&policy), ["too-many-operators"], "{policy}");
        }
        let [.., conditionals] = deepest(OPERATORS);
        assert_eq!(conditionals.matches("if ").count(), CONDITIONALS);
    }

    #[test]
    fn the_stack_that_evaluates_carries_it_and_a_small_one_is_found_out() {
        super::super::workers::on_a_big_stack(|| {
            assert_eq!(evaluated_on(EVALUATION_STACK - CALLERS), Ok(()));
            assert_eq!(beyond_the_stack(), None);
            let small = evaluated_on(EVALUATION_STACK / 64).unwrap_err();
            assert!(small.contains("recursion limit"), "{small}");
            Ok(())
        })
        .unwrap();
    }
}
