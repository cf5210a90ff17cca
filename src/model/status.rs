//! How the service is, for `/readyz`: values that `store` and `identity` publish and `http` reads.

use std::sync::Arc;

use serde::Serialize;

use super::{Finding, Now};

/// How the policies are.
#[derive(Debug, Clone)]
pub struct PolicyStatus {
    /// The revision that serves.
    pub revision: Arc<str>,
    /// When it was put in force.
    pub loaded_at: Now,
    /// What the last reload found, if it failed: the errors, none once one succeeded.
    pub findings: Arc<[Finding]>,
    /// The configuration file has changed since the start and has not been applied.
    pub configuration_changed: bool,
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
