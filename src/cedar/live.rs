//! The swap point: one writer publishes snapshots, any number of readers take the current one.

use std::ops::Deref;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use super::Snapshot;

/// The write end, held by whoever reloads.
#[derive(Debug)]
pub struct Publisher(Arc<ArcSwap<Snapshot>>);

/// The read end, held by whoever decides.
#[derive(Debug, Clone)]
pub struct Snapshots(Arc<ArcSwap<Snapshot>>);

/// The snapshot that a decision is made under.
#[derive(Debug)]
pub struct Held(Guard<Arc<Snapshot>>);

/// Both ends, around the first snapshot: there is never none.
pub fn channel(first: Arc<Snapshot>) -> (Publisher, Snapshots) {
    let current = Arc::new(ArcSwap::new(first));
    (Publisher(Arc::clone(&current)), Snapshots(current))
}

impl Publisher {
    /// Puts a snapshot in force, and gives the one before: decisions that run finish under it. Freeing a
    /// large one takes long, so whoever has it last should have the time.
    pub fn publish(&self, snapshot: Arc<Snapshot>) -> Arc<Snapshot> {
        self.0.swap(snapshot)
    }

    /// The snapshot in force.
    pub fn current(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }
}

impl Snapshots {
    /// The snapshot in force, to be taken once per decision.
    pub fn current(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }

    /// The same for a short while, without a count that all threads would write.
    pub fn hold(&self) -> Held {
        Held(self.0.load())
    }
}

impl Held {
    /// For other tasks to hold as well.
    pub fn share(&self) -> Arc<Snapshot> {
        Arc::clone(&self.0)
    }
}

impl From<Arc<Snapshot>> for Held {
    fn from(snapshot: Arc<Snapshot>) -> Self {
        Self(Guard::from_inner(snapshot))
    }
}

impl Deref for Held {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.0
    }
}
