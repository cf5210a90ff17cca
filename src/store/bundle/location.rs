//! Where a bundle is: `s3://bucket/key`, or a URL that may be talked to.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};

use crate::endpoint::Endpoint;

/// Where a bundle is fetched from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// An object of S3, or of what speaks its protocol.
    S3 {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
    },
    /// A file of an HTTP server.
    Http(Endpoint),
}

impl Location {
    /// What findings about the whole archive call it: the last part of its name.
    pub(super) fn name(&self) -> &str {
        let path = match self {
            Self::S3 { key, .. } => key,
            Self::Http(endpoint) => endpoint.url().path(),
        };
        path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("bundle")
    }
}

/// As the configuration writes it.
impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3 { bucket, key } => write!(formatter, "s3://{bucket}/{key}"),
            Self::Http(endpoint) => endpoint.url().fmt(formatter),
        }
    }
}

impl FromStr for Location {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(object) = text.strip_prefix("s3://") {
            return match object.split_once('/') {
                Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() && !key.ends_with('/') => {
                    Ok(Self::S3 { bucket: bucket.to_owned(), key: key.to_owned() })
                }
                _ => Err(format!("`{text}` names no object: write `s3://bucket/key`")),
            };
        }
        let endpoint = Endpoint::parse(text)
            .map_err(|fault| format!("{fault}; write `s3://bucket/key` or an https URL"))?;
        if endpoint.url().query().is_some() || endpoint.url().fragment().is_some() {
            return Err(
                "the URL has a query or a fragment: such URLs end, and they end up in logs".to_owned()
            );
        }
        Ok(Self::Http(endpoint))
    }
}

impl<'de> Deserialize<'de> for Location {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_is_an_object_or_a_file_behind_a_safe_url() {
        for (text, name) in [
            ("s3://policies/shop/bundle.tar.gz", "bundle.tar.gz"),
            ("https://example.com/policies.tar.gz", "policies.tar.gz"),
            ("http://127.0.0.1:9000/", "bundle"),
        ] {
            let location: Location = text.parse().unwrap();
            assert_eq!((location.to_string().as_str(), location.name()), (text, name));
        }
        for wrong in [
            "s3://policies",
            "s3:///key",
            "s3://policies/",
            "s3://policies/folder/",
            "http://example.com/policies.tar.gz",
            "https://user:secret@example.com/p",
            "https://example.com/p?X-Amz-Signature=x",
            "policies.tar.gz",
            "",
        ] {
            assert!(wrong.parse::<Location>().is_err(), "{wrong}");
        }
    }
}
