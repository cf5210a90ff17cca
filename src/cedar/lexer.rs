//! The tokens of Cedar text, of policies and of schemas: what limits, places, ids and coverage stand on.
//!
//! It reads what Cedar's own lexer reads and goes on where that one stops: every text has tokens,
//! and a token that Cedar does not know is [`Kind::Unknown`]. Linear in the text, without recursion.

use std::iter;
use std::ops::Range;

/// A piece of the text. The pieces of [`lex`] lie side by side and leave nothing out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'text> {
    /// What it is.
    pub(super) kind: Kind,
    /// As it is written, quotes and all.
    pub(super) text: &'text str,
    /// Where it begins, in bytes.
    pub(super) start: usize,
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Spaces and line ends.
    Space,
    /// From `//` to the end of the line.
    Comment,
    /// A name or a keyword: Cedar's keywords are names in most places.
    Word,
    /// A string in double quotes; it may run over several lines.
    String,
    /// Decimal digits.
    Integer,
    /// `?principal`, `?resource`.
    Slot,
    /// An operator, a bracket or a separator.
    Symbol,
    /// What no Cedar text holds: a string without its end, a stray character.
    Unknown,
}

/// Longer ones first: `::` is not two `:`.
const SYMBOLS: [&str; 30] = [
    "::", "==", "!=", "<=", ">=", "||", "&&", "@", ".", ",", ";", ":", "(", ")", "{", "}", "[", "]", "<",
    ">", "+", "-", "*", "/", "%", "!", "=", "?", "&", "|",
];

/// All pieces of a text, spaces and comments too.
pub(super) fn lex(text: &str) -> impl Iterator<Item = Token<'_>> {
    let mut start = 0;
    iter::from_fn(move || {
        let rest = text.get(start..)?;
        let (kind, length) = first(rest)?;
        let token = Token { kind, text: rest.get(..length)?, start };
        start += length;
        Some(token)
    })
}

/// The tokens that mean something to Cedar, without spaces and comments.
pub(super) fn tokens(text: &str) -> impl Iterator<Item = Token<'_>> {
    lex(text).filter(|token| !matches!(token.kind, Kind::Space | Kind::Comment))
}

/// The tokens of a part of the text, with places in the whole. The part begins and ends between tokens.
pub(super) fn tokens_in(text: &str, span: Range<usize>) -> impl Iterator<Item = Token<'_>> {
    let start = span.start;
    tokens(text.get(span).unwrap_or_default()).map(move |token| Token { start: start + token.start, ..token })
}

impl Token<'_> {
    /// Where it stands, in bytes.
    pub(super) fn span(&self) -> Range<usize> {
        self.start..self.start + self.text.len()
    }

    /// Whether it is this symbol.
    pub(super) fn is(&self, symbol: &str) -> bool {
        self.kind == Kind::Symbol && self.text == symbol
    }

    /// Whether it is this word.
    pub(super) fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text == word
    }

    /// Whether it opens a group that ends with a bracket.
    pub(super) fn opens(&self) -> bool {
        self.is("(") || self.is("[") || self.is("{")
    }

    /// Whether it ends such a group.
    pub(super) fn closes(&self) -> bool {
        self.is(")") || self.is("]") || self.is("}")
    }
}

/// What stands between the quotes of a string, escapes resolved; nothing where Cedar would refuse it.
pub(super) fn unescape(quoted: &str) -> Option<String> {
    let mut characters = quoted.strip_prefix('"')?.strip_suffix('"')?.chars();
    let mut text = String::with_capacity(quoted.len());
    while let Some(character) = characters.next() {
        text.push(match character {
            '\\' => escaped(&mut characters)?,
            '\r' | '"' => return None,
            plain => plain,
        });
    }
    Some(text)
}

/// The character that an escape stands for, the backslash already read.
fn escaped(characters: &mut impl Iterator<Item = char>) -> Option<char> {
    match characters.next()? {
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        '0' => Some('\0'),
        same @ ('\\' | '\'' | '"') => Some(same),
        'x' => {
            let high = characters.next()?.to_digit(16)?;
            let low = characters.next()?.to_digit(16)?;
            char::from_u32(high * 16 + low).filter(char::is_ascii)
        }
        'u' => unicode(characters),
        _ => None,
    }
}

/// The character of `{1F600}`: one to six hexadecimal digits, underscores between them.
fn unicode(characters: &mut impl Iterator<Item = char>) -> Option<char> {
    let (mut code, mut digits) = (0_u32, 0_usize);
    if characters.next()? != '{' {
        return None;
    }
    loop {
        match characters.next()? {
            '}' if digits > 0 => return char::from_u32(code),
            '_' if digits > 0 => {}
            digit if digits < 6 => {
                code = code * 16 + digit.to_digit(16)?;
                digits += 1;
            }
            _ => return None,
        }
    }
}

