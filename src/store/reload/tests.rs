//! Edits on disk against a revision in force, with the real file system and the real compiler.

use std::fs;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::super::shop::{BAD, FORBID, PERMIT, Shop};
use super::*;

/// How long anything that is awaited may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn first(files: Files, configuration: Option<ConfigurationFile>) -> Result<Loaded, Vec<Finding>> {
    Loaded::first(files, configuration, Clock::machine(), Metrics::new(), Compiler::default())
}

fn load(shop: &Shop) -> Loaded {
    first(shop.files(), None).unwrap()
}

fn in_force(status: &watch::Receiver<PolicyStatus>) -> Arc<str> {
    revision(&status.borrow())
}

fn revision(status: &PolicyStatus) -> Arc<str> {
    Arc::clone(&status.serving.as_ref().unwrap().revision)
}

fn counted(reloads: &Reloads, result: &'static str) -> u64 {
    reloads.standing.metrics.reloads.get_or_create(&ResultLabels { result }).get()
}

/// Reloads that run, with the ends that a service holds.
struct Running {
    snapshots: Snapshots,
    status: watch::Receiver<PolicyStatus>,
    now: Arc<Notify>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    fn start(shop: &Shop, configuration: Option<ConfigurationFile>, watch: bool) -> Self {
        let first = first(shop.files(), configuration).unwrap();
        let Loaded { snapshots, status, reloads, .. } = first;
        let (sender, end) = oneshot::channel();
        let now = Arc::new(Notify::new());
        let shutdown = async {
            let _dropped_is_the_end_too = end.await;
        };
        let task = tokio::spawn(reloads.run(watch, Arc::clone(&now), shutdown));
        Self { snapshots, status, now, stop: sender, task }
    }

    async fn until(&mut self, wanted: impl FnMut(&PolicyStatus) -> bool) -> PolicyStatus {
        let status = timeout(PATIENCE, self.status.wait_for(wanted)).await;
        status.expect("the status never became what was awaited").unwrap().clone()
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        timeout(PATIENCE, self.task).await.expect("the reloads do not stop").unwrap();
    }
}

#[tokio::test]
async fn nothing_new_on_disk_changes_nothing() {
    let shop = Shop::new();
    let Loaded { mut reloads, status, .. } = load(&shop);
    let revision = in_force(&status);
    shop.write("policies/a.cedar", PERMIT);
    shop.write("policies/README.md", "no policy");
    assert_eq!(reloads.look().await, Outcome::Unchanged);
    assert_eq!(in_force(&status), revision);
    assert!(!status.has_changed().unwrap());
    assert_eq!(counted(&reloads, "unchanged"), 1);
}

#[tokio::test]
async fn a_good_edit_is_put_in_force() {
    let shop = Shop::new();
    let Loaded { mut reloads, snapshots, status, .. } = load(&shop);
    let (before, taken) = (status.borrow().clone(), snapshots.current());
    shop.write("policies/b.cedar", FORBID);
    assert_eq!(reloads.look().await, Outcome::Published);
    let after = status.borrow().clone();
    assert_ne!(revision(&after), revision(&before));
    assert_eq!(*snapshots.current().revision().as_str(), revision(&after));
    assert!(
        after.serving.as_ref().unwrap().loaded_at.monotonic
            > before.serving.as_ref().unwrap().loaded_at.monotonic
    );
    assert_eq!(*taken.revision().as_str(), revision(&before), "who has taken a snapshot keeps it");
    assert!(reloads.standing.metrics.encode().unwrap().contains(&*revision(&after)));
}

#[tokio::test]
async fn a_bad_edit_keeps_the_last_good_revision_and_is_named_until_it_is_mended() {
    let shop = Shop::new();
    let Loaded { mut reloads, snapshots, status, .. } = load(&shop);
    let revision = in_force(&status);
    shop.write("policies/bad.cedar", BAD);
    assert_eq!(reloads.look().await, Outcome::Refused);
    assert_eq!(snapshots.current().revision().as_str(), &revision);
    let finding = status.borrow().findings[0].clone();
    assert_eq!(&*finding.path, "policies/bad.cedar");
    assert_eq!(finding.place.unwrap().line, 1);
    assert_eq!(reloads.standing.metrics.reload_failing.get(), 1);
    assert_eq!(counted(&reloads, "failed"), 1);

    assert_eq!(reloads.look().await, Outcome::Unchanged, "the same edit is judged once");
    assert_eq!(status.borrow().findings.len(), 1, "and stands");

    shop.write("policies/bad.cedar", FORBID);
    assert_eq!(reloads.look().await, Outcome::Published);
    assert!(status.borrow().findings.is_empty());
    assert_eq!(reloads.standing.metrics.reload_failing.get(), 0);
}

