//! Formats one policy file: spaces and line ends change, and nothing else.
//!
//! Cedar's formatter joins comments that an empty line parts, and its time grows with the square of
//! the text. So it is given one statement after the other, and what stands between statements is
//! ours: comments stay as they are written, empty lines between them stay, one at a time.

use std::str::FromStr;
use std::thread;

use cedar_policy::{ParseErrors, PolicySet};
use cedar_policy_formatter::{Config, policies_str_to_pretty};

use super::lexer::{Kind, lex, tokens};
use super::statements::{self, PolicyText};
use super::{Source, findings, limits};
use crate::model::{Finding, Limits};

/// How long a line may be, in characters.
const LINE_WIDTH: usize = 100;

/// How far the inside of a bracket is set in.
const INDENT_WIDTH: isize = 2;

/// The text as it should stand. It holds the same policies and the same comments, and formatting
/// it again changes nothing.
///
/// # Errors
/// What stops it from being read, or from being formatted without a loss.
pub fn format(source: &Source, limits: &Limits) -> Result<String, Vec<Finding>> {
    let found = limits::policy_text(source, limits);
    if !found.is_empty() {
        return Err(found);
    }
    on_compile_stack(|| formatted_and_proved(source))
        .unwrap_or_else(|message| Err(vec![failure(source, message)]))
}

fn on_compile_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, String> {
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name("format".to_owned())
            .stack_size(limits::COMPILE_STACK)
            .spawn_scoped(scope, work)
            .map_err(|error| format!("no thread to format on: {error}"))?;
        thread.join().map_err(|_| "the formatter stopped in the middle".to_owned())
    })
}

fn formatted_and_proved(source: &Source) -> Result<String, Vec<Finding>> {
    PolicySet::from_str(&source.text)
        .map_err(|errors: ParseErrors| findings::from_diagnostic(source, "syntax", &errors))?;
    let text = formatted(source)?;
    let again = formatted(&Source { text: text.as_str().into(), ..source.clone() })?;
    let loss = if comments(&source.text) != comments(&text) {
        "a comment would be lost"
    } else if !same_tokens(&source.text, &text) {
        "a policy would be changed"
    } else if again != text {
        "formatting it again would change it again"
    } else {
        return Ok(text);
    };
    Err(vec![failure(source, loss)])
}

fn failure(source: &Source, message: impl Into<String>) -> Finding {
    Finding::error(&source.path, "not-formatted", message)
        .help("the file stays as it is; move comments out of the middle of expressions and try again")
}

fn formatted(source: &Source) -> Result<String, Vec<Finding>> {
    let mut text = String::with_capacity(source.text.len());
    let mut end = 0;
    for policy in statements::policies(&source.text) {
        between(&mut text, source.text.get(end..policy.span.start).unwrap_or_default());
        if end > 0 && !text.ends_with("\n\n") && !ends_with_comment(&text) {
            text.push('\n');
        }
        text.push_str(statement(source, &policy)?.trim());
        text.push('\n');
        end = policy.span.end;
    }
    between(&mut text, source.text.get(end..).unwrap_or_default());
    text.truncate(text.trim_end().len());
    if !text.is_empty() {
        text.push('\n');
    }
    Ok(text)
}

/// One statement in Cedar's own layout.
fn statement(source: &Source, policy: &PolicyText) -> Result<String, Vec<Finding>> {
    let written = source.text.get(policy.span.clone()).unwrap_or_default();
    // To Cedar's formatter a comment ends with `\n` alone; no string holds a `\r`.
    let written = written.replace("\r\n", "\n").replace('\r', "\n");
    let config = Config { line_width: LINE_WIDTH, indent_width: INDENT_WIDTH };
    policies_str_to_pretty(&written, &config).map_err(|report| {
        let message = findings::plain(&report.to_string());
        vec![findings::at(source, policy.span.clone(), "not-formatted", message)]
    })
}

/// What stands between two statements: comments on lines of their own, but for one that follows a
/// statement on its line.
fn between(text: &mut String, trivia: &str) {
    let mut lines = 0;
    for piece in lex(trivia) {
        match piece.kind {
            Kind::Comment => {
                match lines {
                    0 if text.ends_with('\n') => {
                        text.pop();
                        text.push(' ');
                    }
                    0 | 1 => {}
                    _ if text.is_empty() || text.ends_with("\n\n") => {}
                    _ => text.push('\n'),
                }
                text.push_str(piece.text.trim_end());
                text.push('\n');
                lines = 0;
            }
            Kind::Space => lines += piece.text.replace("\r\n", "\n").matches(['\n', '\r']).count(),
            Kind::Word | Kind::String | Kind::Integer | Kind::Slot | Kind::Symbol | Kind::Unknown => {}
        }
    }
    if lines > 1 && !text.is_empty() && !text.ends_with("\n\n") {
        text.push('\n');
    }
}

