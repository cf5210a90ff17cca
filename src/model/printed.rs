//! A JSON object on its way into a buffer, member by member: an answer and a record are written for every
//! request, and most of what is in them needs no escaping.

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
        if self.bytes.len() > self.empty {
            self.bytes.push(b',');
        }
        self.bytes.push(b'"');
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.extend_from_slice(b"\":");
    }
}

fn write(bytes: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) -> Result<()> {
    value.serialize(&mut Serializer::with_formatter(bytes, Printable))
}

/// Most texts stand in JSON as they are, and most others are uids of entities, with quotes. What else there is
/// goes serde's way.
fn write_text(bytes: &mut Vec<u8>, text: &str) -> Result<()> {
    if !is_all(text, |byte| matches!(byte, b' '..=b'~')) {
        return write(bytes, text);
    }
    bytes.push(b'"');
    if is_all(text, |byte| byte != b'"' && byte != b'\\') {
        bytes.extend_from_slice(text.as_bytes());
    } else {
        write_escaped(bytes, text);
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

/// Looks at pieces to their ends: of that the compiler makes a few instructions.
#[inline]
fn is_all(text: &str, is: impl Fn(u8) -> bool) -> bool {
    let (pieces, rest) = text.as_bytes().as_chunks::<PIECE>();
    let all = |piece: &[u8]| piece.iter().fold(true, |all, byte| all & is(*byte));
    pieces.iter().all(|piece| all(piece)) && all(rest)
}

/// What a register takes.
const PIECE: usize = 16;

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
        object.text("e", "{").unwrap();
        object.objects("f", [1, 2], |number, inner| inner.member("g", &number)).unwrap();
        object.end();
        assert_eq!(
            std::str::from_utf8(&bytes).unwrap(),
            r#"{"a":"plain","b":["x","\u202e",""],"c":[],"d":[1,2],"e":"{","f":[{"g":1},{"g":2}]}"#
        );
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
