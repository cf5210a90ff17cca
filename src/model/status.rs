//! How the service is, for `/readyz`: values that `store` and `identity` publish and `http` reads.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::{Finding, Now};

/// How the policies are.
#[derive(Debug, Clone, Default)]
pub struct PolicyStatus {
    /// What serves; nothing before the first bundle has come.
    pub serving: Option<Serving>,
    /// What the last reload found, if it failed: the errors, none once one succeeded.
    pub findings: Arc<[Finding]>,
    /// The configuration file has changed since the start and has not been applied.
    pub configuration_changed: bool,
    /// Where the policies are fetched from, if they are.
    pub bundle: Option<BundleStatus>,
}

/// The revision that serves.
#[derive(Debug, Clone)]
pub struct Serving {
    /// Its digest.
    pub revision: Arc<str>,
    /// When it was put in force.
    pub loaded_at: Now,
}

/// How the bundle is that policies come from.
#[derive(Debug, Clone)]
pub struct BundleStatus {
    /// Where it is fetched from.
    pub source: Arc<str>,
    /// The entity tag of the bundle in force, where its store gives one.
    pub etag: Option<Arc<str>>,
    /// The digest of the bundle in force; nothing before the first.
    pub digest: Option<Arc<str>>,
    /// When its store was last heard: it gave a bundle, or said that it has no other.
    pub heard_at: Option<Now>,
    /// Why the last poll failed, if it did.
    pub failure: Option<String>,
    /// The age at which policies stop serving.
    pub max_stale: Duration,
}

/// How the keys of one issuer are.
#[derive(Debug, Clone)]
pub struct KeyStatus {
    /// The issuer.
    pub issuer: Arc<str>,
    /// When its keys were last fetched with success; never, before the first.
    pub fetched_at: Option<Now>,
    /// How many usable keys there are.
    pub keys: usize,
    /// Why the last fetch failed, if it did.
    pub failure: Option<String>,
}

/// A setting that is weaker than it could be, said at the start and in `/readyz`.
#[derive(Debug, Clone, Serialize)]
pub struct WeakSetting {
    /// The key, as the configuration writes it: `audit.sink`.
    pub setting: &'static str,
    /// What it means.
    pub meaning: &'static str,
}