/// Whether the last line is a comment, which then belongs to what follows it.
fn ends_with_comment(text: &str) -> bool {
    text.lines().last().is_some_and(|line| line.starts_with("//"))
}

fn comments(text: &str) -> Vec<&str> {
    lex(text).filter(|piece| piece.kind == Kind::Comment).map(|piece| piece.text.trim_end()).collect()
}

/// The same tokens are the same policies. Only commas at the end of a list may come and go.
fn same_tokens(before: &str, after: &str) -> bool {
    significant(before) == significant(after)
}

fn significant(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for token in tokens(text) {
        if token.closes() && words.last() == Some(&",") {
            words.pop();
        }
        words.push(token.text);
    }
    words
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn source(text: &str) -> Source {
        Source { path: "policies/a.cedar".into(), name: "a.cedar".into(), text: text.into() }
    }

    fn formatted(text: &str) -> String {
        format(&source(text), &Limits::default()).unwrap()
    }

    #[test]
    fn the_policies_of_the_shop_stand_as_they_should() {
        for text in [
            include_str!("../../policies/product.cedar"),
            include_str!("../../policies/category.cedar"),
            include_str!("../../policies/emergency.cedar"),
        ] {
            assert_eq!(formatted(text), text);
        }
    }

    #[test]
    fn comments_stay_where_they_belong_and_empty_lines_between_them_stay() {
        insta::assert_snapshot!(formatted(
            "\n\n// The file.\r\n\n\n// The policy.\n  @id(\"a\")permit(principal,action,resource)when{true // why\n};// trailing\n// next\nforbid(principal,action,resource);permit(principal,action,resource);\n\n\n// end  "
        ), @r#"
        // The file.

        // The policy.
        @id("a")
        permit (principal, action, resource)
        when
        {
          true // why
        }; // trailing
        // next
        forbid (principal, action, resource);

        permit (principal, action, resource);

        // end
        "#);
    }

    #[test]
    fn a_file_of_nothing_stays_nothing() {
        assert_eq!(formatted(" \n\n"), "");
        assert_eq!(formatted("// only this"), "// only this\n");
    }

    #[test]
    fn what_cannot_be_read_is_not_touched() {
        let found = format(&source("permit (principal, action, resource)"), &Limits::default()).unwrap_err();
        assert_eq!(found[0].code, "syntax");
        let deep = format!("permit (principal, action, resource) when {{ {}1", "(".repeat(100_000));
        assert_eq!(format(&source(&deep), &Limits::default()).unwrap_err()[0].code, "too-deep");
    }

    /// Every place between two tokens of this is tried.
    const BUSY: &str = r#"@id("x") @reason("a // b") permit (principal in G::"x", action in [Action::"a", Action::"b"],
        resource is T in G::"y") when { (principal.a has b.c && ["x", "y"].contains(resource["k"])) ||
        !(-1 + 2 * 3 < context.n.offset("z")) && (if ip("::1").isLoopback() then {a: 1, "b": [2]}.a == 1 else
        context.s like "a*//") } unless { principal is T in G::"x" };"#;

    proptest! {
        #[test]
        fn a_comment_anywhere_is_kept_or_the_file_is(at in prop::collection::vec(any::<prop::sample::Index>(), 0..4)) {
            let starts: Vec<usize> = tokens(BUSY).map(|token| token.start).collect();
            let mut text = BUSY.to_owned();
            let mut places: Vec<usize> = at.iter().map(|index| starts[index.index(starts.len())]).collect();
            places.sort_unstable();
            for place in places.into_iter().rev() {
                text.insert_str(place, "// (note \"\n");
            }
            match format(&source(&text), &Limits::default()) {
                Ok(formatted) => prop_assert_eq!(comments(&formatted), comments(&text)),
                Err(found) => prop_assert!(found.iter().all(|finding| finding.code == "not-formatted"), "{:?}", found),
            }
        }
    }

    #[test]
    fn a_comment_before_any_token_can_be_kept() {
        let mut lost = Vec::new();
        for token in tokens(BUSY) {
            let (before, after) = BUSY.split_at(token.start);
            for note in ["// note\n", "\n// note\n"] {
                if let Err(found) = format(&source(&format!("{before}{note}{after}")), &Limits::default()) {
                    lost.push((token.text, token.start, found[0].to_string()));
                }
            }
        }
        assert!(lost.is_empty(), "{lost:#?}");
    }
}