#[tokio::test]
async fn a_bad_edit_that_is_taken_back_is_forgotten() {
    let shop = Shop::new();
    let Loaded { mut reloads, status, .. } = load(&shop);
    let revision = in_force(&status);
    shop.write("policies/bad.cedar", [0xff]);
    assert_eq!(reloads.look().await, Outcome::Refused);
    fs::remove_file(shop.path("policies/bad.cedar")).unwrap();
    assert_eq!(reloads.look().await, Outcome::Unchanged);
    assert!(status.borrow().findings.is_empty());
    assert_eq!(in_force(&status), revision);
    assert_eq!(reloads.standing.metrics.reload_failing.get(), 0);
    shop.write("policies/bad.cedar", [0xff]);
    assert_eq!(reloads.look().await, Outcome::Refused, "the same edit again is told again");
}

#[tokio::test]
async fn policies_that_are_gone_are_refused_in_every_form() {
    let emptied: [fn(&Shop); 4] = [
        |shop| fs::remove_file(shop.path("policies/a.cedar")).unwrap(),
        |shop| shop.write("policies/a.cedar", ""),
        |shop| shop.write("policies/a.cedar", "// only a comment is left\n"),
        |shop| fs::remove_dir_all(shop.path("policies")).unwrap(),
    ];
    for empty in emptied {
        let shop = Shop::new();
        let Loaded { mut reloads, snapshots, status, .. } = load(&shop);
        empty(&shop);
        assert_eq!(reloads.look().await, Outcome::Refused);
        assert_eq!(snapshots.current().policy_count(), 1);
        assert!(["policies-emptied", "unreadable"].contains(&status.borrow().findings[0].code));
    }
}

#[tokio::test]
async fn a_service_may_start_without_policies_and_stay_so() {
    let shop = Shop::new();
    shop.write("policies/a.cedar", "// nothing yet");
    let Loaded { mut reloads, .. } = load(&shop);
    shop.write("policies/a.cedar", "// nothing yet, still");
    assert_eq!(reloads.look().await, Outcome::Published);
}

#[tokio::test]
async fn the_start_names_everything_that_stands_in_the_way() {
    let shop = Shop::new();
    shop.write("policies/bad.cedar", BAD);
    shop.write("policies/worse.cedar", "permit (principal);");
    let findings = first(shop.files(), None).unwrap_err();
    let of = |path: &str| findings.iter().any(|finding| &*finding.path == path);
    assert!(of("policies/bad.cedar") && of("policies/worse.cedar"), "{findings:?}");
}

/// A forbid that moves from one file to another is gone for a moment, and what is left is valid.
#[tokio::test]
async fn an_edit_in_progress_is_not_put_in_force() {
    let shop = Shop::new();
    shop.write("policies/from.cedar", FORBID);
    let Loaded { mut reloads, snapshots, mut status, .. } = load(&shop);
    status.mark_unchanged();
    shop.write("policies/from.cedar", "");
    let (look, ()) = tokio::join!(reloads.look(), async {
        // The first reading has no forbid; the second, a moment later, has it again.
        tokio::time::sleep(SETTLING / 2).await;
        shop.write("policies/to.cedar", FORBID);
    });
    assert_eq!(look, Outcome::Published);
    assert_eq!(snapshots.current().policy_count(), 2);
    assert_eq!(counted(&reloads, "ok"), 1, "only the whole edit was");
}

#[tokio::test]
async fn files_that_never_come_to_rest_are_not_put_in_force() {
    let shop = Shop::new();
    let Loaded { mut reloads, .. } = load(&shop);
    let writer = async {
        for round in 0.. {
            shop.write("policies/log.cedar", format!("// {round}"));
            tokio::time::sleep(SETTLING / 4).await;
        }
    };
    let first = reloads.read().await;
    let read = tokio::select! {
        read = reloads.at_rest(first) => read,
        () = writer => unreachable!("it writes for ever"),
    };
    assert_eq!(read.edit.sources.unwrap_err()[0].code, "never-at-rest");
}

