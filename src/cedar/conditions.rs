//! The conditions of a policy, one by one: where each stands, and whether a request meets it.
//!
//! A `when` wants all operands of its outermost `&&`, an `unless` none of its outermost `||`, and
//! Cedar judges them from left to right. So each can be judged by itself, and what stands behind the
//! first that is not met is not reached.

use std::ops::Range;
use std::str::FromStr;

use cedar_policy::{EvalResult, Expression, eval_expression};

use super::lexer::tokens_in;
use super::scene::Scene;
use super::statements::{ClauseKind, ClauseText, PolicyText};

/// One operand, or the whole body where it cannot be taken apart.
#[derive(Debug)]
pub(super) struct Condition {
    /// Whether it must hold, or must not.
    pub(super) clause: ClauseKind,
    /// From its first token to its last, in the text of its file.
    pub(super) span: Range<usize>,
    expression: Result<Expression, String>,
}

/// The conditions of one policy of a text that has been compiled, in the order of their evaluation.
/// Parses each: to be called on the compile stack.
pub(super) fn conditions(text: &str, policy: &PolicyText) -> Vec<Condition> {
    let of_clause = |clause: &ClauseText| {
        let kind = clause.kind;
        operands(text, clause).into_iter().map(move |span| (kind, span))
    };
    let located = policy.clauses.iter().flat_map(of_clause);
    located
        .map(|(clause, span)| Condition {
            clause,
            expression: Expression::from_str(text.get(span.clone()).unwrap_or_default())
                .map_err(|error| error.to_string()),
            span,
        })
        .collect()
}

impl Condition {
    /// Whether a request meets it: `true` where it does not stand in the policy's way.
    ///
    /// # Errors
    /// It cannot be evaluated, in the engine's words.
    pub(super) fn is_met(&self, scene: &Scene) -> Result<bool, String> {
        let expression = self.expression.as_ref().map_err(Clone::clone)?;
        match eval_expression(&scene.request, &scene.entities, expression) {
            Ok(EvalResult::Bool(holds)) => Ok(holds == (self.clause == ClauseKind::When)),
            Ok(_) => Err("type error: expected a boolean".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Where the operands of a body stand. A body that begins with `if` is one expression, and so is
/// the disjunction in a `when`: `||` binds less than `&&`.
pub(super) fn operands(text: &str, clause: &ClauseText) -> Vec<Range<usize>> {
    let separator = match clause.kind {
        ClauseKind::When => "&&",
        ClauseKind::Unless => "||",
    };
    let mut operands = Vec::new();
    let (mut operand, mut whole): (Option<Range<usize>>, Option<Range<usize>>) = (None, None);
    let (mut depth, mut is_one) = (0_usize, false);
    for token in tokens_in(text, clause.body.clone()) {
        let outermost = depth == 0;
        is_one |= whole.is_none() && token.is_word("if");
        is_one |= outermost && clause.kind == ClauseKind::When && token.is("||");
        let whole = whole.get_or_insert(token.span());
        whole.end = token.span().end;
        if token.opens() {
            depth += 1;
        } else if token.closes() {
            depth = depth.saturating_sub(1);
        }
        if outermost && token.is(separator) {
            operands.extend(operand.take());
        } else {
            operand.get_or_insert(token.span()).end = token.span().end;
        }
    }
    operands.extend(operand);
    if is_one { whole.into_iter().collect() } else { operands }
}

#[cfg(test)]
mod tests;
