//! Conditions that stay within the usual level for certain, told from their words: most compare an
//! attribute, or ask for a group. Cedar's own answer takes as long again as validation does.
//!
//! `false` means only that Cedar must be asked.

use crate::cedar::clauses::looks;
use crate::cedar::lexer::{Kind, Token, tokens_in};
use crate::cedar::statements::PolicyText;

/// Whether no condition of a policy takes more than one step from the request's own entities, and none
/// looks into an entity that it names.
pub(in crate::cedar) fn is_usual(text: &str, policy: &PolicyText) -> bool {
    policy.clauses.iter().all(|clause| {
        let tokens: Vec<_> = tokens_in(text, clause.body.clone()).collect();
        let mut rest = &tokens[..];
        while let [first, behind @ ..] = rest {
            let Some(next) = step(first, behind) else { return false };
            rest = next;
        }
        true
    })
}

/// What is behind a token, or behind the attributes that are read off a variable; none where it might go
/// further.
fn step<'a, 't>(token: &Token<'t>, behind: &'a [Token<'t>]) -> Option<&'a [Token<'t>]> {
    match token.kind {
        Kind::Word => match token.text {
            "principal" | "resource" | "action" => attributes(behind, 1),
            // The context is no entity: the first attribute of it takes no step.
            "context" => attributes(behind, 2),
            "getTag" | "hasTag" => None,
            "has" => (!matches!(behind, [_, dot, ..] if dot.is("."))).then_some(behind),
            "in" | "is" | "like" | "if" | "then" | "else" => Some(behind),
            // `name["attribute"]`
            _ => (!starts_with(behind, &["["])).then_some(behind),
        },
        // An entity that is named, and looked into.
        Kind::String => (!is_looked_into(behind)).then_some(behind),
        Kind::Symbol if token.closes() => match behind {
            // A method of what is in the brackets: entities have none but those for tags.
            [dot, name, open, ..] if dot.is(".") && open.is("(") && name.kind == Kind::Word => Some(behind),
            _ => (!is_looked_into(behind)).then_some(behind),
        },
        Kind::Symbol | Kind::Integer => Some(behind),
        Kind::Slot | Kind::Space | Kind::Comment | Kind::Unknown => None,
    }
}

/// Passes over the attributes that are read off a variable, if they are no more than `most`; to look into
/// the last one is one more.
fn attributes<'a, 't>(mut behind: &'a [Token<'t>], most: usize) -> Option<&'a [Token<'t>]> {
    let mut read = 0;
    while let [dot, name, rest @ ..] = behind
        && dot.is(".")
        && name.kind == Kind::Word
        && !starts_with(rest, &["("])
    {
        (read, behind) = (read + 1, rest);
    }
    // What is a method's name is not passed over: it may be one for tags.
    if let [dot, ..] = behind
        && dot.is(".")
    {
        return (read <= most).then_some(behind);
    }
    read += usize::from(is_looked_into(behind));
    (read <= most).then_some(behind)
}

/// Whether what stands before these is looked into by them.
fn is_looked_into(behind: &[Token<'_>]) -> bool {
    behind.first().is_some_and(looks)
}

fn starts_with(tokens: &[Token<'_>], texts: &[&str]) -> bool {
    tokens.first().is_some_and(|token| texts.contains(&token.text))
}
