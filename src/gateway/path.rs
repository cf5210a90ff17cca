//! The path of a request, taken apart; one that two readers could read in two ways is refused.
//!
//! Nothing is ever canonicalised here: the handler sees the path as the client sent it, so whatever we made of
//! it would be a decision about another path.

use percent_encoding::percent_decode_str;

/// How a path was handed to us. The REST APIs of API Gateway hand it on as the client sent it; its HTTP APIs
/// decode it first, so a `%` in it was an encoded one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handed {
    /// Its octets may be percent-encoded (RFC 3986, section 2.1).
    Encoded,
    /// They are not, or nobody says whether they are.
    Decoded,
}

/// The segments of a path that every reader reads in the same way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(Vec<Segment>);

/// What stands between two slashes; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// As it came.
    pub raw: String,
    /// Decoded, once.
    pub decoded: String,
}

/// Why a path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    /// It is no absolute path.
    #[error("the path does not begin with `/`")]
    Relative,
    /// `//`, or a slash at the end.
    #[error("the path has an empty segment")]
    EmptySegment,
    /// `.` or `..`.
    #[error("the path has a dot segment")]
    DotSegment,
    /// `*` or `?`, which policies of IAM read as wildcards.
    #[error("the path holds a wildcard of IAM")]
    Wildcard,
    /// `${`, which policies of IAM read as the beginning of a variable.
    #[error("the path holds the beginning of an IAM variable")]
    Variable,
    /// A backslash, which some read as a slash.
    #[error("the path holds a backslash")]
    Backslash,
    /// A character that is not for reading.
    #[error("the path holds a control character")]
    Control,
    /// `%2F`, `%2E` or `%25`: it would be another path once it is decoded, or decoded twice.
    #[error("the path holds an encoded `/`, `.` or `%`")]
    EncodedDelimiter,
    /// A `%` without two hexadecimal digits behind it, or octets that are no UTF-8.
    #[error("the path is not percent-encoded UTF-8")]
    Encoding,
}

impl Path {
    /// Takes a path apart. `/` has no segments.
    ///
    /// # Errors
    /// It is one of those that are refused.
    pub fn parse(path: &str, handed: Handed) -> Result<Self, PathFault> {
        let segments = path.strip_prefix('/').ok_or(PathFault::Relative)?;
        if segments.is_empty() {
            return Ok(Self(Vec::new()));
        }
        segments.split('/').map(|segment| Segment::parse(segment, handed)).collect::<Result<_, _>>().map(Self)
    }

    /// Its segments, in order.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// The end of this path that another one names, segment by segment, in whatever form each was handed to
    /// us. A stage and the base path of a domain stand before the paths that an API knows.
    pub fn ending_in(self, other: &Self) -> Option<Self> {
        let start = self.0.len().checked_sub(other.0.len())?;
        let end: Vec<_> = self.0.into_iter().skip(start).collect();
        end.iter().zip(&other.0).all(|(one, other)| one.is(other)).then_some(Self(end))
    }
}

impl Segment {
    fn parse(raw: &str, handed: Handed) -> Result<Self, PathFault> {
        let decoded = match handed {
            Handed::Encoded => decoded(raw)?,
            Handed::Decoded if raw.contains('%') => return Err(PathFault::EncodedDelimiter),
            Handed::Decoded => raw.to_owned(),
        };
        refuse_ambiguous(&decoded)?;
        Ok(Self { raw: raw.to_owned(), decoded })
    }

    /// Whether both are the same octets, one of them perhaps encoded still.
    fn is(&self, other: &Self) -> bool {
        self.raw == other.raw || self.decoded == other.decoded
    }
}

fn decoded(raw: &str) -> Result<String, PathFault> {
    for behind in raw.split('%').skip(1) {
        let mut digits = behind.bytes().take(2);
        match (digits.next(), digits.next()) {
            (Some(b'2'), Some(b'f' | b'F' | b'e' | b'E' | b'5')) => return Err(PathFault::EncodedDelimiter),
            (Some(high), Some(low)) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {}
            _ => return Err(PathFault::Encoding),
        }
    }
    let decoded = percent_decode_str(raw).decode_utf8().map_err(|_| PathFault::Encoding)?;
    Ok(decoded.into_owned())
}