/// The kind and the length of the piece that a text begins with; nothing where there is no text.
fn first(text: &str) -> Option<(Kind, usize)> {
    let character = text.chars().next()?;
    let found = match character {
        _ if character.is_whitespace() => (Kind::Space, run(text, char::is_whitespace)),
        '/' if text.starts_with("//") => (Kind::Comment, run(text, |next| next != '\n' && next != '\r')),
        '_' | 'a'..='z' | 'A'..='Z' => (Kind::Word, run(text, in_word)),
        '0'..='9' => (Kind::Integer, run(text, |next| next.is_ascii_digit())),
        '"' => string(text),
        '?' if text.chars().nth(1).is_some_and(|next| in_word(next) && !next.is_ascii_digit()) => {
            (Kind::Slot, 1 + text.get(1..).map_or(0, |name| run(name, in_word)))
        }
        _ => SYMBOLS
            .iter()
            .find(|symbol| text.starts_with(**symbol))
            .map_or((Kind::Unknown, character.len_utf8()), |symbol| (Kind::Symbol, symbol.len())),
    };
    Some(found)
}

/// A string and its length: to the quote that ends it, or to the end of the text.
fn string(text: &str) -> (Kind, usize) {
    let mut kind = Kind::String;
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            // Cedar has no escape for the end of a line.
            '\n' if escaped => (kind, escaped) = (Kind::Unknown, false),
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return (kind, at + 1),
            _ => {}
        }
    }
    (Kind::Unknown, text.len())
}

/// How many bytes at the beginning of a text are of characters like these.
fn run(text: &str, like: impl Fn(char) -> bool) -> usize {
    text.find(|character| !like(character)).unwrap_or(text.len())
}

fn in_word(character: char) -> bool {
    character == '_' || character.is_ascii_alphanumeric()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(text: &str) -> Vec<(Kind, &str)> {
        tokens(text).map(|token| (token.kind, token.text)).collect()
    }

    #[test]
    fn a_condition_is_told_apart_into_words_symbols_and_literals() {
        use Kind::{Integer, Slot, String, Symbol, Unknown, Word};
        assert_eq!(
            written(r#"a::B::"x" in ?principal && !-1<=2 // "no" ; ("#),
            [
                (Word, "a"),
                (Symbol, "::"),
                (Word, "B"),
                (Symbol, "::"),
                (String, r#""x""#),
                (Word, "in"),
                (Slot, "?principal"),
                (Symbol, "&&"),
                (Symbol, "!"),
                (Symbol, "-"),
                (Integer, "1"),
                (Symbol, "<="),
                (Integer, "2"),
            ]
        );
        assert_eq!(written("é #"), [(Unknown, "é"), (Unknown, "#")]);
        assert_eq!(written("ip?:x"), [(Word, "ip"), (Symbol, "?"), (Symbol, ":"), (Word, "x")]);
    }

    #[test]
    fn a_comment_ends_with_its_line_be_it_the_old_macintosh_kind() {
        assert_eq!(written("// a \r b // c\r\nd").len(), 2, "`b` and `d` are no comment");
    }

    #[test]
    fn a_string_hides_what_it_holds_and_ends_at_its_own_quote() {
        assert_eq!(written("\"a\\\"(;//\nb\" c").len(), 2);
        assert_eq!(written("\"never ended ; ("), [(Kind::Unknown, "\"never ended ; (")]);
        assert_eq!(written("\"a\\\nb\"")[0].0, Kind::Unknown);
    }

    #[test]
    fn escapes_are_resolved_as_cedar_resolves_them() {
        for (quoted, text) in [
            (r#""a\n\r\t\\\0\'\"\x42""#, Some("a\n\r\t\\\0'\"B")),
            (r#""\u{e9}\u{1_F600}""#, Some("é😀")),
            ("\"é\"", Some("é")),
            (r#""\xFF""#, None),
            (r#""\u{}""#, None),
            (r#""\u{_1}""#, None),
            (r#""\u{D800}""#, None),
            (r#""\u{1111111}""#, None),
            (r#""\*""#, None),
            (r#""open"#, None),
            (r#"""#, None),
        ] {
            assert_eq!(unescape(quoted).as_deref(), text, "{quoted}");
        }
    }

    #[test]
    fn a_part_of_a_text_has_the_places_of_the_whole() {
        let text = "permit ( é, b );";
        let part: Vec<_> = tokens_in(text, 7..text.len()).collect();
        assert!(part.iter().all(|token| text.get(token.span()) == Some(token.text)));
        assert_eq!(tokens_in(text, 90..99).count(), 0);
    }

    proptest! {
        #[test]
        fn every_text_is_tiled_by_its_tokens(text in r#"(\PC|[\n\r\t"\\/?:;(){}&|é😀]){0,80}"#) {
            let mut end = 0;
            for token in lex(&text) {
                prop_assert_eq!(token.start, end);
                prop_assert!(!token.text.is_empty());
                prop_assert_eq!(text.get(token.span()), Some(token.text));
                end = token.span().end;
            }
            prop_assert_eq!(end, text.len());
        }

        #[test]
        fn a_string_that_cedar_wrote_is_read_back(text in r#"(\PC|[\n\r\t"\\']){0,40}"#) {
            let quoted = format!("\"{}\"", text.escape_debug());
            let pieces: Vec<_> = lex(&quoted).collect();
            prop_assert_eq!(pieces.len(), 1);
            prop_assert_eq!(unescape(&quoted), Some(text));
        }
    }
}
