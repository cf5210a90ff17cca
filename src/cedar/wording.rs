//! Cedar's messages in our words: one line, names in back-ticks, what to do apart from what is
//! wrong. What is not known here passes as it is, so a new message of Cedar's is never lost.

use std::ops::Range;

use super::level::DEEPEST;
use super::lexer::{Kind, Token, tokens};
use super::lint::Rule;
use crate::model::suggestion::nearest;

mod names;

/// What Cedar says, and what it says it of.
#[derive(Debug, Default)]
pub(super) struct Complaint<'a> {
    /// Its message.
    pub(super) message: &'a str,
    /// What it wrote at the place: of syntax errors, what could stand there.
    pub(super) expected: Option<&'a str>,
    /// Its help.
    pub(super) help: Option<&'a str>,
    /// The whole text.
    pub(super) text: &'a str,
    /// The place in it, where there is one.
    pub(super) span: Option<Range<usize>>,
    /// The full names of types and actions.
    pub(super) known: &'a [String],
}

/// What we say.
#[derive(Debug, Default)]
pub(super) struct Wording {
    pub(super) message: String,
    pub(super) help: Option<String>,
    /// A better place than Cedar's.
    pub(super) span: Option<Range<usize>>,
    /// The rule that it is a finding of, where it is one of the linter's.
    pub(super) rule: Option<Rule>,
    /// What to write instead, and of which part of the text.
    pub(super) fix: Option<(Range<usize>, String)>,
}

/// A syntax error that names more alternatives than this names them all.
const ALTERNATIVES: usize = 4;

/// The types that a schema has without declaring them.
const TYPES: [&str; 8] = ["String", "Long", "Bool", "Set", "ipaddr", "decimal", "datetime", "duration"];

impl Wording {
    /// The wording of a complaint.
    pub(super) fn of(complaint: &Complaint<'_>) -> Self {
        let message = bare(complaint.message);
        let mut wording = syntax(message, complaint)
            .or_else(|| names::undeclared(message, complaint))
            .or_else(|| types(message, complaint))
            .or_else(|| schema(message, complaint))
            .or_else(|| others(message))
            .unwrap_or_else(|| Self::new(message));
        wording.message = one_line(&wording.message);
        wording.help =
            wording.help.or_else(|| complaint.help.map(bare).map(str::to_owned)).map(|help| one_line(&help));
        wording
    }

    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    fn maybe_help(self, help: Option<String>) -> Self {
        Self { help, ..self }
    }

    fn at(self, span: Range<usize>) -> Self {
        Self { span: Some(span), ..self }
    }

    fn rule(self, rule: Rule) -> Self {
        Self { rule: Some(rule), ..self }
    }
}

impl<'a> Complaint<'a> {
    /// The text at the place.
    fn written(&self) -> &'a str {
        self.span.clone().and_then(|span| self.text.get(span)).unwrap_or_default()
    }

    /// The text from the place on.
    fn rest(&self) -> &'a str {
        self.span.as_ref().and_then(|span| self.text.get(span.start..)).unwrap_or_default()
    }

    /// The last tokens before the place, the nearest first.
    fn before(&self) -> [Option<Token<'a>>; 2] {
        let start = self.span.as_ref().map_or(0, |span| span.start);
        tokens(self.text)
            .take_while(|token| token.start < start)
            .fold([None, None], |[last, _], token| [Some(token), last])
    }
}

