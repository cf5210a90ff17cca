//! The door to the engine, the only home of `cedar_policy`: sources in, snapshots out, and
//! evaluations under them.

pub mod compile;
pub mod explain;
pub mod live;
pub mod snapshot;
pub mod sources;

pub use compile::{Compiled, compile};
pub use live::{Publisher, Snapshots};
pub use snapshot::Snapshot;
pub use sources::{ForbidErrors, Revision, Settings, Source, Sources};
