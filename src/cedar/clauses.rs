//! The conditions of a policy as one expression, for requests that its scope admits, and what of a
//! request they look into.
//!
//! A policy is `principal-scope && (action-scope && (resource-scope && conditions))`, so behind a scope
//! that admits a request the conditions alone decide, and fail in the same words.

use std::fmt::Write as _;
use std::str::FromStr as _;

use cedar_policy::{Entities, EvalResult, EvaluationError, Expression, Request, eval_expression};

use super::lexer::{Kind, Token, tokens_in};
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
#[expect(clippy::struct_excessive_bools, reason = "conditions look into each of them or do not")]
pub(super) struct Looks {
    pub(super) principal: bool,
    pub(super) resource: bool,
    /// By variable or by name: of all entities that policies name, level validation lets the request's
    /// own action alone be looked into.
    pub(super) action: bool,
    /// Any part of it at all.
    pub(super) context: bool,
    /// What any entity stands in.
    pub(super) ancestors: bool,
}

/// Everything there is.
pub(super) const EVERYTHING: Looks =
    Looks { principal: true, resource: true, action: true, context: true, ancestors: true };

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
            resource: self.resource || other.resource,
            action: self.action || other.action,
            context: self.context || other.context,
            ancestors: self.ancestors || other.ancestors,
        }
    }

    fn note(&mut self, text: &str, clause: &ClauseText) {
        let tokens: Vec<_> = tokens_in(text, clause.body.clone()).collect();
        for (position, token) in tokens.iter().enumerate() {
            let (before, after) = tokens.split_at(position);
            let after = after.get(1..).unwrap_or_default();
            match token.text {
                "principal" => self.principal |= !is_only_compared(before.last(), after.first()),
                "resource" => self.resource |= !is_only_compared(before.last(), after.first()),
                "action" => self.action |= !is_only_compared(before.last(), after.first()),
                "Action" => self.action |= !names_what_is_compared(before, after),
                "context" => self.context = true,
                "in" => self.ancestors = true,
                _ => {}
            }
        }
    }
}

/// Whether this looks into the entity that stands before it.
pub(super) fn looks(token: &Token<'_>) -> bool {
    [".", "[", "has", "in", "is"].contains(&token.text)
}

/// Whether what stands between these two is by itself an operand of `==` or `!=`, which binds less than
/// everything that looks into an entity.
fn is_only_compared(before: Option<&Token<'_>>, after: Option<&Token<'_>>) -> bool {
    let compares = |token: &Token<'_>| token.is("==") || token.is("!=");
    after.is_some_and(compares) || before.is_some_and(compares) && !after.is_some_and(looks)
}

/// The same for the name of an entity around this last word of its type; elements of sets and what
/// stands on the right of `in` are not looked into either.
fn names_what_is_compared(before: &[Token<'_>], after: &[Token<'_>]) -> bool {
    let mut before = before;
    while let [outside @ .., namespace, separator] = before
        && namespace.kind == Kind::Word
        && separator.is("::")
    {
        before = outside;
    }
    let before = before.last();
    let after = after.iter().find(|token| !token.is("::") && token.kind != Kind::String);
    let holds = |token: &Token<'_>| ["in", "[", ","].contains(&token.text);
    let looked_into = after.is_some_and(looks);
    is_only_compared(before, after) || before.is_some_and(holds) && !looked_into
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
        let conditions = format!("permit (principal, action, resource) {conditions};");
        let Looks { principal, resource, action, context, ancestors: _ } =
            clauses(&conditions).unwrap().looks_into;
        let all =
            [(principal, "principal"), (resource, "resource"), (action, "action"), (context, "context")];
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
    }
    #[test]
    fn only_in_asks_for_ancestors() {
        let asks = |condition: &str| {
            let text = format!("permit (principal, action, resource) when {{ {condition} }};");
            clauses(&text).unwrap().looks_into.ancestors
        };
        assert!(asks("resource in context.folder") && asks("principal is User in Group::\"g\""));
        assert!(!asks("resource.owner == principal && \"in\" == context.text"));
    }

    #[test]
    fn an_action_that_is_named_may_be_looked_into() {
        for inert in [
            "action == Action::\"view\" || Shop::Action::\"view\" != action",
            "context.act in [Action::\"view\", Shop::Action::\"edit\"]",
        ] {
            assert!(!looks_into(&format!("when {{ {inert} }}")).contains(&"action"), "{inert}");
        }
        for looked_into in [
            "Shop::Action::\"view\" in Action::\"all\"",
            "(if true then Action::\"view\" else Action::\"edit\") in Action::\"all\"",
            "{a: Action::\"view\"}.a in Action::\"all\"",
        ] {
            assert_eq!(looks_into(&format!("when {{ {looked_into} }}")), ["action"], "{looked_into}");
        }
    }
}
