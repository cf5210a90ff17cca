//! The threads that answer requests: each has a runtime of its own, so that a connection, and whatever is made
//! for its requests, stays with one processor.

use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, available_parallelism};

use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;

/// The threads, as whoever has work for them knows them. Clones are the same threads.
#[derive(Debug, Clone)]
pub struct Workers {
    each: Arc<[Worker]>,
    /// Not told anything: when the last of these is gone, the threads end.
    _running: Arc<watch::Sender<()>>,
}

/// One thread.
#[derive(Debug, Clone)]
pub struct Worker {
    runtime: Handle,
    connections: Arc<AtomicUsize>,
}

/// A connection's place with a worker, free again when it is dropped.
#[derive(Debug)]
pub struct Place(Arc<AtomicUsize>);

impl Workers {
    /// Starts so many threads; one for each processor that the process may use where none is said. Each has a
    /// stack of so many bytes.
    ///
    /// # Errors
    /// The machine has no more threads.
    pub fn start(count: Option<NonZero<usize>>, stack: usize) -> io::Result<Self> {
        let count = count.map_or_else(available_parallelism, Ok)?;
        let (running, ends) = watch::channel(());
        let start = |number| Worker::start(number, stack, ends.clone());
        let each = (0..count.get()).map(start).collect::<io::Result<_>>()?;
        Ok(Self { each, _running: Arc::new(running) })
    }

    /// The runtime that this is called in, as the only one.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn here() -> Self {
        let worker = Worker { runtime: Handle::current(), connections: Arc::default() };
        Self { each: Arc::new([worker]), _running: Arc::new(watch::Sender::new(())) }
    }

    /// Each of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Worker> {
        self.each.iter()
    }
}

impl Worker {
    fn start(number: usize, stack: usize, mut ends: watch::Receiver<()>) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        thread::Builder::new().name(format!("worker {number}")).stack_size(stack).spawn(move || {
            runtime.block_on(async {
                let _nobody_is_left = ends.changed().await;
            });
            // Nothing is waited for that may never end.
            runtime.shutdown_background();
        })?;
        Ok(Self { runtime: handle, connections: Arc::default() })
    }

    /// Where its tasks run.
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// How many connections it has.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// A place for one more connection.
    pub fn place(&self) -> Place {
        self.connections.fetch_add(1, Ordering::Relaxed);
        Place(Arc::clone(&self.connections))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