/// What a parser did not expect.
fn syntax(message: &str, complaint: &Complaint<'_>) -> Option<Wording> {
    let expected = complaint.expected.and_then(|expected| expected.strip_prefix("expected "));
    let unexpected = match message {
        "unexpected end of input" => None,
        "invalid token" => return Some(character(complaint)),
        _ => Some(message.strip_prefix("unexpected token ")?),
    };
    let [last, one_before] = complaint.before();
    let token = complaint.written();
    let forgotten = match (expected, last, one_before) {
        // `permit (…) permit (…)`: Cedar takes the second `permit` for a `when`.
        (Some("`{`"), Some(_), Some(end)) if token == "(" => Some(end),
        (Some(expected), Some(end), _) if expected.contains("`;`") && ends_a_line(complaint.text, &end) => {
            Some(end)
        }
        _ => None,
    };
    if let Some(end) = forgotten {
        let end = end.span().end;
        return Some(Wording::new("a `;` is missing").at(end..end).help("every statement ends with one"));
    }
    let alternatives = expected.filter(|expected| expected.split(", ").count() <= ALTERNATIVES);
    let message = match (unexpected, alternatives.map(with_articles)) {
        (Some(token), Some(alternatives)) => format!("unexpected {token}, expected {alternatives}"),
        (Some(token), None) => format!("unexpected {token}"),
        (None, Some(alternatives)) => format!("the text ends where {alternatives} is expected"),
        (None, None) => "the text ends too early".to_owned(),
    };
    let help = match (token, last.map(|last| last.text), one_before.map(|token| token.kind)) {
        (_, Some("if"), _) => Some("put the whole in brackets: `(if … then … else …)`".to_owned()),
        (_, Some("when" | "unless"), _) => Some("a condition stands in braces: `when { … }`".to_owned()),
        ("and", ..) => Some("write `&&`".to_owned()),
        ("or", ..) => Some("write `||`".to_owned()),
        ("not", ..) => Some("write `!`".to_owned()),
        (_, Some("."), Some(Kind::Integer)) => {
            Some("Cedar's numbers are whole: write `decimal(\"1.5\")`".to_owned())
        }
        _ => None,
    };
    Some(Wording::new(message).maybe_help(help))
}

/// What could stand at a place: `` `)` or identifier `` as part of a sentence.
fn with_articles(alternatives: &str) -> String {
    let named = [("identifier", "an identifier"), ("number", "a number"), ("string literal", "a string")];
    named
        .into_iter()
        .fold(alternatives.to_owned(), |all, (name, with_article)| all.replace(name, with_article))
}

/// Whether nothing but space and comments follows a token on its line.
fn ends_a_line(text: &str, token: &Token<'_>) -> bool {
    let rest = text.get(token.span().end..).unwrap_or_default();
    let line = rest.split(['\n', '\r']).next().unwrap_or_default();
    tokens(line).next().is_none()
}

/// What no token begins with.
fn character(complaint: &Complaint<'_>) -> Wording {
    let Some(character) = complaint.rest().chars().next() else {
        return Wording::new("the text ends too early");
    };
    let message = format!("unexpected character `{}`", shown(character));
    match character {
        '"' => {
            Wording::new("this string has no end").help("close it with `\"`, and write `\\\"` for one inside")
        }
        '\'' => Wording::new(message).help("strings stand in double quotes"),
        '&' => Wording::new(message).help("write `&&`"),
        '|' => Wording::new(message).help("write `||`"),
        '?' => Wording::new(message).help("write `if … then … else …`"),
        '#' => Wording::new(message).help("comments begin with `//`"),
        '\u{feff}' => Wording::new("the file begins with a byte order mark").help("save it without one"),
        '\u{201c}' | '\u{201d}' => Wording::new(message).help("write straight quotes: `\"`"),
        _ => Wording::new(message),
    }
}

/// Values where values of another type belong.
fn types(message: &str, complaint: &Complaint<'_>) -> Option<Wording> {
    let named = |name: &str| ticked(readable_type(name));
    if let Some((expected, seen)) =
        message.strip_prefix("unexpected type: expected ").and_then(|types| types.split_once(" but saw "))
    {
        return Some(Wording::new(format!("expected {}, found {}", named(expected), named(seen))));
    }
    if let Some((left, right)) = message
        .strip_prefix("the types ")
        .and_then(|types| types.strip_suffix(" are not compatible"))
        .and_then(|types| types.split_once(" and "))
    {
        let message = format!("the types {} and {} do not go together", named(left), named(right));
        let help = complaint.help.map(|help| {
            bare(help).trim_end_matches(". Types must be exactly equal to be compatible").to_owned()
        });
        return Some(Wording::new(message).maybe_help(help));
    }
    let cause = message.strip_prefix("error during extension function argument validation: ")?;
    Some(Wording::new(cause))
}

