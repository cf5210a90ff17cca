//! A JSON object on its way into a buffer, member by member: an answer and a record are written for every
//! request, and most of what is in them needs no escaping.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Result, Serializer};

use super::word::Word;

mod escape;

use escape::Printable;

/// An object that has begun. The names of its members are ours and need no escaping.
#[derive(Debug)]
pub struct Object<'b> {
    bytes: &'b mut Vec<u8>,
    /// How long the buffer is before the first member.
    empty: usize,
}

/// Members that were written once and stand in many objects.
#[derive(Debug, Clone)]
pub struct Members(Arc<[u8]>);

impl Members {
    /// Writes them.
    pub fn of(write: impl FnOnce(&mut Object<'_>) -> Result<()>) -> Result<Self> {
        let mut bytes = Vec::new();
        let mut object = Object { empty: 0, bytes: &mut bytes };
        write(&mut object)?;
        Ok(Self(bytes.into()))
    }
}

impl<'b> Object<'b> {
    /// Begins an object behind what is in the buffer.
    pub fn begin(bytes: &'b mut Vec<u8>) -> Self {
        bytes.push(b'{');
        Self { empty: bytes.len(), bytes }
    }

    /// A member of any kind.
    pub fn member(&mut self, name: &'static str, value: &impl Serialize) -> Result<()> {
        self.name(name);
        write(self.bytes, value)
    }

    /// Members that were written before.
    pub fn members(&mut self, members: &Members) {
        self.next();
        self.bytes.extend_from_slice(&members.0);
    }

    /// One of our own words, which need no escaping either.
    #[inline]
    pub fn word(&mut self, name: &'static str, word: &'static str) {
        self.name(name);
        self.bytes.push(b'"');
        self.bytes.extend_from_slice(word.as_bytes());
        self.bytes.push(b'"');
    }

    /// A string.
    #[inline]
    pub fn text(&mut self, name: &'static str, text: &str) -> Result<()> {
        self.name(name);
        write_text(self.bytes, text)
    }

    /// An array of strings.
    pub fn texts<'t>(&mut self, name: &'static str, texts: impl IntoIterator<Item = &'t str>) -> Result<()> {
        self.array(name, texts, write_text)
    }

    /// An array of objects, each written by `members`.
    pub fn objects<T>(
        &mut self,
        name: &'static str,
        items: impl IntoIterator<Item = T>,
        members: impl Fn(T, &mut Object<'_>) -> Result<()>,
    ) -> Result<()> {
        self.array(name, items, |bytes, item| {
            let mut object = Object::begin(bytes);
            members(item, &mut object)?;
            object.end();
            Ok(())
        })
    }

    /// Ends it.
    pub fn end(self) {
        self.bytes.push(b'}');
    }

    fn array<T>(
        &mut self,
        name: &'static str,
        items: impl IntoIterator<Item = T>,
        element: impl Fn(&mut Vec<u8>, T) -> Result<()>,
    ) -> Result<()> {
        self.name(name);
        self.bytes.push(b'[');
        for (number, item) in items.into_iter().enumerate() {
            if number > 0 {
                self.bytes.push(b',');
            }
            element(self.bytes, item)?;
        }
        self.bytes.push(b']');
        Ok(())
    }

    // Names are constants, of which the compiler makes a few instructions where it sees them.
    #[inline]
    fn name(&mut self, name: &'static str) {
        self.next();
        self.bytes.push(b'"');
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.extend_from_slice(b"\":");
    }

    #[inline]
    fn next(&mut self) {
        if self.bytes.len() > self.empty {
            self.bytes.push(b',');
        }
    }
}

fn write(bytes: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) -> Result<()> {
    value.serialize(&mut Serializer::with_formatter(bytes, Printable))
}

/// Most texts stand in JSON as they are, and most others are uids of entities, with quotes. What else there is
/// goes serde's way.
fn write_text(bytes: &mut Vec<u8>, text: &str) -> Result<()> {
    let start = bytes.len();
    bytes.reserve(text.len() + 2);
    bytes.push(b'"');
    let (words, rest) = text.as_bytes().as_chunks();
    let mut last = [b' '; Word::LENGTH];
    last.iter_mut().zip(rest).for_each(|(to, byte)| *to = *byte);
    let words = words.iter().map(|word| (word, word.as_slice()));
    for (word, piece) in words.chain([(&last, rest)]) {
        let word = Word::of(*word);
        if !word.is_printable() {
            bytes.truncate(start);
            return write(bytes, text);
        }
        if word.has(b'"') || word.has(b'\\') {
            write_escaped(bytes, piece);
        } else {
            bytes.extend_from_slice(piece);
        }
    }
    bytes.push(b'"');
    Ok(())
}

fn write_escaped(bytes: &mut Vec<u8>, piece: &[u8]) {
    for byte in piece {
        if matches!(byte, b'"' | b'\\') {
            bytes.push(b'\\');
        }
        bytes.push(*byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_what_serde_would_have_written() {
        let mut bytes = Vec::new();
        let mut object = Object::begin(&mut bytes);
        object.text("a", "plain").unwrap();
        object.texts("b", ["x", "\u{202e}", ""]).unwrap();
        object.texts("c", []).unwrap();
        object.member("d", &[1, 2]).unwrap();
        let members = Members::of(|object| {
            object.word("m", "word");
            object.text("n", "\"")
        });
        object.members(&members.unwrap());
        object.text("e", "{").unwrap();
        object.objects("f", [1, 2], |number, inner| inner.member("g", &number)).unwrap();
        object.end();
        assert_eq!(
            std::str::from_utf8(&bytes).unwrap(),
            r#"{"a":"plain","b":["x","\u202e",""],"c":[],"d":[1,2],"m":"word","n":"\"","e":"{","f":[{"g":1},{"g":2}]}"#
        );
    }

    #[test]
    fn every_character_comes_out_as_serde_writes_it() {
        for letter in char::MIN..=char::MAX {
            let text = format!("a{letter}b\", and more");
            let (mut short, mut long) = (Vec::new(), Vec::new());
            write_text(&mut short, &text).unwrap();
            write(&mut long, &text).unwrap();
            assert_eq!(short, long);
        }
    }
}
