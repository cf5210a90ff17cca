//! Policies that are fetched, under a clock that the test moves: who asks for them when, and until when they serve.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use palisade::cedar::{Compiler, Settings, Snapshot};
use palisade::clock::Clock;
use palisade::model::status::PolicyStatus;
use palisade::model::{Limits, Timestamp};
use palisade::store::{FetchedPolicies, Files, Gate, NotReady, TestFiles, TestTexts, bundle};
use palisade::telemetry::Metrics;

use crate::bundle::{ANYBODY, bundled};
use crate::harness::{PATIENCE, Setup};
use crate::shelf::{Manner, Shelf};

/// A clock that a test moves.
fn clock() -> Clock {
    Clock::standing_at(Timestamp::from_millis(1_800_000_000_000))
}

/// The shop's policies as they were fetched from this shelf at the start, which nobody asks about beside the test.
struct Held {
    shelf: Shelf,
    setup: Setup,
    clock: Clock,
    fetched: Arc<FetchedPolicies>,
}

async fn held() -> Held {
    let (shelf, setup, clock) = (Shelf::new(), Setup::new(), clock());
    shelf.put(bundled(&setup));
    let fetched = fetched(&setup, &shelf, &clock).await;
    Held { shelf, setup, clock, fetched }
}

/// What was fetched from this shelf, if anything is on it.
async fn fetched(setup: &Setup, shelf: &Shelf, clock: &Clock) -> Arc<FetchedPolicies> {
    fetched_behind(None, setup, shelf, clock).await
}

/// Behind a gate that stands in its way.
async fn fetched_behind(
    gate: Option<Gate>,
    setup: &Setup,
    shelf: &Shelf,
    clock: &Clock,
) -> Arc<FetchedPolicies> {
    let mut config = toml::from_str::<bundle::Config>(&format!("url = \"{}\"", shelf.url())).unwrap();
    config.copy = Some(setup.path("copy"));
    let base = setup.folder.path().to_owned();
    let policies = palisade::store::Config {
        dir: base.join("policies"),
        schema: base.join("schema"),
        ..palisade::store::Config::default()
    };
    let settings = Settings { namespace: "Shop".to_owned(), ..Settings::default() };
    let files = Files::new(base, policies, settings, Limits::default()).behind(gate);
    let environment = std::iter::empty();
    let fetched =
        FetchedPolicies::new(files, &config, environment, clock.clone(), Metrics::new(), Compiler::default());
    let fetched = fetched.unwrap();
    fetched.load().await;
    fetched
}

#[tokio::test]
async fn when_it_is_time_one_request_asks_and_otherwise_none_does() {
    let Held { shelf, setup, clock, fetched } = held().await;
    clock.advance(Duration::from_secs(9));
    assert!(fetched.fresh().await.is_ok());
    assert_eq!(shelf.counts(), (1, 0));
    clock.advance(Duration::from_secs(1));
    let requests: Vec<_> = (0..50)
        .map(|_| {
            let fetched = Arc::clone(&fetched);
            tokio::spawn(async move { fetched.fresh().await.is_ok() })
        })
        .collect();
    for request in requests {
        assert!(request.await.unwrap());
    }
    let asked = shelf.clone();
    tokio::task::spawn_blocking(move || asked.asked_in_all(2)).await.unwrap();
    assert_eq!(shelf.counts(), (1, 1), "one for all of them");

    setup.write("policies/anybody.cedar", ANYBODY);
    shelf.put(bundled(&setup));
    clock.advance(Duration::from_secs(10));
    let mut status = fetched.status();
    let revision = |status: &PolicyStatus| Arc::clone(&status.serving.as_ref().unwrap().revision);
    let before = revision(&status.borrow());
    let snapshots = fetched.fresh().await.unwrap();
    let changed = status.wait_for(|status| revision(status) != before);
    let now = revision(&tokio::time::timeout(PATIENCE, changed).await.unwrap().unwrap());
    assert_eq!(*snapshots.current().revision().as_str(), now, "nobody has to ask for snapshots again");
}

#[tokio::test]
async fn while_the_store_says_nothing_one_request_waits_a_moment_and_the_others_not_at_all() {
    let Held { shelf, clock, fetched, .. } = held().await;
    shelf.behave(Manner::Silent);
    clock.advance(Duration::from_secs(10));
    let asking = Arc::clone(&fetched);
    let began = Instant::now();
    let asking = tokio::spawn(async move { asking.fresh().await.is_ok() });
    let silent = shelf.clone();
    tokio::task::spawn_blocking(move || silent.asked_in_all(2)).await.unwrap();
    assert!(fetched.fresh().await.is_ok());
    assert!(!asking.is_finished(), "the first still waits");
    assert!(asking.await.unwrap());
    assert!(began.elapsed() < Duration::from_secs(2), "not for longer than a request may");
}

