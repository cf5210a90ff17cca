//! What in a condition has a value of its own: `resource.status`, `context has ip`, `principal`.
//! Somebody who asks why a condition did not hold wants to see these.

use std::ops::Range;
use std::str::FromStr;

use cedar_policy::{EntityUid, EvalResult, Expression, eval_expression};

use super::lexer::{Kind, Token, tokens_in};
use super::scene::Scene;

/// More of them in one condition are not shown: nobody would read them.
const READINGS: usize = 8;

/// A path that goes on further is not followed: nobody writes one.
const STEPS: usize = 8;

/// The variables of Cedar.
const VARIABLES: [&str; 4] = ["principal", "action", "resource", "context"];

/// A path from a variable through attributes, a test for an attribute, or an entity by itself.
#[derive(Debug)]
pub(super) struct Reading {
    /// In the text of the file.
    pub(super) span: Range<usize>,
    /// The variable, and longer and longer beginnings of the path.
    steps: Vec<Step>,
    /// What a `has` at the end of the path asks for.
    tested: Option<Step>,
    /// Whether the condition asks what the entity stands in.
    pub(super) asks_ancestors: bool,
}

/// A part of a path that can be evaluated.
#[derive(Debug)]
struct Step {
    /// Where in the file its text ends.
    end: usize,
    /// The name of the attribute or tag that it adds.
    name: Range<usize>,
    expression: Expression,
}

/// What a reading comes to in a request.
#[derive(Debug)]
pub(super) enum Sight {
    /// Its value.
    Value(EvalResult),
    /// Something that the request does not have: the text of what should have it, and the name.
    Absent {
        /// Up to where the path could be followed.
        holder: Range<usize>,
        /// What is not there.
        name: Range<usize>,
        /// Whether the condition tests for it, and does not read it at once.
        is_tested: bool,
    },
}

impl Reading {
    /// The readings in a part of a text. Each is a few steps long: any stack carries its parser.
    pub(super) fn all(text: &str, span: Range<usize>) -> Vec<Self> {
        let tokens: Vec<_> = tokens_in(text, span).collect();
        let mut readings: Vec<Self> = Vec::new();
        let mut before = None;
        let mut rest = tokens.as_slice();
        while let [token, behind @ ..] = rest {
            rest = behind;
            if is_variable(token, before, behind) && readings.len() < READINGS {
                let (reading, behind) = Self::from(text, token, behind);
                let written = |reading: &Self| text.get(reading.span.clone());
                if let Some(reading) = reading
                    && readings.iter().all(|known| written(known) != written(&reading))
                {
                    readings.push(reading);
                }
                rest = behind;
            }
            before = tokens.len().checked_sub(rest.len() + 1).and_then(|at| tokens.get(at));
        }
        readings
    }

    /// The reading that a variable begins, and what stands behind it. The context by itself is
    /// none: all of it would be too much.
    fn from<'t, 'text>(
        text: &str,
        variable: &Token<'_>,
        mut rest: &'t [Token<'text>],
    ) -> (Option<Self>, &'t [Token<'text>]) {
        let step = |end: usize, name: Range<usize>| {
            let expression = Expression::from_str(text.get(variable.start..end)?).ok()?;
            Some(Step { end, name, expression })
        };
        let mut steps: Vec<_> = step(variable.span().end, variable.span()).into_iter().collect();
        while let Some((name, behind)) = next_name(rest).filter(|_| steps.len() <= STEPS) {
            let Some(step) = step(end_of(rest, behind), name) else { break };
            steps.push(step);
            rest = behind;
        }
        let mut tested = None;
        if let Some((name, behind)) = tested_name(rest) {
            tested = step(end_of(rest, behind), name);
            rest = behind;
        }
        let is_context = variable.is_word("context") && steps.len() == 1 && tested.is_none();
        let end = tested.as_ref().or(steps.last()).map(|last| last.end).filter(|_| !is_context);
        let reading = end.map(|end| Self {
            span: variable.start..end,
            steps,
            tested,
            asks_ancestors: rest.first().is_some_and(|next| next.is_word("in")),
        });
        (reading, rest)
    }

    /// What it comes to in a request; nothing where it cannot be told.
    pub(super) fn look(&self, scene: &Scene) -> Option<Sight> {
        let evaluate = |step: &Step| eval_expression(&scene.request, &scene.entities, &step.expression).ok();
        let mut holder = self.span.start..self.span.start;
        let mut value = None;
        for step in &self.steps {
            value = evaluate(step);
            if value.is_none() {
                return Some(Sight::Absent { holder, name: step.name.clone(), is_tested: false });
            }
            holder.end = step.end;
        }
        let Some(tested) = &self.tested else { return value.map(Sight::Value) };
        let has_it = evaluate(tested)?;
        if has_it == EvalResult::Bool(false) {
            return Some(Sight::Absent { holder, name: tested.name.clone(), is_tested: true });
        }
        Some(Sight::Value(has_it))
    }
}

