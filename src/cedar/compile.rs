//! Sources to a snapshot, or every finding that stands in the way.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;

use super::memory::Memory;
use super::parts::{Parts, Reading};
use super::progress::Progress;
use super::workers::on_a_big_stack;
use super::{Snapshot, Sources};
use crate::model::{Finding, Limits};

/// A revision that may serve, with what somebody should look at all the same.
#[derive(Debug)]
pub struct Compiled {
    /// The snapshot.
    pub snapshot: Arc<Snapshot>,
    /// What stops nothing, sorted by place.
    pub warnings: Vec<Finding>,
}

/// Compiles one revision after the other, and keeps what is known of files that stay as they are. What
/// comes of it is what [`compile`] gives.
#[derive(Debug)]
pub struct Compiler {
    threads: usize,
    memory: Mutex<Arc<Memory>>,
    progress: Arc<Progress>,
}

/// Compiles on threads with a stack large enough for every legal text. Blocks until it is done.
///
/// # Errors
/// All findings, errors and warnings, sorted by place; at least one is an error.
pub fn compile(sources: &Sources, limits: &Limits) -> Result<Compiled, Vec<Finding>> {
    Compiler::default().compile(sources, limits)
}

impl Default for Compiler {
    /// One that knows nothing yet, and takes every processor.
    fn default() -> Self {
        let threads = available_parallelism().map_or(1, NonZeroUsize::get);
        Self { threads, memory: Mutex::default(), progress: Arc::default() }
    }
}

impl Compiler {
    /// How many threads it compiles on from now on, at most.
    pub const fn set_threads(&mut self, threads: usize) {
        self.threads = threads;
    }

    /// Where it says how far it is.
    pub const fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Compiles as [`compile`] does. Two may compile at once.
    ///
    /// # Errors
    /// What [`compile`] gives.
    pub fn compile(&self, sources: &Sources, limits: &Limits) -> Result<Compiled, Vec<Finding>> {
        self.with_parts(sources, limits, sources.settings.verify_index, |parts| {
            parts.compiled(sources, limits, &self.progress)
        })
    }

    /// Reads and judges everything, and goes on from there, on a big stack. `keep_parsed` keeps policies
    /// as Cedar reads them, which takes a lot of memory.
    pub(super) fn with_parts<T: Send>(
        &self,
        sources: &Sources,
        limits: &Limits,
        keep_parsed: bool,
        work: impl FnOnce(Parts) -> Result<T, Vec<Finding>> + Send,
    ) -> Result<T, Vec<Finding>> {
        let done = on_a_big_stack(|| {
            let known = Arc::clone(&self.memory.lock().unwrap_or_else(PoisonError::into_inner));
            let (threads, progress) = (self.threads, &*self.progress);
            let reading = Reading { sources, limits, threads, keep_parsed, known, progress };
            work(reading.parts(|memory| self.remember(memory))?)
        });
        self.progress.end();
        done
    }

    fn remember(&self, memory: Memory) {
        let memory = Arc::new(memory);
        let before =
            std::mem::replace(&mut *self.memory.lock().unwrap_or_else(PoisonError::into_inner), memory);
        // Not under the lock: it may be the last to know of many policies.
        drop(before);
    }
}

/// By place, and each once.
pub(super) fn sorted(mut found: Vec<Finding>) -> Vec<Finding> {
    // What else they are decides between those of one place: Cedar's validator gives them in no order.
    fn order(finding: &Finding) -> impl Ord + '_ {
        let place = finding.place.map(|place| (place.offset, place.length));
        (&finding.path, place, finding.code, &finding.message)
    }
    found.sort_by(|left, right| order(left).cmp(&order(right)));
    found.dedup();
    found
}

#[cfg(test)]
mod tests;