/// The types of literals are Cedar's own business.
fn readable_type(name: &str) -> String {
    name.replace("__cedar::internal::True", "Bool")
        .replace("__cedar::internal::False", "Bool")
        .replace("__cedar::internal::", "")
}

/// What is wrong with declarations.
fn schema(message: &str, complaint: &Complaint<'_>) -> Option<Wording> {
    if let Some(names) = message
        .strip_prefix("failed to resolve type: ")
        .or_else(|| message.strip_prefix("failed to resolve types: "))
    {
        let all: Vec<String> = names.split(", ").map(ticked).collect();
        let message = match all.as_slice() {
            [one] => format!("there is no type {one}"),
            _ => format!("there are no types {}", all.join(", ")),
        };
        return Some(Wording::new(message).help(declared(names, complaint.text)));
    }
    if let Some(uid) = message.strip_prefix("undeclared action: ") {
        let wording = Wording::new(format!("there is no action `{uid}`")).help("declare it: `action … ;`");
        return Some(place_of_id(wording, uid, complaint.text));
    }
    if let Some(uid) = between(message, "cycle in action hierarchy containing `", "`") {
        let wording = Wording::new(format!("the action `{uid}` stands in itself, by way of its `in`"));
        return Some(place_of_id(wording, uid, complaint.text));
    }
    if let Some(name) = message.strip_prefix("duplicate namespace id: ") {
        return Some(Wording::new(format!("the namespace {name} is declared twice")));
    }
    let word = message.strip_suffix(" is a reserved identifier")?;
    let name = unticked(word)?;
    let message = format!("{word} is a word of Cedar's own");
    Some(Wording::new(message).help(format!("attributes and actions may be written in quotes: `\"{name}\"`")))
}

/// What somebody meant who wrote a type that is not there.
fn declared(names: &str, text: &str) -> String {
    if names == "Set" {
        return "say what it holds: `Set<String>`".to_owned();
    }
    let declared = tokens(text).filter(|token| token.kind == Kind::Word).map(|token| token.text);
    let candidates = TYPES.into_iter().chain(declared).filter(|candidate| *candidate != names);
    let meant =
        nearest(names, candidates.filter(|word| !matches!(*word, "entity" | "type" | "action" | "in")));
    meant.map_or_else(
        || "declare it, or write its namespace before it".to_owned(),
        |name| format!("did you mean `{name}`?"),
    )
}

/// Where the id of an action is first written.
fn place_of_id(wording: Wording, uid: &str, text: &str) -> Wording {
    let id = uid.rsplit_once("::").map_or(uid, |(_, id)| id);
    let bare_id = id.trim_matches('"');
    match tokens(text).find(|token| token.text == id || token.text == bare_id) {
        Some(token) => wording.at(token.span()),
        None => wording,
    }
}

