//! The door to the engine, the only home of `cedar_policy`: sources in, snapshots out, and
//! evaluations under them.

mod ancestry;
mod case;
mod check;
mod claims;
mod clauses;
pub mod compile;
mod conditions;
mod depth;
#[cfg(test)]
mod differential;
pub mod edits;
mod entities;
mod examine;
pub mod explain;
mod extension;
mod findings;
pub mod format;
pub mod given;
mod ids;
mod index;
mod json;
mod kept;
mod level;
mod lexer;
pub mod limits;
mod links;
pub mod lint;
pub mod live;
mod memory;
#[cfg(test)]
mod oracle;
mod outline;
mod parts;
mod policies;
mod policy_file;
mod principal;
pub mod progress;
mod readings;
mod resolved;
mod scene;
mod schema;
mod scope;
mod scope_parts;
pub mod snapshot;
pub mod sources;
mod statements;
pub mod trace;
mod typed;
pub mod ungated;
mod validation;
mod verdict;
mod verification;
mod vocabulary;
mod wording;
mod workers;

pub use compile::{Compiled, Compiler, compile};
pub use edits::{Edit, EditKind, edits};
pub use examine::Examined;
pub use given::Given;
pub use live::{Publisher, Snapshots};
pub use progress::Progress;
pub use snapshot::Snapshot;
pub use sources::{ForbidErrors, Revision, Settings, Source, Sources};
pub use trace::Tracer;
pub use vocabulary::{ActionName, entity_parts};
