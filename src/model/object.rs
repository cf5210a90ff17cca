//! JSON objects and nothing else where a struct is wanted. Serde would read an array too, its elements
//! as the members in their order: a form that nobody documents, and that changes with the struct.

use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;

/// A deserializer that knows objects only.
#[derive(Debug)]
pub struct Object<D>(pub D);

/// Reads a whole text that is one object.
///
/// # Errors
/// It is not, or what is in it does not fit.
pub fn read<'de, T: Deserialize<'de>>(json: &'de [u8]) -> serde_json::Result<T> {
    // Once for the whole text, and not string by string.
    let json = std::str::from_utf8(json).map_err(|_| serde_json::Error::custom("the text is not UTF-8"))?;
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let value = T::deserialize(Object(&mut deserializer))?;
    deserializer.end()?;
    Ok(value)
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Object<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(expecting = "a point")]
    struct Point {
        x: i64,
        y: i64,
    }

    #[test]
    fn an_array_is_no_struct() {
        assert_eq!(read::<Point>(b" {\"y\": 2, \"x\": 1} ").unwrap(), Point { x: 1, y: 2 });
        for text in ["[1, 2]", "1", "\"x\"", "null"] {
            let refused = read::<Point>(text.as_bytes()).unwrap_err().to_string();
            assert!(refused.contains("expected a point"), "{refused}");
        }
        assert!(read::<Point>(b"{\"x\": 1, \"y\": 2} {}").is_err());
        assert!(read::<Point>(b"{\"x\": 1, \"y\": 2, \"\xff\": 3}").is_err());
    }
}
