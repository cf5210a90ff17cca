//! The conditions of a policy as one expression, for requests that its scope admits, and what of a
//! request they look into.
//!
//! A policy is `principal-scope && (action-scope && (resource-scope && conditions))`, so behind a scope
//! that admits a request the conditions alone decide, and fail in the same words.

use std::fmt::Write as _;
use std::str::FromStr as _;

use cedar_policy::{Entities, EvalResult, EvaluationError, Expression, Request, eval_expression};

use super::lexer::{Token, tokens_in};
use super::statements::{ClauseKind, ClauseText, PolicyText};

/// The `when` and `unless` clauses of a policy that has any.
#[derive(Debug)]
pub(super) struct Clauses {
    expression: Expression,
    pub(super) looks_into: Looks,
}

/// What conditions look into: whose attributes, tags and ancestors they may ask for. What is only
/// compared is not looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Looks {
    pub(super) principal: bool,
    pub(super) action: bool,
    pub(super) resource: bool,
    /// Any part of it at all.
    pub(super) context: bool,
}

impl Clauses {
    /// The clauses of one policy of a text that Cedar has parsed; none where it has none. To be called on
    /// the compile stack.
    ///
    /// # Errors
    /// The engine's words; never for such a text.
    pub(super) fn of(text: &str, policy: &PolicyText) -> Result<Option<Self>, String> {
        if policy.clauses.is_empty() {
            return Ok(None);
        }
        let expression = Expression::from_str(&joined(text, policy)).map_err(|error| error.to_string())?;
        let mut looks_into = Looks::default();
        for clause in &policy.clauses {
            looks_into.note(text, clause);
        }
        Ok(Some(Self { expression, looks_into }))
    }

    /// Whether a request meets them.
    ///
    /// # Errors
    /// They cannot be evaluated.
    pub(super) fn hold(&self, request: &Request, entities: &Entities) -> Result<bool, EvaluationError> {
        let result = eval_expression(request, entities, &self.expression)?;
        // A conjunction is a boolean or fails.
        Ok(matches!(result, EvalResult::Bool(true)))
    }
}

impl Looks {
    /// Both together.
    pub(super) const fn and(self, other: Self) -> Self {
        Self {
            principal: self.principal || other.principal,
            action: self.action || other.action,
            resource: self.resource || other.resource,
            context: self.context || other.context,
        }
    }

    fn note(&mut self, text: &str, clause: &ClauseText) {
        let tokens: Vec<_> = tokens_in(text, clause.body.clone()).collect();
        for (position, token) in tokens.iter().enumerate() {
            let looked_into = || {
                let before = position.checked_sub(1).and_then(|before| tokens.get(before));
                !is_only_compared(before, tokens.get(position + 1))
            };
            match token.text {
                "principal" => self.principal |= looked_into(),
                "resource" => self.resource |= looked_into(),
                "action" => self.action |= looked_into(),
                // Of all entities that are named, the request's own action alone may be looked into at
                // any level.
                "Action" => self.action = true,
                "context" => self.context = true,
                _ => {}
            }
        }
    }
}

/// Whether what stands between these two is by itself an operand of `==` or `!=`, which binds less than
/// everything that looks into an entity.
fn is_only_compared(before: Option<&Token<'_>>, after: Option<&Token<'_>>) -> bool {
    const LOOKING: [&str; 6] = [".", "[", "has", "in", "is", "like"];
    let compares = |token: &Token<'_>| token.is("==") || token.is("!=");
    let looks = |token: &Token<'_>| LOOKING.contains(&token.text);
    after.is_some_and(compares) || before.is_some_and(compares) && !after.is_some_and(looks)
}

/// The clauses as Cedar joins them. The `true` has a single one judged as an operand too: what is no
/// boolean fails.
fn joined(text: &str, policy: &PolicyText) -> String {
    let mut joined = "true".to_owned();
    for clause in &policy.clauses {
        let not = if clause.kind == ClauseKind::Unless { "!" } else { "" };
        let body = text.get(clause.body.clone()).unwrap_or_default();
        // A body may end with a comment.
        let _infallible = write!(joined, "&&{not}({body}\n)");
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::super::statements::policies;
    use super::*;

    fn clauses(text: &str) -> Option<Clauses> {
        Clauses::of(text, &policies(text)[0]).unwrap()
    }

    fn looks_into(conditions: &str) -> Vec<&'static str> {
        let Looks { principal, action, resource, context } =
            clauses(&format!("permit (principal, action, resource) {conditions};")).unwrap().looks_into;
        let all =
            [(principal, "principal"), (action, "action"), (resource, "resource"), (context, "context")];
        all.into_iter().filter_map(|(looks, name)| looks.then_some(name)).collect()
    }

    #[test]
    fn a_policy_without_conditions_has_no_clauses() {
        assert!(clauses("permit (principal, action, resource);").is_none());
    }

    #[test]
    fn clauses_are_joined_in_their_order_whatever_stands_in_them() {
        let text = "permit (principal, action, resource) when { 1 < 2 // all\n } unless { false || 2 < 1 };";
        assert_eq!(joined(text, &policies(text)[0]), "true&&( 1 < 2 // all\n \n)&&!( false || 2 < 1 \n)");
        assert!(clauses(text).is_some());
    }

    #[test]
    fn what_is_only_compared_is_not_looked_into() {
        assert_eq!(looks_into("when { resource.owner == principal }"), ["resource"]);
        assert_eq!(looks_into("when { principal == resource.owner && true }"), ["resource"]);
        assert_eq!(looks_into("when { resource == principal || principal != resource }"), [""; 0]);
        assert_eq!(looks_into("unless { context.caller == principal }"), ["context"]);
    }

    #[test]
    fn whatever_else_is_done_with_it_may_look_into_it() {
        for condition in [
            "resource.owner == principal.manager",
            "principal in resource.owners",
            "resource.owner == (if true then principal else principal).manager",
            "{a: principal}.a.manager == resource.owner",
            "principal has manager && resource.size == 1",
            "[principal].contains(resource.owner)",
            "resource.owner == principal[\"manager\"]",
            "principal is User && resource.size == 1",
        ] {
            let seen = looks_into(&format!("when {{ {condition} }}"));
            assert_eq!(seen, ["principal", "resource"], "{condition}");
        }
        assert_eq!(looks_into("when { action in Action::\"all\" }"), ["action"]);
        assert_eq!(looks_into("when { Action::\"view\" in Action::\"all\" }"), ["action"]);
    }
}