/// What an entity stands in, sorted.
pub(super) fn ancestors(scene: &Scene, uid: &EntityUid) -> Vec<String> {
    let mut ancestors: Vec<_> =
        scene.entities.ancestors(uid).into_iter().flatten().map(ToString::to_string).collect();
    ancestors.sort_unstable();
    ancestors
}

/// Whether a word is one of Cedar's variables, and neither an attribute, the member of a record nor
/// a part of an entity's type.
fn is_variable(token: &Token<'_>, before: Option<&Token<'_>>, behind: &[Token<'_>]) -> bool {
    token.kind == Kind::Word
        && VARIABLES.contains(&token.text)
        && !before.is_some_and(|before| before.is(".") || before.is("::") || before.is_word("has"))
        && !behind.first().is_some_and(|next| next.is("::") || next.is(":"))
}

/// The attribute or tag that a path goes on to, and what stands behind it.
fn next_name<'t, 'text>(rest: &'t [Token<'text>]) -> Option<(Range<usize>, &'t [Token<'text>])> {
    match rest {
        [dot, method, open, key, close, behind @ ..]
            if dot.is(".") && method.is_word("getTag") && is_key(open, key, close) =>
        {
            Some((key.span(), behind))
        }
        [dot, name, behind @ ..] if dot.is(".") && name.kind == Kind::Word => {
            let is_method = behind.first().is_some_and(|next| next.is("("));
            (!is_method).then(|| (name.span(), behind))
        }
        [open, key, close, behind @ ..] if open.is("[") && is_key(open, key, close) => {
            Some((key.span(), behind))
        }
        _ => None,
    }
}

/// The attribute or tag that a `has` or a `hasTag` asks for, and what stands behind it.
fn tested_name<'t, 'text>(rest: &'t [Token<'text>]) -> Option<(Range<usize>, &'t [Token<'text>])> {
    match rest {
        [dot, method, open, key, close, behind @ ..]
            if dot.is(".") && method.is_word("hasTag") && is_key(open, key, close) =>
        {
            Some((key.span(), behind))
        }
        [has, key, behind @ ..] if has.is_word("has") && key.kind == Kind::String => {
            Some((key.span(), behind))
        }
        [has, name, behind @ ..] if has.is_word("has") && name.kind == Kind::Word => {
            let (mut span, mut behind) = (name.span(), behind);
            while let [dot, name, further @ ..] = behind
                && dot.is(".")
            {
                span.end = name.span().end;
                behind = further;
            }
            Some((span, behind))
        }
        _ => None,
    }
}

fn is_key(open: &Token<'_>, key: &Token<'_>, close: &Token<'_>) -> bool {
    open.opens() && key.kind == Kind::String && close.closes()
}

/// Where in the file what was taken from the front of `rest` ends.
fn end_of(rest: &[Token<'_>], behind: &[Token<'_>]) -> usize {
    let taken = rest.len().saturating_sub(behind.len() + 1);
    rest.get(taken).map_or(0, |last| last.span().end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings(text: &str) -> Vec<&str> {
        Reading::all(text, 0..text.len())
            .iter()
            .map(|reading| text.get(reading.span.clone()).unwrap())
            .collect()
    }

    #[test]
    fn what_has_a_value_is_told_from_what_only_looks_like_it() {
        for (text, expected) in [
            ("resource.status == \"draft\"", vec!["resource.status"]),
            ("principal.groups.contains(context.group)", vec!["principal.groups", "context.group"]),
            (
                "context has ip && context.ip.isInRange(ip(\"10.0.0.0/8\"))",
                vec!["context has ip", "context.ip"],
            ),
            ("resource.owner.manager == principal", vec!["resource.owner.manager", "principal"]),
            (
                "resource has owner.name.first || resource has \"a b\"",
                vec!["resource has owner.name.first", "resource has \"a b\""],
            ),
            ("resource[\"a b\"].c < 1", vec!["resource[\"a b\"].c"]),
            (
                "resource.hasTag(\"k\") && resource.getTag(\"k\") == 1",
                vec!["resource.hasTag(\"k\")", "resource.getTag(\"k\")"],
            ),
            ("resource.status == resource.status", vec!["resource.status"]),
            ("{principal: 1}.principal == Shop::principal::\"x\" && [1] has context", vec![]),
            ("context == {} && \"resource.a\" == \"\"", vec![]),
            ("resource.", vec!["resource"]),
        ] {
            assert_eq!(readings(text), expected, "{text}");
        }
    }
}
