//! Policies, schema and entities on disk or in a bundle: read, watched, reloaded; the last good revision stays.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::cedar::ForbidErrors;
use crate::model::Period;
use crate::model::status::WeakSetting;

mod background;
pub mod bundle;
pub mod edits;
pub mod files;
mod fingerprint;
pub mod gate;
pub mod reload;
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make files")]
mod shop;
mod standing;
pub mod test_files;
mod tree;
mod walk;
mod watch;

pub use bundle::{FetchedPolicies, NotReady};
pub use edits::Edits;
pub use files::Files;
pub use gate::Gate;
pub use reload::{ConfigurationFile, Loaded, Reloads};
pub use test_files::{TestFiles, TestTexts};

/// What findings about no file in particular are about.
const THE_FILES: &str = "policies";

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
    /// How long these tests may take, up to a minute.
    #[serde(deserialize_with = "short")]
    pub tests_timeout: Period,
    /// Files below `dir` that hold forbids only and wait for no tests.
    #[serde(deserialize_with = "files_below")]
    pub ungated: Vec<String>,
    /// Whether every decision is also made without the index, and the two compared.
    pub verify_index: bool,
    /// Where the files come from in an archive, instead of from disk.
    pub bundle: Option<bundle::Config>,
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
            verify_index: false,
            bundle: None,
        }
    }
}

/// Edits wait for the tests of the one before.
const LONGEST_TESTS: Duration = Duration::from_mins(1);

fn short<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Period, D::Error> {
    let period = Period::deserialize(deserializer)?;
    if period.0.is_zero() || period.0 > LONGEST_TESTS {
        return Err(D::Error::custom("the tests need some time, and no more than a minute"));
    }
    Ok(period)
}

/// Names as the walk through the folder gives them: anything else would name no file, and nobody would notice
/// before an emergency.
fn files_below<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    for (index, name) in names.iter().enumerate() {
        let hidden = |part: &str| part.is_empty() || part.starts_with('.');
        if name.split('/').any(hidden) || Path::new(name).extension() != Some("cedar".as_ref()) {
            return Err(D::Error::custom(format_args!(
                "`{name}` is no policy file below `policies.dir`: write `emergency.cedar`"
            )));
        }
        if names.iter().take(index).any(|before| before == name) {
            return Err(D::Error::custom(format_args!("`{name}` is named twice")));
        }
    }
    Ok(names)
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

    #[test]
    fn what_waits_for_no_tests_is_named_as_the_folder_names_it() {
        let read = |json: &str| serde_json::from_str::<Config>(json);
        assert!(
            read(r#"{"ungated": ["emergency.cedar", "deep/stop.cedar"], "tests_timeout": "1m"}"#).is_ok()
        );
        for wrong in ["../x.cedar", "./emergency.cedar", "links.json", "/x.cedar", ".x.cedar", ""] {
            let error = read(&format!(r#"{{"ungated": ["{wrong}"]}}"#)).unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{wrong}` is no policy file")), "{error}");
        }
        assert!(read(r#"{"ungated": ["a.cedar", "a.cedar"]}"#).is_err());
        assert!(read(r#"{"tests_timeout": "0s"}"#).is_err() && read(r#"{"tests_timeout": "10h"}"#).is_err());
    }
}
