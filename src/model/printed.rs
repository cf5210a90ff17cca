//! A JSON object on its way into a buffer, member by member: an answer and a record are written for every
//! request, and most of what is in them needs no escaping.

use std::sync::Arc;

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
    let found = Found::in_text(text.as_bytes());
    if found.unprintable {
        return write(bytes, text);
    }
    bytes.reserve(text.len() + 2);
    bytes.push(b'"');
    if found.special {
        write_escaped(bytes, text);
    } else {
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes.push(b'"');
    Ok(())
}

fn write_escaped(bytes: &mut Vec<u8>, text: &str) {
    for piece in text.as_bytes().split_inclusive(|byte| matches!(byte, b'"' | b'\\')) {
        match piece.split_last() {
            Some((special @ (b'"' | b'\\'), before)) => {
                bytes.extend_from_slice(before);
                bytes.extend_from_slice(&[b'\\', *special]);
            }
            Some(_) | None => bytes.extend_from_slice(piece),
        }
    }
}

/// What there is in a text beside printable ASCII that JSON leaves alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Found {
    /// Quotes or backslashes.
    special: bool,
    /// Controls, DEL, or anything beyond ASCII.
    unprintable: bool,
}

impl Found {
    /// Looks at eight bytes at a time, as numbers in one register: "Determine if a word has a byte less than n"
    /// and "equal to n" of Anderson's "Bit Twiddling Hacks".
    fn in_text(text: &[u8]) -> Self {
        let (words, rest) = text.as_chunks::<8>();
        let mut last = [b' '; 8];
        last.iter_mut().zip(rest).for_each(|(to, byte)| *to = *byte);
        let (mut special, mut unprintable) = (0, 0);
        for word in words.iter().chain([&last]).map(|word| u64::from_ne_bytes(*word)) {
            special |= Self::zeros(word ^ Self::each(b'"')) | Self::zeros(word ^ Self::each(b'\\'));
            // A byte is ASCII here, or found by itself: neither sum carries into its neighbour unseen.
            let below_blank = word.wrapping_sub(Self::each(b' ')) & !word;
            let above_tilde = word.wrapping_add(Self::each(1)) | word;
            unprintable |= (below_blank | above_tilde) & Self::each(0x80);
        }
        Self { special: special != 0, unprintable: unprintable != 0 }
    }

    const fn each(byte: u8) -> u64 {
        u64::from_ne_bytes([byte; 8])
    }

    /// Not zero where a byte is.
    const fn zeros(word: u64) -> u64 {
        word.wrapping_sub(Self::each(1)) & !word & Self::each(0x80)
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
    fn what_is_found_is_what_is_there_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            for length in 1..20 {
                for place in 0..length {
                    let mut text = vec![b'a'; length];
                    text[place] = byte;
                    let expected = Found {
                        special: matches!(byte, b'"' | b'\\'),
                        unprintable: !matches!(byte, b' '..=b'~'),
                    };
                    assert_eq!(Found::in_text(&text), expected, "{byte} at {place} of {length}");
                }
            }
        }
    }

    #[test]
    fn every_character_comes_out_as_serde_writes_it() {
        for letter in char::MIN..=char::MAX {
            let text = format!("a{letter}b\"");
            let (mut short, mut long) = (Vec::new(), Vec::new());
            write_text(&mut short, &text).unwrap();
            write(&mut long, &text).unwrap();
            assert_eq!(short, long);
        }
    }
}
