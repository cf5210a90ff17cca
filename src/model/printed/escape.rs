//! JSON on one line of printable characters: what a terminal, a log viewer or a reader of the
//! decision log could be fooled by is escaped.

use std::io;

use serde_json::ser::Formatter;

/// Compact JSON in which every character that is not printable is written as `\u` and its number: controls,
/// U+2028 and U+2029, bidirectional and zero-width characters, private and unassigned ones.
#[derive(Debug, Clone, Copy)]
pub(super) struct Printable;

impl Formatter for Printable {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        if fragment.is_ascii() && !fragment.contains('\u{7f}') {
            return writer.write_all(fragment.as_bytes());
        }
        let mut character = [0; 4];
        for letter in fragment.chars() {
            if is_printable(letter) {
                writer.write_all(letter.encode_utf8(&mut character).as_bytes())?;
            } else {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

/// The standard library's own judgement, which follows Unicode's tables: `escape_debug` leaves a
/// character alone or replaces it. It replaces combining marks too, which loses nothing in JSON.
fn is_printable(letter: char) -> bool {
    match letter {
        ' '..='~' => true,
        _ => letter.escape_debug().len() == 1,
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;

    fn written(text: &str) -> String {
        let mut line = Vec::new();
        text.serialize(&mut serde_json::Serializer::with_formatter(&mut line, Printable)).unwrap();
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn what_is_printable_stays_readable() {
        assert_eq!(written("naïve 商品 🛒 'x' ~"), "\"naïve 商品 🛒 'x' ~\"");
        assert_eq!(written("a\"b\\c\nd"), r#""a\"b\\c\nd""#);
    }

    #[test]
    fn what_could_fool_a_reader_is_escaped() {
        for (letter, escape) in [
            ('\u{0}', r"\u0000"),
            ('\u{1b}', r"\u001b"),
            ('\u{7f}', r"\u007f"),
            ('\u{85}', r"\u0085"),
            ('\u{9f}', r"\u009f"),
            ('\u{ad}', r"\u00ad"),
            ('\u{61c}', r"\u061c"),
            ('\u{200b}', r"\u200b"),
            ('\u{200e}', r"\u200e"),
            ('\u{2028}', r"\u2028"),
            ('\u{2029}', r"\u2029"),
            ('\u{202e}', r"\u202e"),
            ('\u{2066}', r"\u2066"),
            ('\u{feff}', r"\ufeff"),
            ('\u{ffff}', r"\uffff"),
            ('\u{e0001}', r"\udb40\udc01"),
        ] {
            assert_eq!(written(&letter.to_string()), format!("\"{escape}\""));
        }
    }

    #[test]
    fn every_character_survives_the_way_to_the_log_and_back() {
        for letter in char::MIN..=char::MAX {
            let text = letter.to_string();
            let line = written(&text);
            assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
            assert!(!line.chars().any(|letter| letter.is_control() || letter == '\u{202e}'));
        }
    }
}
