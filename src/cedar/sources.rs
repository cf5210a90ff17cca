//! The texts that a decision is made under, with their paths, and their revision.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::model::Issuer;

/// Everything that decides: the texts of one revision and the settings they are read under.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The `*.cedar` files.
    pub policies: Vec<Source>,
    /// The `links.json` files, in Cedar's `-k` format.
    pub links: Vec<Source>,
    /// The `*.cedarschema` files.
    pub schema: Vec<Source>,
    /// The files of stored entities, in Cedar's entity format.
    pub entities: Vec<Source>,
    /// The settings that decide.
    pub settings: Settings,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its path as findings name it, from where the configuration stands: `policies/product.cedar`.
    pub path: Arc<str>,
    /// Its path below the configured folder: `product.cedar`. Ids and the revision go by it, so
    /// that neither changes with the place of the folder.
    pub name: Arc<str>,
    /// Its text.
    pub text: Arc<str>,
}

/// The settings that decide.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// Where names without `::` live, in requests and tests. Empty: nowhere but at the top.
    pub namespace: String,
    /// What a forbid that cannot be evaluated does.
    pub forbid_errors: ForbidErrors,
    /// How each issuer's claims become principals.
    pub issuers: Vec<Issuer>,
    /// Whether every decision is also made over all policies, and that one stands. No part of the
    /// revision: the two are the same.
    #[serde(skip)]
    pub verify_index: bool,
}

/// What a forbid that cannot be evaluated does to a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ForbidErrors {
    /// It denies: a hole in a prohibition is not a permission.
    #[default]
    Deny,
    /// It is skipped: Cedar's own semantics.
    Skip,
}

/// The SHA-256 of some texts with their names.
pub(super) type Digest = [u8; 32];

/// The digest of everything that a decision was made under: `sha256:` and 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision(Arc<str>);

impl Sources {
    /// The digest of every path and text, and of the settings. The order of the files does not matter.
    pub fn revision(&self) -> Revision {
        self.revision_with(&self.entities_digest())
    }

    /// The same where the digest of the stored entities is known: they are the most of it.
    pub(super) fn revision_with(&self, entities: &Digest) -> Revision {
        let mut digest = Sha256::new();
        for (kind, sources) in
            [("policies", &self.policies), ("links", &self.links), ("schema", &self.schema)]
        {
            list(&mut digest, kind, sources);
        }
        digest.update(entities);
        field(&mut digest, &serde_json::to_string(&self.settings).unwrap_or_default());
        let mut text = "sha256:".to_owned();
        for byte in digest.finalize() {
            let _infallible = write!(text, "{byte:02x}");
        }
        Revision(text.into())
    }
}

impl Sources {
    /// The policy files that go by one of these names, and everything else.
    #[must_use]
    pub fn split(mut self, names: &[String]) -> (Vec<Source>, Self) {
        let is_listed = |source: &Source| names.iter().any(|name| **name == *source.name);
        let (taken, rest) = self.policies.into_iter().partition(is_listed);
        self.policies = rest;
        (taken, self)
    }

    /// The same with more policy files.
    #[must_use]
    pub fn with(mut self, files: Vec<Source>) -> Self {
        self.policies.extend(files);
        self
    }
}

impl Sources {
    /// The digest of the stored entities alone.
    pub(super) fn entities_digest(&self) -> Digest {
        let mut digest = Sha256::new();
        list(&mut digest, "entities", &self.entities);
        digest.finalize().into()
    }
}

impl Revision {
    /// As answers and records write it.
    pub fn as_str(&self) -> &Arc<str> {
        &self.0
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// In the order of the names.
fn list(digest: &mut Sha256, kind: &str, sources: &[Source]) {
    let mut sources: Vec<_> = sources.iter().collect();
    sources.sort_unstable_by_key(|source| &source.name);
    field(digest, kind);
    digest.update(u64::try_from(sources.len()).unwrap_or(u64::MAX).to_be_bytes());
    for source in sources {
        field(digest, &source.name);
        field(digest, &source.text);
    }
}

/// Length first, so that no two lists of texts run together into the same bytes.
fn field(digest: &mut Sha256, text: &str) {
    digest.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
    digest.update(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source { path: format!("policies/{path}").into(), name: path.into(), text: text.into() }
    }

    #[test]
    fn the_revision_tells_texts_paths_and_settings_apart_but_not_the_order_of_files() {
        let sources = Sources { policies: vec![source("a", "1"), source("b", "2")], ..Sources::default() };
        let turned = Sources { policies: vec![source("b", "2"), source("a", "1")], ..Sources::default() };
        let moved = Sources { policies: vec![source("a", "12"), source("b", "")], ..Sources::default() };
        let elsewhere = Sources { policies: vec![], links: sources.policies.clone(), ..Sources::default() };
        let mut skip = sources.clone();
        skip.settings.forbid_errors = ForbidErrors::Skip;
        assert_eq!(sources.revision(), turned.revision());
        for other in [moved, elsewhere, skip, Sources::default()] {
            assert_ne!(sources.revision(), other.revision());
        }
    }
}
