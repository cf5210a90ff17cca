//! A JSON object on its way into a buffer, member by member: an answer and a record are written for every
//! request, and most of what is in them needs no escaping.

use std::sync::Arc;

use memchr::memchr2;
use serde::Serialize;
use serde_json::{Result, Serializer};

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

/// An object on its way whose first member is an array of objects.
#[derive(Debug)]
pub struct Objects {
    bytes: Vec<u8>,
    /// How long the buffer is before the first of them.
    empty: usize,
}

impl Objects {
    /// None in the array yet, and room for so many bytes.
    pub fn begin(name: &'static str, room: usize) -> Self {
        let mut bytes = Vec::with_capacity(room);
        let mut object = Object::begin(&mut bytes);
        object.name(name);
        bytes.push(b'[');
        Self { empty: bytes.len(), bytes }
    }

    /// Adds one. What is here after an error is of no use.
    pub fn push(&mut self, write: impl FnOnce(&mut Object<'_>) -> Result<()>) -> Result<()> {
        self.next();
        let mut object = Object::begin(&mut self.bytes);
        write(&mut object)?;
        object.end();
        Ok(())
    }

    /// Adds those of an array of the same name.
    pub fn append(&mut self, others: &Self) {
        let others = others.bytes.get(others.empty..).unwrap_or_default();
        if !others.is_empty() {
            self.next();
            self.bytes.extend_from_slice(others);
        }
    }

    /// Takes them out, and leaves the array empty.
    #[must_use]
    pub fn take(&mut self) -> Self {
        let begun = self.bytes.get(..self.empty).unwrap_or_default().to_vec();
        Self { bytes: std::mem::replace(&mut self.bytes, begun), empty: self.empty }
    }

    /// Ends the array, and the object with the members that `rest` writes.
    pub fn end(mut self, rest: impl FnOnce(&mut Object<'_>) -> Result<()>) -> Result<Vec<u8>> {
        self.bytes.push(b']');
        let mut object = Object { bytes: &mut self.bytes, empty: 1 };
        rest(&mut object)?;
        object.end();
        Ok(self.bytes)
    }

    fn next(&mut self) {
        if self.bytes.len() > self.empty {
            self.bytes.push(b',');
        }
    }
}

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
        self.verbatim(name, [word]);
    }

    /// A string that is made of these pieces, none of which is escaped: whoever calls knows that they need none, or
    /// that it is done.
    #[inline]
    pub fn verbatim<const COUNT: usize>(&mut self, name: &'static str, pieces: [&str; COUNT]) {
        self.name(name);
        self.bytes.push(b'"');
        for piece in pieces {
            debug_assert!(
                seen(piece.as_bytes()) & UNPRINTABLE == 0,
                "`{piece}` cannot stand in JSON as it is"
            );
            self.bytes.extend_from_slice(piece.as_bytes());
        }
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

/// What it takes to write a text into JSON.
enum Writing {
    /// It stands there as it is.
    Copy,
    /// Quotes and backslashes are escaped; in uids of entities there are quotes.
    Quote,
    /// It goes serde's way, character by character.
    Spell,
}

fn write_text(bytes: &mut Vec<u8>, text: &str) -> Result<()> {
    let mut rest = text.as_bytes();
    let writing = Writing::of(rest);
    if matches!(writing, Writing::Spell) {
        return write(bytes, text);
    }
    bytes.push(b'"');
    if matches!(writing, Writing::Quote) {
        while let Some((before, behind)) =
            memchr2(b'"', b'\\', rest).and_then(|place| rest.split_at_checked(place))
            && let Some((special, behind)) = behind.split_first()
        {
            bytes.extend_from_slice(before);
            bytes.extend_from_slice(&[b'\\', *special]);
            rest = behind;
        }
    }
    bytes.extend_from_slice(rest);
    bytes.push(b'"');
    Ok(())
}

impl Writing {
    fn of(text: &[u8]) -> Self {
        match seen(text) {
            0 => Self::Copy,
            SPECIAL => Self::Quote,
            _ => Self::Spell,
        }
    }
}

const SPECIAL: u8 = 1;
const UNPRINTABLE: u8 = 2;

/// Which kinds of bytes a text has that may not stand as they are.
fn seen(text: &[u8]) -> u8 {
    in_pieces::<16>(text)
        .or_else(|| in_pieces::<4>(text))
        .or_else(|| in_pieces::<1>(text))
        .unwrap_or_default()
}

/// The same by pieces of that length; nothing of a text that is shorter.
fn in_pieces<const LENGTH: usize>(text: &[u8]) -> Option<u8> {
    // It may overlap the piece before: a byte is looked at twice rather than by itself.
    let last = text.last_chunk::<LENGTH>()?;
    let (pieces, _) = text.as_chunks::<LENGTH>();
    Some(pieces.iter().fold(of_piece(last), |seen, piece| seen | of_piece(piece)))
}

/// Without a branch, and of a known length: the compiler looks at all bytes at once.
fn of_piece<const LENGTH: usize>(piece: &[u8; LENGTH]) -> u8 {
    piece.iter().fold(0, |seen, byte| {
        let special = u8::from(matches!(byte, b'"' | b'\\')) * SPECIAL;
        let unprintable = u8::from(!matches!(byte, b' '..=b'~')) * UNPRINTABLE;
        seen | special | unprintable
    })
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
        object.verbatim("h", ["x", "\\\"", "y"]);
        object.end();
        assert_eq!(
            std::str::from_utf8(&bytes).unwrap(),
            r#"{"a":"plain","b":["x","\u202e",""],"c":[],"d":[1,2],"m":"word","n":"\"","e":"{","f":[{"g":1},{"g":2}],"h":"x\"y"}"#
        );
    }

    #[test]
    fn objects_are_added_one_by_one_and_together() {
        let objects = |numbers: &[u8]| {
            let mut objects = Objects::begin("o", 0);
            for number in numbers {
                objects.push(|inner| inner.member("n", number)).unwrap();
            }
            objects
        };
        let text =
            |objects: Objects| String::from_utf8(objects.end(|rest| rest.text("r", "x")).unwrap()).unwrap();
        let mut all = objects(&[]);
        for some in [objects(&[]), objects(&[1]), objects(&[]), objects(&[2, 3])] {
            all.append(&some);
        }
        let taken = all.take();
        assert_eq!(text(all), text(objects(&[])));
        assert_eq!(text(taken), r#"{"o":[{"n":1},{"n":2},{"n":3}],"r":"x"}"#);
        assert_eq!(text(objects(&[])), r#"{"o":[],"r":"x"}"#);
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

    #[test]
    fn every_byte_is_looked_at_wherever_it_stands() {
        for length in 0..40 {
            for place in 0..length {
                for odd in ['"', '\\', '\n', '\u{7f}', '\u{202e}'] {
                    let mut text: Vec<_> = "a".repeat(length).chars().collect();
                    text[place] = odd;
                    let text: String = text.into_iter().collect();
                    let (mut short, mut long) = (Vec::new(), Vec::new());
                    write_text(&mut short, &text).unwrap();
                    write(&mut long, &text).unwrap();
                    assert_eq!(short, long, "{text:?}");
                }
            }
        }
    }
}
