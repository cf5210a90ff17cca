//! The door to the engine, the only home of `cedar_policy`: sources in, snapshots out, and
//! evaluations under them.

pub mod compile;
pub mod explain;
mod findings;
pub mod format;
mod ids;
mod lexer;
mod limits;
pub mod live;
pub mod snapshot;
pub mod sources;
mod statements;

pub use compile::{Compiled, compile};
pub use limits::{COMPILE_STACK, EVALUATION_STACK};
pub use live::{Publisher, Snapshots};
pub use snapshot::Snapshot;
pub use sources::{ForbidErrors, Revision, Settings, Source, Sources};
