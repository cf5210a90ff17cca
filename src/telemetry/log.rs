//! The program log: lines on standard error, as text or as JSON.

use std::io::IsTerminal;

use serde::Deserialize;
use tracing_subscriber::EnvFilter;

/// `[log]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Which lines: `error`, `warn`, `info`, `debug`, or directives such as `info,palisade::http=debug`.
    pub level: String,
    /// How they are written.
    pub format: Format,
}

/// The forms of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: Format::Text }
    }
}

/// The level that cannot be understood, with the reason.
#[derive(Debug, thiserror::Error)]
#[error("`{level}` is not a log level: {reason}")]
pub struct BadLevel {
    level: String,
    reason: String,
}

/// Starts the program log. Once in a process; a second call changes nothing.
pub fn start(config: &Config) -> Result<(), BadLevel> {
    let filter = EnvFilter::builder()
        .parse(&config.level)
        .map_err(|error| BadLevel { level: config.level.clone(), reason: error.to_string() })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match config.format {
        Format::Text => lines.with_ansi(std::io::stderr().is_terminal()).try_init(),
        Format::Json => lines.json().flatten_event(true).try_init(),
    };
    // A subscriber that is there already was put there by whoever embeds us.
    let _ = started;
    Ok(())
}
