//! The door to the engine, the only home of `cedar_policy`: sources in, snapshots out, and
//! evaluations under them.

pub mod sources;

pub use sources::{ForbidErrors, Revision, Settings, Source, Sources};