fn refuse_ambiguous(segment: &str) -> Result<(), PathFault> {
    match segment {
        "" => return Err(PathFault::EmptySegment),
        "." | ".." => return Err(PathFault::DotSegment),
        _ => {}
    }
    if segment.contains(['*', '?']) {
        return Err(PathFault::Wildcard);
    }
    if segment.contains("${") {
        return Err(PathFault::Variable);
    }
    if segment.contains('\\') {
        return Err(PathFault::Backslash);
    }
    if segment.contains(char::is_control) {
        return Err(PathFault::Control);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    use super::*;

    fn segments(path: &str, handed: Handed) -> Result<Vec<String>, PathFault> {
        let path = Path::parse(path, handed)?;
        Ok(path.segments().iter().map(|segment| segment.decoded.clone()).collect())
    }

    #[test]
    fn a_plain_path_is_its_segments() {
        assert_eq!(segments("/", Handed::Encoded).unwrap(), [""; 0]);
        assert_eq!(segments("/products/p-1", Handed::Encoded).unwrap(), ["products", "p-1"]);
        assert_eq!(
            segments("/users/eva%40example.com", Handed::Encoded).unwrap(),
            ["users", "eva@example.com"]
        );
        assert_eq!(segments("/caf%C3%A9", Handed::Encoded).unwrap(), ["café"]);
        assert_eq!(segments("/café/a b", Handed::Decoded).unwrap(), ["café", "a b"]);
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for (path, fault) in [
            ("", PathFault::Relative),
            ("products", PathFault::Relative),
            ("//products", PathFault::EmptySegment),
            ("/products/", PathFault::EmptySegment),
            ("/a//b", PathFault::EmptySegment),
            ("/a/./b", PathFault::DotSegment),
            ("/a/..", PathFault::DotSegment),
            ("/a/*", PathFault::Wildcard),
            ("/a/b%2A", PathFault::Wildcard),
            ("/a/b?c", PathFault::Wildcard),
            ("/a/%3fb", PathFault::Wildcard),
            ("/a/${aws:username}", PathFault::Variable),
            ("/a/%24%7Baws:username}", PathFault::Variable),
            ("/a\\b", PathFault::Backslash),
            ("/a%5cb", PathFault::Backslash),
            ("/a%00", PathFault::Control),
            ("/a\nb", PathFault::Control),
            ("/a%c2%85", PathFault::Control),
            ("/a%2Fb", PathFault::EncodedDelimiter),
            ("/a%2f..", PathFault::EncodedDelimiter),
            ("/%2e%2E/b", PathFault::EncodedDelimiter),
            ("/a%252Fb", PathFault::EncodedDelimiter),
            ("/a%", PathFault::Encoding),
            ("/a%4", PathFault::Encoding),
            ("/a%zz", PathFault::Encoding),
            ("/a%ff", PathFault::Encoding),
        ] {
            assert_eq!(Path::parse(path, Handed::Encoded), Err(fault), "{path}");
        }
        assert_eq!(Path::parse("/a%40", Handed::Decoded), Err(PathFault::EncodedDelimiter));
    }

    #[test]
    fn a_stage_or_base_path_stands_before_the_path_that_the_api_knows() {
        let path = |text| Path::parse(text, Handed::Encoded).unwrap();
        let ending = path("/dev/products/p%40").ending_in(&path("/products/p@")).unwrap();
        assert_eq!(ending.segments().len(), 2);
        assert_eq!(path("/dev/products/p-1").ending_in(&path("/products/p-2")), None);
        assert_eq!(path("/p-1").ending_in(&path("/products/p-1")), None);
        assert_eq!(path("/dev").ending_in(&path("/")), Some(path("/")));
    }

    proptest! {
        #[test]
        fn what_is_taken_holds_nothing_that_is_refused(path in "(/|[a-z.*?\\\\]|[$]\\{|%[0-9a-fA-F]{2}|\\PC|[\\x00-\\x1f]){0,12}") {
            for handed in [Handed::Encoded, Handed::Decoded] {
                let Ok(taken) = Path::parse(&path, handed) else { continue };
                for Segment { raw, decoded } in taken.segments() {
                    prop_assert!(!decoded.is_empty() && decoded != "." && decoded != "..");
                    let variable = decoded.contains("${");
                    prop_assert!(!decoded.contains(['*', '?', '\\', '/', '%']) && !variable);
                    prop_assert!(!decoded.chars().any(char::is_control));
                    prop_assert!(!raw.to_lowercase().contains("%2f") && !raw.to_lowercase().contains("%25"));
                }
                // No reader sees another number of segments, however often it decodes.
                prop_assert_eq!(path.split('/').filter(|segment| !segment.is_empty()).count(), taken.segments().len());
            }
        }

        #[test]
        fn an_encoded_id_is_decoded_once(id in "[a-zA-Z0-9 @:é_-]{1,12}") {
            let path = format!("/products/{}", utf8_percent_encode(&id, NON_ALPHANUMERIC));
            prop_assert_eq!(segments(&path, Handed::Encoded).unwrap(), ["products".to_owned(), id]);
        }
    }
}