/// Single messages that can be said better.
fn others(message: &str) -> Option<Wording> {
    if message == "'=' is not a valid operator in Cedar" {
        return Some(Wording::new("`=` is not an operator of Cedar").help("write `==` to compare"));
    }
    if message.starts_with("integer parse error") {
        return Some(Wording::new("the number is too large: Cedar's numbers have 64 bits with a sign"));
    }
    if let Some(name) = message.strip_prefix("duplicate annotation: ") {
        return Some(Wording::new(format!("the annotation `{name}` is given twice")));
    }
    if let Some((slot, clause)) =
        message.strip_prefix("found template slot ").and_then(|rest| rest.split_once(" in a "))
    {
        let message = format!("the slot `{slot}` stands in a {clause}");
        return Some(Wording::new(message).help("slots belong in the scope: `principal == ?principal`"));
    }
    if let Some(effect) = message.strip_prefix("invalid policy effect: ") {
        return Some(Wording::new(format!("`{effect}` is not an effect")).help("write `permit` or `forbid`"));
    }
    if let Some(clause) = message.strip_prefix("invalid policy condition: ") {
        return Some(
            Wording::new(format!("`{clause}` begins no condition")).help("write `when` or `unless`"),
        );
    }
    if message.starts_with("policy is impossible") {
        return Some(
            Wording::new("the policy never applies: it is false for every valid request")
                .help("look for conditions that exclude each other, or types that never meet"),
        );
    }
    if message.starts_with("unable to find an applicable action") {
        return Some(
            Wording::new("the policy never applies: no action takes this principal and this resource")
                .help("compare its scope with `appliesTo` in the schema"),
        );
    }
    if let Some(text) = message.strip_suffix(" contains BIDI control characters") {
        return Some(
            Wording::new(format!("{text} turns the direction of the text around it"))
                .help("an editor shows it in another order than Cedar reads it: take the character out"),
        );
    }
    if let Some((name, rest)) = message.split_once(" contains the character ") {
        let character = rest.split_once(" which is not a printable").map_or(rest, |(character, _)| character);
        return Some(
            Wording::new(format!("{name} has the character {character}"))
                .help("it cannot be seen, or is easily taken for another"),
        );
    }
    if message.starts_with("entity literals cannot be dereferenced") {
        return Some(
            Wording::new("this looks into an entity that nothing of the request leads to")
                .help("let the request lead to it: by an attribute, by a group, or by the context"),
        );
    }
    if message.starts_with("this policy requires level ") {
        return Some(
            Wording::new(format!("this follows more than {DEEPEST} references in a row"))
                .help("give what stands at the end to the principal, the resource or the context"),
        );
    }
    let text = message.strip_suffix(" contains mixed scripts")?;
    Some(
        Wording::new(format!("{text} mixes scripts"))
            .help("letters of different scripts look alike and are not the same"),
    )
}

/// Without the frames that our findings do not need: their place says the policy and the file.
fn bare(message: &str) -> &str {
    let message = message.strip_prefix("error parsing schema: ").unwrap_or(message);
    message
        .strip_prefix("for policy `")
        .and_then(|rest| rest.split_once("`, "))
        .map_or(message, |(_, rest)| rest)
}

/// On one line, without a period at its end, nothing in it that a terminal would obey.
fn one_line(message: &str) -> String {
    let mut line = String::with_capacity(message.len());
    for character in message.trim().trim_end_matches('.').chars() {
        line.push_str(&shown(character));
    }
    let mut first = line.chars();
    match (first.next(), first.clone().next()) {
        (Some(letter), Some(next)) if letter.is_ascii_uppercase() && next.is_ascii_lowercase() => {
            let keeps = ["Cedar"].iter().any(|name| line.starts_with(name));
            if keeps { line } else { format!("{}{}", letter.to_ascii_lowercase(), first.as_str()) }
        }
        _ => line,
    }
}

/// A character that can be seen.
fn shown(character: char) -> String {
    match character {
        '\n' | '\t' => " ".to_owned(),
        '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}'
        | '\u{61c}'
        | '\u{feff}' => character.escape_unicode().to_string(),
        control if control.is_control() => control.escape_default().to_string(),
        plain => plain.to_string(),
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.rsplit_once(after).map(|(inner, _)| inner)
}

fn ticked(name: impl AsRef<str>) -> String {
    format!("`{}`", name.as_ref())
}

fn unticked(name: &str) -> Option<&str> {
    name.strip_prefix('`')?.strip_suffix('`')
}

#[cfg(test)]
mod tests;
