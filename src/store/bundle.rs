//! Policies in one archive, a `tar.gz`, that is made here and fetched from S3 or over HTTP.

use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};
use sha2::{Digest as _, Sha256};

use crate::model::Period;

mod archive;
mod copy;
mod fetch;
mod location;
mod make;
mod policies;
mod polls;

pub(super) use archive::Archive;
pub use fetch::SourceFault;
pub use location::Location;
pub use make::{Made, make};
pub use policies::{FetchedPolicies, NotReady};

/// `[policies.bundle]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the bundle is.
    pub url: Location,
    /// How long what is held is not asked about again.
    #[serde(default = "poll", deserialize_with = "no_rush")]
    pub poll: Period,
    /// How long it serves on while its store is not heard.
    #[serde(default = "max_stale")]
    pub max_stale: Period,
    /// The file of the last good copy.
    #[serde(default)]
    pub copy: Option<PathBuf>,
}

const fn poll() -> Period {
    Period(Duration::from_secs(10))
}

const fn max_stale() -> Period {
    Period(Duration::from_hours(24))
}

/// More often, a fleet of services would be a load for the store, and requests would wait for it.
const SHORTEST_POLL: Duration = Duration::from_secs(1);

fn no_rush<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Period, D::Error> {
    let period = Period::deserialize(deserializer)?;
    if period.0 < SHORTEST_POLL {
        return Err(de::Error::custom("once a second is as often as a bundle may be asked about"));
    }
    Ok(period)
}

/// Whether a path, joined with the folder of the configuration, is one that an archive can hold.
pub fn is_inside(path: &Path, base: &Path) -> bool {
    let within = path.strip_prefix(base).ok();
    within.is_some_and(|path| {
        path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
    })
}

/// `sha256:` and 64 hexadecimal digits.
fn digest(bytes: &[u8]) -> Arc<str> {
    let mut text = "sha256:".to_owned();
    for byte in Sha256::digest(bytes) {
        let _infallible = write!(text, "{byte:02x}");
    }
    text.into()
}
