//! When to look again: the file system's events, and a slow poll as a net below them.
//!
//! Folders are watched, never files: the watch of a file dies with the file, and editors and
//! Kubernetes replace files. Events are lost all the same, on network file systems, when inotify has
//! no watches left, behind links that were turned to another folder. So once a second the files'
//! sizes, numbers and times are compared, which costs a few microseconds a file and is never later
//! than the two seconds within which an edit is in force.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use super::files::Files;
use super::fingerprint::Fingerprint;

/// What an editor's save takes: several events are one edit. What takes longer, the second reading sees.
const ONE_SAVE: Duration = Duration::from_millis(20);

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
    _watcher: Option<RecommendedWatcher>,
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
                () = events.notified() => {
                    sleep(ONE_SAVE).await;
                    // What has come meanwhile is of the same save.
                    pin!(events.notified()).enable();
                    return;
                }
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

    fn watcher(&self) -> notify::Result<RecommendedWatcher> {
        let events = Arc::clone(&self.events);
        // Events carry absolute paths.
        // Not the configuration's folder either: the poll finds a changed palisade.toml soon enough.
        let roots = self.files.roots().map(std::path::absolute);
        let roots = roots.collect::<Result<Vec<_>, _>>()?;
        let of_interest = roots.clone();
        let mut watcher = notify::recommended_watcher(move |told: notify::Result<notify::Event>| {
            // An error: events were lost.
            if told.map_or(true, |event| concerns(&event, &of_interest)) {
                events.notify_one();
            }
        })?;
        // A root that is a file, or a link that is turned to another folder, changes in its parent. A
        // plain folder is watched itself: what stands beside it, the decision log perhaps, is written
        // all the time.
        let elsewhere = roots.iter().filter(|root| !root.is_dir() || root.is_symlink());
        for parent in elsewhere.filter_map(|root| root.parent()) {
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
pub(super) fn concerns(event: &notify::Event, roots: &[PathBuf]) -> bool {
    !matches!(event.kind, EventKind::Access(_))
        && (event.need_rescan()
            || event.paths.iter().any(|path| roots.iter().any(|root| path.starts_with(root))))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests edit the files that are watched")]
mod tests {
    use std::fs;

    use notify::Event;
    use notify::event::{AccessKind, CreateKind, Flag, ModifyKind};
    use tokio::time::timeout;

    use super::super::shop::Shop;
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    async fn told(watch: &mut Watch) {
        timeout(PATIENCE, watch.changed()).await.expect("nothing was told");
    }

    #[tokio::test]
    async fn without_events_an_edit_is_told_by_the_poll_and_told_once_more() {
        let shop = Shop::new();
        let mut watch = Watch::polling(Arc::new(shop.files()), None);
        assert!(watch.poll().await, "what was edited before the first poll is not known");
        assert!(watch.poll().await);
        assert!(!watch.poll().await);
        shop.write("policies/b.cedar", "");
        told(&mut watch).await;
        assert!(watch.poll().await);
        assert!(!watch.poll().await);
    }

    #[tokio::test]
    async fn an_edit_of_the_same_size_is_seen() {
        let shop = Shop::new();
        shop.write("policies/a.cedar", "// one");
        let mut watch = Watch::polling(Arc::new(shop.files()), Some(shop.path("palisade.toml")));
        while watch.poll().await {}
        fs::write(shop.path("next"), "// two").unwrap();
        fs::rename(shop.path("next"), shop.path("policies/a.cedar")).unwrap();
        assert!(watch.poll().await);
        while watch.poll().await {}
        shop.write("palisade.toml", "");
        assert!(watch.poll().await);
        while watch.poll().await {}
        shop.write("elsewhere", "");
        assert!(!watch.poll().await);
    }

    #[tokio::test]
    async fn an_event_is_told_before_any_poll() {
        let shop = Shop::new();
        let mut watch = Watch::start(Arc::new(shop.files()), None);
        watch.next_poll = Instant::now() + PATIENCE * 2;
        shop.write("policies/deep/b.cedar", "");
        told(&mut watch).await;
    }

    #[test]
    fn reading_is_no_edit_and_neither_is_a_file_beside() {
        let roots = [PathBuf::from("/shop/policies")];
        let told = |kind, path: &str| concerns(&Event::new(kind).add_path(path.into()), &roots);
        let (create, modify) = (EventKind::Create(CreateKind::Any), EventKind::Modify(ModifyKind::Any));
        assert!(told(create, "/shop/policies/a.cedar"));
        assert!(told(modify, "/shop/policies/..data"));
        assert!(told(modify, "/shop/policies"));
        assert!(!told(modify, "/shop/decisions.jsonl"));
        assert!(!told(modify, "/shop/policies-old/a.cedar"));
        assert!(!told(EventKind::Access(AccessKind::Any), "/shop/policies/a.cedar"));
        let lost = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        assert!(concerns(&lost, &roots), "events were lost");
    }
}
