//! What is known of files from the last time that they were compiled.

use std::collections::HashMap;
use std::sync::Arc;

use super::Source;
use super::entities::{Store, Supplied};
use super::policy_file::PolicyFile;
use super::schema::Schema;
use super::sources::Digest;
use crate::model::Limits;

/// Everything that is known. A text is known again by its bytes.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// What texts were judged by before they were parsed.
    pub(super) limits: Limits,
    /// Whether policies are kept as Cedar reads them.
    pub(super) keep_parsed: bool,
    pub(super) schema: Option<Arc<KnownSchema>>,
    /// Files of policies and of links by their paths, under the schema.
    pub(super) files: HashMap<Arc<str>, Arc<PolicyFile>>,
    pub(super) store: Option<KnownStore>,
}

/// A schema with the texts that it is from.
#[derive(Debug)]
pub(super) struct KnownSchema {
    pub(super) sources: Vec<Source>,
    pub(super) namespace: String,
    pub(super) cedar: cedar_policy::Schema,
    pub(super) schema: Arc<Schema>,
}

/// The stored entities, which are known again by the digest of their texts: those are large.
#[derive(Debug, Clone)]
pub(super) struct KnownStore {
    pub(super) digest: Digest,
    pub(super) supplied: Supplied,
    /// What they were judged by.
    pub(super) schema: Arc<KnownSchema>,
    pub(super) store: Arc<Store>,
}

impl Memory {
    /// What is known of a file that is as it was, whatever the schema is.
    pub(super) fn file(&self, source: &Source, limits: &Limits) -> Option<&Arc<PolicyFile>> {
        self.files.get(&source.path).filter(|file| file.source == *source && self.limits == *limits)
    }
}
