//! The statements of a policy file, one by one: where each begins and ends, what it is annotated
//! with, and where its conditions are. Malformed text gives what can be seen of it; Cedar's parser
//! says what is wrong.

use std::iter::Peekable;
use std::ops::Range;

use super::lexer::{Kind, Token, tokens, tokens_in, unescape};

/// One statement of a policy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PolicyText {
    /// From the first annotation to the semicolon (or to the end, where there is none).
    pub(super) span: Range<usize>,
    /// The word `permit` or `forbid`, or whatever stands in its place.
    pub(super) effect: Option<Range<usize>>,
    /// In the order of the text.
    pub(super) annotations: Vec<AnnotationText>,
    /// The brackets after the effect and what is in them.
    pub(super) scope: Option<Range<usize>>,
    /// Whether the scope has a slot.
    pub(super) is_template: bool,
    /// `when` and `unless`, in the order of the text.
    pub(super) clauses: Vec<ClauseText>,
}

/// `@name("value")`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AnnotationText {
    /// Its name.
    pub(super) name: String,
    /// What stands between the quotes, escapes resolved; empty where there is nothing.
    pub(super) value: String,
    /// From the `@` on.
    pub(super) span: Range<usize>,
}

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClauseText {
    /// Which of the two.
    pub(super) kind: ClauseKind,
    /// What stands between the braces.
    pub(super) body: Range<usize>,
}

/// Which way a condition counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ClauseKind {
    /// It must hold.
    When,
    /// It must not.
    Unless,
}

impl ClauseKind {
    /// As policies write it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::When => "when",
            Self::Unless => "unless",
        }
    }
}

/// The statements of a text, in its order.
pub(super) fn policies(text: &str) -> Vec<PolicyText> {
    let mut tokens = tokens(text).peekable();
    let mut policies = Vec::new();
    while let Some(first) = tokens.peek() {
        // No semicolon stands inside a statement, in whatever brackets.
        let start = first.start;
        let mut end = start;
        for token in tokens.by_ref() {
            end = token.span().end;
            if token.is(";") {
                break;
            }
        }
        policies.push(policy(text, start..end));
    }
    policies
}

impl PolicyText {
    /// The first annotation of this name.
    pub(super) fn annotation(&self, name: &str) -> Option<&AnnotationText> {
        self.annotations.iter().find(|annotation| annotation.name == name)
    }
}

/// The one statement that a part of a text is.
pub(super) fn policy(text: &str, span: Range<usize>) -> PolicyText {
    let mut tokens = tokens_in(text, span.clone()).peekable();
    let mut annotations = Vec::new();
    while let Some(annotation) = annotation(&mut tokens) {
        annotations.push(annotation);
    }
    let effect = tokens.next_if(|token| token.kind == Kind::Word).map(|token| token.span());
    let mut is_template = false;
    let scope = group(&mut tokens, |token| is_template |= token.kind == Kind::Slot);
    let mut clauses = Vec::new();
    while let Some(token) = tokens.next() {
        let kind = match token.text {
            "when" => ClauseKind::When,
            "unless" => ClauseKind::Unless,
            _ => continue,
        };
        if let Some(braces) = group(&mut tokens, |_| {}) {
            clauses.push(ClauseText { kind, body: within(text, braces) });
        }
    }
    PolicyText { span, effect, annotations, scope, is_template, clauses }
}

fn annotation<'text>(tokens: &mut Peekable<impl Iterator<Item = Token<'text>>>) -> Option<AnnotationText> {
    let at = tokens.next_if(|token| token.is("@"))?;
    let mut annotation = AnnotationText { name: String::new(), value: String::new(), span: at.span() };
    if let Some(name) = tokens.next_if(|token| token.kind == Kind::Word) {
        name.text.clone_into(&mut annotation.name);
        annotation.span.end = name.span().end;
    }
    let group = group(tokens, |token| {
        if let Some(value) = unescape(token.text) {
            annotation.value = value;
        }
    });
    if let Some(group) = group {
        annotation.span.end = group.end;
    }
    Some(annotation)
}

/// A bracket and everything up to the one that closes it, or up to the end of the statement.
fn group<'text>(
    tokens: &mut Peekable<impl Iterator<Item = Token<'text>>>,
    mut each: impl FnMut(&Token<'text>),
) -> Option<Range<usize>> {
    let mut span = tokens.next_if(Token::opens)?.span();
    let mut depth = 1_usize;
    while depth > 0
        && let Some(token) = tokens.next_if(|token| !token.is(";"))
    {
        depth = if token.opens() { depth + 1 } else { depth - usize::from(token.closes()) };
        span.end = token.span().end;
        each(&token);
    }
    Some(span)
}

/// A group without its brackets; the closing one may be missing.
fn within(text: &str, group: Range<usize>) -> Range<usize> {
    let start = (group.start + 1).min(group.end);
    let closed = text.get(start..group.end).is_some_and(|inside| inside.ends_with([')', ']', '}']));
    start..group.end - usize::from(closed)
}

#[cfg(test)]
#[expect(clippy::string_slice, reason = "the spans under test are cut out of the text")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = r#"// @id("no")
@id("a;\"}b") // ; )
@owner
permit (principal == ?principal, action in [A::"x", A::"("], resource)
when { [principal].contains(";") }
unless { { a: "}" }.a == "when { }" };

forbid (principal, action, resource)"#;

    #[test]
    fn a_statement_is_taken_apart_without_being_fooled_by_comments_and_strings() {
        let policies = policies(TEXT);
        let [first, second] = &policies[..] else { panic!("{policies:#?}") };
        assert!(TEXT[first.span.clone()].starts_with("@id(\"a;"));
        assert!(TEXT[first.span.clone()].ends_with("\"when { }\" };"));
        assert_eq!(&TEXT[first.effect.clone().unwrap()], "permit");
        assert!(first.is_template);
        assert_eq!(first.annotation("id").unwrap().value, "a;\"}b");
        assert_eq!(&TEXT[first.annotation("owner").unwrap().span.clone()], "@owner");
        assert!(TEXT[first.scope.clone().unwrap()].ends_with("resource)"));
        let clauses: Vec<_> =
            first.clauses.iter().map(|clause| (clause.kind, TEXT[clause.body.clone()].trim())).collect();
        assert_eq!(
            clauses,
            [
                (ClauseKind::When, r#"[principal].contains(";")"#),
                (ClauseKind::Unless, r#"{ a: "}" }.a == "when { }""#),
            ]
        );
        assert_eq!(&TEXT[second.effect.clone().unwrap()], "forbid");
        assert!(!second.is_template && second.clauses.is_empty());
        assert_eq!(second.span.end, TEXT.len());
    }

    #[test]
    fn what_is_malformed_gives_what_can_be_seen_of_it() {
        let seen = policies("permit (principal when {; @; ; forbid } ) (principal) unless");
        assert_eq!(seen.len(), 4);
        assert!(policies("// nothing\n").is_empty());
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in r#"([@(){}\[\];"\\?\n]|permit|when|unless|id|//|é| ){0,60}"#) {
            let mut end = 0;
            for policy in policies(&text) {
                prop_assert!(policy.span.start >= end && text.get(policy.span.clone()).is_some());
                end = policy.span.end;
                for clause in policy.clauses {
                    prop_assert!(text.get(clause.body).is_some());
                }
            }
        }
    }
}
