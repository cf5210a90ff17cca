//! A test file as it is written: every member that there is, and no other.

use serde::Deserialize;
use serde_json::Value as Json;
use std::sync::Arc;

use super::yaml::{Name, Named, Placed};
use crate::model::{Decision, EntityDescription, PolicyErrorCode, Reason, Record, RefusalCode, TokenUse};

/// A file of tests.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "`principals`, `resources` and `tests`")]
pub(super) struct WrittenFile {
    /// For editors.
    #[serde(rename = "$schema", default)]
    _schema: Option<String>,
    #[serde(default)]
    pub(super) principals: Named<WrittenPrincipal>,
    #[serde(default)]
    pub(super) resources: Named<EntityDescription>,
    #[serde(default)]
    pub(super) tests: Vec<WrittenTest>,
}

/// A file of fixtures that the tests of its folder share.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "`principals` and `resources`")]
pub(super) struct WrittenFixtures {
    #[serde(rename = "$schema", default)]
    _schema: Option<String>,
    #[serde(default)]
    pub(super) principals: Named<WrittenPrincipal>,
    #[serde(default)]
    pub(super) resources: Named<EntityDescription>,
}

/// A principal: the token that speaks for it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a principal: `groups`, `claims` or `machine`")]
pub(super) struct WrittenPrincipal {
    #[serde(default)]
    pub(super) groups: Option<Vec<String>>,
    #[serde(default)]
    pub(super) claims: Named<Json>,
    #[serde(default)]
    pub(super) token_use: Option<TokenUse>,
    #[serde(default)]
    pub(super) machine: Option<WrittenMachine>,
    #[serde(default)]
    pub(super) issuer: Option<Name>,
}

/// A program with credentials of its own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a machine: `client_id` and `scope`")]
pub(super) struct WrittenMachine {
    #[serde(default)]
    pub(super) client_id: Option<String>,
    #[serde(default)]
    pub(super) scope: Vec<String>,
}

/// One test.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a test: `name`, and what is expected")]
pub(super) struct WrittenTest {
    pub(super) name: Name,
    #[serde(default)]
    pub(super) skip: Option<String>,
    #[serde(default)]
    pub(super) issuer: Option<Name>,
    #[serde(default)]
    pub(super) now: Option<Name>,
    #[serde(default)]
    pub(super) principals: Option<Vec<Name>>,
    #[serde(default)]
    pub(super) actions: Option<Vec<Name>>,
    #[serde(default)]
    pub(super) resources: Option<Vec<Name>>,
    #[serde(default)]
    pub(super) context: Record,
    #[serde(default)]
    pub(super) contexts: Named<Record>,
    #[serde(default)]
    pub(super) entities: Vec<Arc<EntityDescription>>,
    #[serde(default)]
    pub(super) expect: Option<Decision>,
    #[serde(default)]
    pub(super) reason: Option<Placed<Reason>>,
    #[serde(default)]
    pub(super) policies: Option<Vec<Name>>,
    #[serde(default)]
    pub(super) policies_include: Option<Vec<Name>>,
    #[serde(default)]
    pub(super) errors: Named<PolicyErrorCode>,
    #[serde(default)]
    pub(super) refused: Option<RefusalCode>,
    #[serde(default)]
    pub(super) may: Option<Named<Vec<Name>>>,
}

/// A test in the form of Cedar's own `run-tests`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a test of Cedar's: `request`, `entities`, `decision`, …")]
pub(super) struct WrittenCedarTest {
    #[serde(default)]
    pub(super) name: Option<String>,
    pub(super) request: Placed<WrittenRequest>,
    pub(super) entities: Placed<Json>,
    pub(super) decision: Decision,
    pub(super) reason: Vec<Name>,
    pub(super) num_errors: usize,
}

/// A request in Cedar's own words.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a request: `principal`, `action`, `resource`, `context`")]
pub(super) struct WrittenRequest {
    pub(super) principal: String,
    pub(super) action: String,
    pub(super) resource: String,
    #[serde(default)]
    pub(super) context: serde_json::Map<String, Json>,
}
