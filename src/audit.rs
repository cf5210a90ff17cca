//! The decision log: who asked for what, what came of it, and under which policies.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::model::Period;
use crate::model::status::WeakSetting;

mod lines;
mod log;
mod output;
mod record;
#[cfg(test)]
mod tests;
mod writer;

pub use lines::Lines;
pub use log::{AuditError, Log, Pending, Receipt};
pub use output::OpenError;
pub use record::{
    Asked, Decided, Items, Line, OfBatch, OfSetting, Opening, Outcome, Principal, Refused, Setting,
};

/// `[audit]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the records go.
    pub sink: Sink,
    /// The file of `sink = "file"`.
    pub path: PathBuf,
    /// What has happened to a record when its answer leaves.
    pub durability: Durability,
    /// Whether values are on record, beside their names: of context, attributes and the claims that decide.
    pub values: bool,
    /// How long an answer waits for its record before it is withheld.
    pub stall: Period,
    /// How many bytes may wait to be written. Where there are as many, a batch waits beside them, for `stall` at
    /// most, and anything else is refused.
    pub queue: usize,
}

/// Where the records go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sink {
    /// Standard output.
    Stdout,
    /// A file that is appended to.
    File,
    /// Nowhere.
    Off,
}

/// What has happened to a record when its answer leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// It waits in memory: a crash loses it.
    Queued,
    /// The operating system has it: a crash of the process does not lose it.
    Written,
    /// The disk has it: a crash of the machine does not lose it.
    Synced,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            sink: Sink::Stdout,
            path: PathBuf::from("decisions.jsonl"),
            durability: Durability::Written,
            values: false,
            stall: Period(Duration::from_millis(250)),
            queue: 8 * 1024 * 1024,
        }
    }
}

impl Config {
    /// The settings in force that are weaker than they could be.
    pub fn weak_settings(&self) -> Vec<WeakSetting> {
        let mut weak = Vec::new();
        if self.sink == Sink::Off {
            weak.push(WeakSetting { setting: "audit.sink", meaning: "decisions are not on record" });
        } else if self.durability == Durability::Queued {
            weak.push(WeakSetting {
                setting: "audit.durability",
                meaning: "an answer can leave before its record is written, and a crash loses the record",
            });
        }
        weak
    }
}

#[cfg(test)]
mod settings {
    use super::*;

    fn read(json: &str) -> Config {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_is_not_said_is_written_to_standard_output_before_the_answer_leaves() {
        let config = read("{}");
        assert_eq!((config.sink, config.durability), (Sink::Stdout, Durability::Written));
        assert!(!config.values);
        assert!(config.weak_settings().is_empty());
        assert!(serde_json::from_str::<Config>(r#"{"sinc": "file"}"#).is_err());
    }

    #[test]
    fn a_log_that_can_lose_records_is_said_to_be_weak() {
        let weak =
            |json: &str| read(json).weak_settings().iter().map(|weak| weak.setting).collect::<Vec<_>>();
        assert_eq!(weak(r#"{"sink": "off", "durability": "queued"}"#), ["audit.sink"]);
        assert_eq!(weak(r#"{"durability": "queued"}"#), ["audit.durability"]);
        assert!(weak(r#"{"sink": "file", "durability": "synced", "stall": "100ms"}"#).is_empty());
    }
}
