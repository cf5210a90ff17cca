//! When to look again: the file system's events, and a slow poll as a net below them.
//!
//! Folders are watched, never files: the watch of a file dies with the file, and editors and
//! Kubernetes replace files. Events are lost all the same, on network file systems, when inotify has
//! no watches left, behind links that were turned to another folder. So once a second the files'
//! sizes, numbers and times are compared, which costs a few microseconds a file and is never later
//! than the two seconds within which an edit is in force.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use notify_debouncer_full::notify::{self, EventKind, RecommendedWatcher, RecursiveMode};
use notify_debouncer_full::{DebounceEventResult, Debouncer, RecommendedCache, new_debouncer};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::files::Files;
use super::fingerprint::Fingerprint;

/// What an editor's save takes: several events are one edit.
const DEBOUNCE: Duration = Duration::from_millis(100);

/// How often the fingerprint is taken.
const POLL: Duration = Duration::from_secs(1);

/// Of one processor's time the poll takes at most one part in this many.
const SHARE: u32 = 20;

/// Says when to look again.
#[derive(Debug)]
pub(super) struct Watch {
    files: Arc<Files>,
    configuration: Option<PathBuf>,
    events: Arc<Notify>,
    /// Ends the events when it is dropped.
    _watcher: Option<Debouncer<RecommendedWatcher, RecommendedCache>>,
    next_poll: Instant,
    last: Option<Fingerprint>,
    /// The last poll saw a change.
    changed: bool,
}

impl Watch {
    /// Starts to watch; a file system without events is polled only. Blocks for as long as it takes
    /// to walk the folders.
    pub(super) fn start(files: Arc<Files>, configuration: Option<PathBuf>) -> Self {
        let polling = Self::polling(files, configuration);
        match polling.watcher() {
            Ok(watcher) => Self { _watcher: Some(watcher), ..polling },
            Err(error) => {
                tracing::warn!(%error, "the file system gives no events: the policies are polled only");
                polling
            }
        }
    }

    /// Without events.
    pub(super) fn polling(files: Arc<Files>, configuration: Option<PathBuf>) -> Self {
        Self {
            files,
            configuration,
            events: Arc::default(),
            _watcher: None,
            next_poll: Instant::now() + POLL,
            last: None,
            changed: false,
        }
    }

    /// Waits until something may have changed. May be dropped while it waits.
    pub(super) async fn changed(&mut self) {
        let events = Arc::clone(&self.events);
        loop {
            tokio::select! {
                () = events.notified() => return,
                () = sleep_until(self.next_poll) => {
                    if self.poll().await {
                        return;
                    }
                }
            }
        }
    }

    /// A change is told twice, one poll apart: where times have whole seconds, a second edit within
    /// the same second shows in nothing but the text.
    async fn poll(&mut self) -> bool {
        let (files, configuration) = (Arc::clone(&self.files), self.configuration.clone());
        let began = Instant::now();
        let taken =
            tokio::task::spawn_blocking(move || Fingerprint::of(&files, configuration.as_deref())).await;
        self.next_poll = Instant::now() + POLL.max(began.elapsed() * SHARE);
        let Ok(fingerprint) = taken else { return true };
        let changed = self.last.replace(fingerprint).is_none_or(|last| last != fingerprint);
        std::mem::replace(&mut self.changed, changed) || changed
    }

    fn watcher(&self) -> notify::Result<Debouncer<RecommendedWatcher, RecommendedCache>> {
        let events = Arc::clone(&self.events);
        // Events carry absolute paths.
        let roots = self.files.roots().chain(self.configuration.as_deref()).map(std::path::absolute);
        let roots = roots.collect::<Result<Vec<_>, _>>()?;
        let of_interest = roots.clone();
        let mut watcher = new_debouncer(DEBOUNCE, None, move |result: DebounceEventResult| {
            let look = match result {
                Ok(told) => told.iter().any(|event| concerns(event, &of_interest)),
                // Events were lost.
                Err(_) => true,
            };
            if look {
                events.notify_one();
            }
        })?;
        // A root that is a file, or a link that is turned to another folder, changes in its parent.
        for parent in roots.iter().filter_map(|root| root.parent()) {
            watcher.watch(parent, RecursiveMode::NonRecursive)?;
        }
        for root in roots.iter().filter(|root| root.is_dir()) {
            watcher.watch(root, RecursiveMode::Recursive)?;
        }
        Ok(watcher)
    }
}

/// Whether an event can mean an edit. The decision log may be written beside the policies, and reading
/// the policies is an event as well.
fn concerns(event: &notify::Event, roots: &[PathBuf]) -> bool {
    !matches!(event.kind, EventKind::Access(_))
        && (event.need_rescan()
            || event.paths.iter().any(|path| roots.iter().any(|root| path.starts_with(root))))
}
