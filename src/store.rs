//! Policies, schema and entities on disk: read, watched, reloaded; the last good revision stays.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::cedar::ForbidErrors;
use crate::model::Period;
use crate::model::status::WeakSetting;

pub mod edits;
pub mod files;
mod fingerprint;
pub mod gate;
pub mod reload;
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make files")]
mod shop;
pub mod test_files;
mod urgent;
mod walk;
mod watch;

pub use edits::Edits;
pub use files::Files;
pub use gate::Gate;
pub use reload::{ConfigurationFile, Loaded, Reloads};
pub use test_files::{TestFiles, TestTexts};

/// `[policies]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The folder of the `*.cedar` files, and of `links.json`.
    pub dir: PathBuf,
    /// A schema file, or a folder of `*.cedarschema` files.
    pub schema: PathBuf,
    /// A file of stored entities, or a folder of `*.json` files.
    pub entities: Option<PathBuf>,
    /// Whether an edit is put in force by itself.
    pub watch: bool,
    /// What a forbid that cannot be evaluated does.
    pub forbid_errors: ForbidErrors,
    /// Policy tests, a folder or a file: a revision whose tests fail is not put in force.
    pub tests: Option<PathBuf>,
    /// How long these tests may take.
    pub tests_timeout: Period,
    /// Files below `dir` that hold forbids only and wait for no tests.
    pub ungated: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            dir: PathBuf::from("policies"),
            schema: PathBuf::from("schema"),
            entities: None,
            watch: true,
            forbid_errors: ForbidErrors::Deny,
            tests: None,
            tests_timeout: Period(Duration::from_secs(1)),
            ungated: Vec::new(),
        }
    }
}

impl Config {
    /// The settings in force that are weaker than they could be.
    pub fn weak_settings(&self) -> Vec<WeakSetting> {
        match self.forbid_errors {
            ForbidErrors::Deny => Vec::new(),
            ForbidErrors::Skip => vec![WeakSetting {
                setting: "policies.forbid_errors",
                meaning: "a forbid that cannot be evaluated is skipped, and its request may be allowed",
            }],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_watched_and_closed() {
        let config: Config = serde_json::from_str("{}").unwrap();
        assert_eq!((config.dir.to_str(), config.watch), (Some("policies"), true));
        assert!(config.weak_settings().is_empty());
        let skip: Config = serde_json::from_str(r#"{"forbid_errors": "skip"}"#).unwrap();
        assert_eq!(skip.weak_settings().first().map(|weak| weak.setting), Some("policies.forbid_errors"));
        assert!(serde_json::from_str::<Config>(r#"{"watched": true}"#).is_err());
    }
}