#[tokio::test]
async fn a_poll_that_a_freeze_has_cut_is_not_waited_out() {
    let Held { shelf, setup, clock, fetched } = held().await;
    let mut status = fetched.status();
    let before = Arc::clone(&status.borrow_and_update().serving.as_ref().unwrap().revision);
    shelf.behave(Manner::Silent);
    clock.advance(Duration::from_secs(10));
    let asking = Arc::clone(&fetched);
    let asking = tokio::spawn(async move { asking.fresh().await.is_ok() });
    let silent = shelf.clone();
    tokio::task::spawn_blocking(move || silent.asked_in_all(2)).await.unwrap();
    // Whoever was asked does not answer any more; whoever is asked now does.
    setup.write("policies/anybody.cedar", ANYBODY);
    shelf.put(bundled(&setup));
    clock.advance(Duration::from_hours(1));
    assert!(fetched.fresh().await.is_ok());
    assert_eq!(
        shelf.counts(),
        (2, 0),
        "fetched before the answer, as far as it takes no longer than a moment"
    );
    let another = |status: &PolicyStatus| status.serving.as_ref().unwrap().revision != before;
    tokio::time::timeout(PATIENCE, status.wait_for(another)).await.unwrap().unwrap();
    assert!(asking.await.unwrap());
}

#[tokio::test]
async fn where_nothing_is_held_whoever_comes_waits_for_the_poll_under_way() {
    let (shelf, setup) = (Shelf::new(), Setup::new());
    let clock = clock();
    let fetched = fetched(&setup, &shelf, &clock).await;
    assert_eq!(fetched.fresh().await.unwrap_err(), NotReady::Never);
    shelf.put(bundled(&setup));
    clock.advance(Duration::from_secs(1));
    let requests: Vec<_> = (0..10)
        .map(|_| {
            let fetched = Arc::clone(&fetched);
            tokio::spawn(async move { fetched.fresh().await.is_ok() })
        })
        .collect();
    for request in requests {
        assert!(request.await.unwrap(), "and not only who began it");
    }
    assert_eq!(shelf.counts(), (1, 0), "one for all of them");
}

#[tokio::test]
async fn age_is_the_larger_of_both_clocks_and_counts_from_when_the_store_was_last_heard() {
    let Held { shelf, clock, fetched, .. } = held().await;
    let day = Duration::from_hours(24);
    clock.advance(day);
    assert!(fetched.fresh().await.is_ok(), "nothing has changed, and that was heard now");
    shelf.behave(Manner::Down);
    clock.advance(day);
    assert!(fetched.fresh().await.is_ok());
    // A machine that sleeps moves one clock only.
    clock.set_wall(Timestamp::from_millis(clock.now().wall.millis() + 1));
    let stale = day + Duration::from_millis(1);
    assert_eq!(fetched.fresh().await.unwrap_err(), NotReady::Stale(stale));
    shelf.behave(Manner::Good);
    clock.advance(Duration::from_secs(1));
    assert!(fetched.fresh().await.is_ok(), "asked again after a second");
}

#[tokio::test]
async fn age_counts_from_another_bundle_as_well() {
    let Held { shelf, setup, clock, fetched } = held().await;
    let day = Duration::from_hours(24);
    clock.advance(day);
    setup.write("policies/anybody.cedar", ANYBODY);
    shelf.put(bundled(&setup));
    fetched.load().await;
    assert_eq!(shelf.counts(), (2, 0));
    shelf.behave(Manner::Down);
    clock.advance(day);
    assert!(fetched.fresh().await.is_ok(), "a day old, and not two");
}

#[tokio::test]
async fn a_copy_grows_no_older_while_its_bundle_is_confirmed() {
    let Held { shelf, setup, clock, fetched: first } = held().await;
    clock.advance(Duration::from_hours(23));
    assert!(first.fresh().await.is_ok());
    // A poll ends when the copy is written, and the request may have gone on before.
    first.load().await;
    shelf.behave(Manner::Down);
    clock.advance(Duration::from_hours(23));
    // Another process has another monotonic clock.
    let clock = Clock::standing_at(clock.now().wall);
    let second = fetched(&setup, &shelf, &clock).await;
    assert!(second.fresh().await.is_ok(), "23 hours old, and not 46");
    clock.advance(Duration::from_hours(2));
    assert!(matches!(second.fresh().await, Err(NotReady::Stale(_))));
}

/// How long the tests of a gate may take: nothing, unless they are not to end.
const TESTS: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_bundle_that_the_machine_had_no_time_or_no_thread_for_is_judged_again_at_the_next_poll() {
    let too_slow = |stop: &AtomicBool| {
        while !stop.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    let dies: fn(&AtomicBool) = |_| panic!("as if its stack were not to be had");
    for (code, first) in [("tests-too-slow", too_slow as fn(&AtomicBool)), ("internal", dies)] {
        let (shelf, setup, clock) = (Shelf::new(), Setup::new(), clock());
        shelf.put(bundled(&setup));
        let judged_before = AtomicBool::new(false);
        let judge = Arc::new(move |_: &Snapshot, _: &TestTexts, stop: &AtomicBool| {
            if !judged_before.swap(true, Ordering::Relaxed) {
                first(stop);
            }
            Vec::new()
        });
        let tests = TestFiles::of_project(setup.folder.path(), Limits::default());
        let fetched = fetched_behind(Some(Gate::new(tests, TESTS, judge)), &setup, &shelf, &clock).await;
        assert_eq!(fetched.status().borrow().findings[0].code, code);
        assert_eq!(fetched.fresh().await.unwrap_err(), NotReady::Never);
        fetched.load().await;
        assert!(fetched.fresh().await.is_ok(), "{code}");
        assert_eq!(shelf.counts(), (2, 0), "{code}");
    }
}
