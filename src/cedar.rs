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
mod level;
mod lexer;
pub mod limits;
pub mod lint;
pub mod live;
#[cfg(test)]
mod oracle;
mod outline;
mod policies;
mod principal;
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
mod verdict;
mod verification;
mod vocabulary;
mod wording;

pub use compile::{Compiled, compile};
pub use edits::{Edit, EditKind, edits};
pub use examine::Examined;
pub use given::Given;
pub use live::{Publisher, Snapshots};
pub use snapshot::Snapshot;
pub use sources::{ForbidErrors, Revision, Settings, Source, Sources};
pub use trace::Tracer;
pub use vocabulary::{ActionName, entity_parts};
