//! The statements of all policy files, each as its author wrote it and as Cedar reads it.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use cedar_policy::pst::Template;

use super::rule::Rule;
use crate::cedar::findings;
use crate::cedar::lexer::{Kind, Token, tokens_in, unescape};
use crate::cedar::parts::Parts;
use crate::cedar::policies::PolicyInfo;
use crate::cedar::statements::{self, PolicyText};
use crate::cedar::{Source, Sources};
use crate::model::{Finding, Severity};

/// A policy or a template.
#[derive(Debug)]
pub(super) struct Statement<'a> {
    pub(super) source: &'a Source,
    pub(super) text: PolicyText,
    /// As Cedar reads it; none where it could not be read.
    pub(super) parsed: Option<Template>,
}

/// All statements, in the order of the files.
pub(super) fn all<'a>(sources: &'a Sources, parts: &Parts) -> Vec<Statement<'a>> {
    let mut parsed: HashMap<(Arc<str>, usize), Template> = HashMap::new();
    let mut add = |PolicyInfo { path, place, .. }: &PolicyInfo, template: Option<Template>| {
        parsed.extend(template.map(|template| ((Arc::clone(path), place.offset), template)));
    };
    for (info, policy) in parts.policies.parsed().filter(|(_, policy)| policy.is_static()) {
        add(info, policy.to_pst().ok().map(|policy| policy.body().clone()));
    }
    for (info, template) in parts.policies.templates().into_values() {
        add(info, template.to_pst().ok());
    }
    let mut statements = Vec::new();
    for source in &sources.policies {
        statements.extend(statements::policies(&source.text).into_iter().map(|text| Statement {
            parsed: parsed.remove(&(Arc::clone(&source.path), text.span.start)),
            source,
            text,
        }));
    }
    statements
}

impl Statement<'_> {
    /// A finding at a part of the statement.
    pub(super) fn finding(&self, rule: Rule, span: &Range<usize>, message: impl Into<String>) -> Finding {
        super::finding(rule, &self.source.path, message).at(findings::place(self.source, span))
    }

    /// The word `permit` or `forbid`: what a finding about the whole statement points at.
    pub(super) fn effect(&self) -> &Range<usize> {
        self.text.effect.as_ref().unwrap_or(&self.text.span)
    }

    /// The first token of the scope or of a condition that is like this.
    pub(super) fn token(&self, like: impl Fn(&Token<'_>) -> bool) -> Option<Range<usize>> {
        let start = self.text.scope.as_ref().map_or(self.text.span.start, |scope| scope.start);
        tokens_in(&self.source.text, start..self.text.span.end).find(like).map(|token| token.span())
    }

    /// The first string of the scope or of a condition that says this.
    pub(super) fn string(&self, value: &str) -> Option<Range<usize>> {
        self.token(|token| token.kind == Kind::String && unescape(token.text).as_deref() == Some(value))
    }

    /// Whether the compiler has found an error in it, or that it never applies.
    pub(super) fn is_idle(&self, found: &[Finding]) -> bool {
        self.found(found).any(|finding| finding.severity == Severity::Error || is_never_applies(finding))
    }

    /// Whether the compiler has found that it never applies: what its scope says does not matter then.
    pub(super) fn never_applies(&self, found: &[Finding]) -> bool {
        self.found(found).any(is_never_applies)
    }

    /// What has been found in it.
    fn found<'f>(&self, found: &'f [Finding]) -> impl Iterator<Item = &'f Finding> {
        found.iter().filter(|finding| {
            finding.path == self.source.path
                && finding.place.is_some_and(|place| self.text.span.contains(&place.offset))
        })
    }
}

fn is_never_applies(finding: &Finding) -> bool {
    finding.code == Rule::NeverApplies.id()
}
