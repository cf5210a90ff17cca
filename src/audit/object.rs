//! A JSON object on its way into a buffer, member by member: a record is written for every request,
//! and most of it needs no escaping.

use serde::Serialize;
use serde_json::{Result, Serializer};

use super::escape::Printable;

/// An object that has begun. The names of its members are ours and need no escaping.
pub(super) struct Object<'b>(&'b mut Vec<u8>);

impl<'b> Object<'b> {
    /// Begins an object behind what is in the buffer.
    pub(super) fn begin(bytes: &'b mut Vec<u8>) -> Self {
        bytes.push(b'{');
        Self(bytes)
    }

    /// A member of any kind.
    pub(super) fn member(&mut self, name: &'static str, value: &impl Serialize) -> Result<()> {
        self.name(name);
        write(self.0, value)
    }

    /// A string.
    pub(super) fn text(&mut self, name: &'static str, text: &str) -> Result<()> {
        self.name(name);
        write_text(self.0, text)
    }

    /// An array of strings.
    pub(super) fn texts<'t>(
        &mut self,
        name: &'static str,
        texts: impl IntoIterator<Item = &'t str>,
    ) -> Result<()> {
        self.name(name);
        self.0.push(b'[');
        for (number, text) in texts.into_iter().enumerate() {
            if number > 0 {
                self.0.push(b',');
            }
            write_text(self.0, text)?;
        }
        self.0.push(b']');
        Ok(())
    }

    /// Ends it.
    pub(super) fn end(self) {
        self.0.push(b'}');
    }

    fn name(&mut self, name: &'static str) {
        if self.0.last() != Some(&b'{') {
            self.0.push(b',');
        }
        self.0.push(b'"');
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }
}

fn write(bytes: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) -> Result<()> {
    value.serialize(&mut Serializer::with_formatter(bytes, Printable))
}

fn write_text(bytes: &mut Vec<u8>, text: &str) -> Result<()> {
    if !is_plain(text) {
        return write(bytes, text);
    }
    bytes.push(b'"');
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(b'"');
    Ok(())
}

/// Whether a text stands in JSON as it is: printable ASCII without quote and backslash.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\')
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
        object.text("e", "{").unwrap();
        object.end();
        assert_eq!(
            std::str::from_utf8(&bytes).unwrap(),
            r#"{"a":"plain","b":["x","\u202e",""],"c":[],"d":[1,2],"e":"{"}"#
        );
    }

    #[test]
    fn every_character_that_is_not_plain_goes_the_long_way() {
        for letter in char::MIN..=char::MAX {
            let text = format!("a{letter}b");
            let (mut short, mut long) = (Vec::new(), Vec::new());
            write_text(&mut short, &text).unwrap();
            write(&mut long, &text).unwrap();
            assert_eq!(short, long);
        }
    }
}