#[tokio::test]
async fn an_edit_is_seen_and_put_in_force_by_itself() {
    let shop = Shop::new();
    let mut running = Running::start(&shop, None, true);
    let first = in_force(&running.status);
    shop.write("policies/b.cedar", FORBID);
    let second = revision(&running.until(|status| revision(status) != first).await);
    assert_eq!(running.snapshots.current().policy_count(), 2);
    shop.write("policies/bad.cedar", BAD);
    running.until(|status| !status.findings.is_empty()).await;
    assert_eq!(running.snapshots.current().revision().as_str(), &second);
    fs::remove_file(shop.path("policies/bad.cedar")).unwrap();
    running.until(|status| status.findings.is_empty()).await;
    running.stop().await;
}

#[tokio::test]
async fn without_events_an_edit_is_put_in_force_all_the_same() {
    let shop = Shop::new();
    let Loaded { mut reloads, mut status, .. } = load(&shop);
    let first = in_force(&status);
    let polling = Watch::polling(Arc::clone(&reloads.files), None);
    let no_signal = Notify::new();
    shop.write("policies/b.cedar", FORBID);
    let second = status.wait_for(|status| revision(status) != first);
    tokio::select! {
        () = reloads.look_for_ever(Some(polling), &no_signal) => {}
        second = timeout(PATIENCE, second) => assert!(second.is_ok(), "the edit was never in force"),
    }
}

#[tokio::test]
async fn forbids_that_do_not_compile_are_tried_once_and_again_when_they_are_mended() {
    let mut shop = Shop::new();
    shop.config.ungated = vec!["emergency.cedar".to_owned()];
    shop.write("policies/emergency.cedar", "// nothing\n");
    let Loaded { mut reloads, snapshots, .. } = load(&shop);
    shop.write("policies/emergency.cedar", BAD.replace("permit", "forbid"));
    reloads.publish_more_forbids().await;
    assert!(reloads.tried_in_vain.is_some());
    assert_eq!(snapshots.current().policy_count(), 1);
    shop.write("policies/emergency.cedar", FORBID);
    reloads.publish_more_forbids().await;
    assert_eq!((reloads.tried_in_vain, snapshots.current().policy_count()), (None, 2));
}

#[tokio::test]
async fn every_turn_of_a_config_map_is_seen() {
    let shop = Shop::new();
    fs::remove_file(shop.path("policies/a.cedar")).unwrap();
    shop.mount("..2026_1", "product.cedar", PERMIT);
    let mut running = Running::start(&shop, None, true);
    for (version, before) in [("..2026_2", "..2026_1"), ("..2026_3", "..2026_2"), ("..2026_4", "..2026_3")] {
        let revision = in_force(&running.status);
        shop.mount(version, "product.cedar", &format!("{PERMIT}// {version}"));
        fs::remove_dir_all(shop.path("policies").join(before)).unwrap();
        running.until(|status| self::revision(status) != revision).await;
    }
    running.stop().await;
}

#[tokio::test]
async fn without_a_watch_only_a_signal_makes_it_look() {
    let shop = Shop::new();
    let mut running = Running::start(&shop, None, false);
    let first = in_force(&running.status);
    shop.write("policies/b.cedar", FORBID);
    running.now.notify_one();
    running.until(|status| revision(status) != first).await;
    running.stop().await;
}

#[tokio::test]
async fn a_configuration_that_has_changed_is_shown_until_it_is_changed_back() {
    let shop = Shop::new();
    let (path, text) = (shop.path("palisade.toml"), "namespace = \"Shop\"\n");
    shop.write("palisade.toml", text);
    let file = ConfigurationFile { path: path.clone(), text: text.into() };
    let mut running = Running::start(&shop, Some(file), true);
    assert!(!running.status.borrow().configuration_changed);
    shop.write("palisade.toml", "namespace = \"Shed\"\n");
    running.until(|status| status.configuration_changed).await;
    shop.write("palisade.toml", text);
    running.until(|status| !status.configuration_changed).await;
    fs::remove_file(&path).unwrap();
    running.until(|status| status.configuration_changed).await;
    running.stop().await;
}
