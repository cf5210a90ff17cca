//! Keys over time: with a real endpoint and a clock whose hands the test moves.

use std::sync::OnceLock;

use super::super::canned::{Answer, Endpoint as Canned};
use super::super::issuer::SigningKey;
use super::super::jwks::Bounds;
use super::*;
use crate::endpoint::Endpoint;
use crate::model::Timestamp;

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const PERIODS: Periods = Periods { refresh: Duration::from_hours(1), max_stale: Duration::from_hours(24) };

struct Bench {
    server: Canned,
    clock: Clock,
    metrics: Metrics,
    ring: Arc<Keyring>,
    statuses: watch::Receiver<Vec<KeyStatus>>,
}

fn jwks(kids: &[&str]) -> Answer {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    let key = KEY.get_or_init(|| SigningKey::generate("a").unwrap());
    let keys: Vec<_> = kids.iter().map(|kid| key.renamed(kid).jwk()).collect();
    Answer::ok(&format!(r#"{{"keys": [{}]}}"#, keys.join(",")))
}

async fn bench(answer: Answer) -> Bench {
    let server = Canned::start(answer).await;
    let source = KeySource::Url(Endpoint::parse(&server.url).unwrap());
    let bounds = Bounds { timeout: Duration::from_secs(20), ..Bounds::default() };
    let fetcher = Fetcher::new([&source], bounds).unwrap();
    let (clock, metrics) = (Clock::standing_at(START), Metrics::new());
    let issuer: Arc<str> = Arc::from("pool");
    let nothing = KeyStatus { issuer: Arc::clone(&issuer), fetched_at: None, keys: 0, failure: None };
    let (all, statuses) = watch::channel(vec![nothing]);
    let status = StatusSlot { all, index: 0 };
    let ring =
        Keyring::new(issuer, source, PERIODS, fetcher, clock.clone(), metrics.clone(), status).unwrap();
    Bench { server, clock, metrics, ring, statuses }
}

impl Bench {
    async fn ask(&self, kid: &str) -> Result<u64, KeyFault> {
        self.ring.with_key(kid).await.map(|loaded| loaded.generation)
    }

    /// Waits until the fetch that is under way has ended, started or not by the time this is called.
    async fn landed(&self, fetches: u64) {
        self.ring.landed.subscribe().wait_for(|landed| *landed >= fetches).await.unwrap();
    }

    fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

#[tokio::test]
async fn the_first_request_fetches_and_the_others_do_not() {
    let bench = bench(jwks(&["a", "b"])).await;
    assert!(!bench.ring.is_usable(bench.clock.now()));
    assert_eq!(bench.ask("a").await, Ok(1));
    assert_eq!(bench.ask("b").await, Ok(1));
    assert_eq!(bench.server.requests(), 1);
    assert!(bench.ring.is_usable(bench.clock.now()));
}

#[tokio::test]
async fn a_hundred_thousand_unknown_keys_cost_one_fetch_in_ten_seconds() {
    let bench = bench(jwks(&["a"])).await;
    bench.ring.refresh().await.unwrap();
    for index in 0..100_000 {
        assert_eq!(bench.ask(&format!("made-up-{index}")).await, Err(KeyFault::Unknown));
    }
    assert_eq!(bench.server.requests(), 2);
    bench.advance(9);
    assert_eq!(bench.ask("made-up").await, Err(KeyFault::Unknown));
    assert_eq!(bench.server.requests(), 2);
    bench.advance(1);
    assert_eq!(bench.ask("made-up").await, Err(KeyFault::Unknown));
    assert_eq!(bench.server.requests(), 3);
}

#[tokio::test]
async fn a_new_key_is_found_at_its_first_token() {
    let bench = bench(jwks(&["a"])).await;
    assert_eq!(bench.ask("a").await, Ok(1));
    bench.advance(10);
    bench.server.answer(jwks(&["a", "b"]));
    assert_eq!(bench.ask("b").await, Ok(2));
}

#[tokio::test]
async fn an_outage_is_not_held_against_the_token() {
    let bench = bench(Answer::status("500 Down", "")).await;
    assert!(matches!(bench.ask("a").await, Err(KeyFault::Unavailable(_))));
    assert!(matches!(bench.ask("a").await, Err(KeyFault::Unavailable(_))));
    assert_eq!(bench.server.requests(), 1);
    bench.server.answer(jwks(&["a"]));
    bench.advance(9);
    assert!(matches!(bench.ask("a").await, Err(KeyFault::Unavailable(_))));
    bench.advance(1);
    assert_eq!(bench.ask("a").await, Ok(1));
    assert_eq!(bench.server.requests(), 2);
}

#[tokio::test]
async fn an_unknown_key_is_refused_only_by_an_issuer_that_has_answered() {
    let bench = bench(jwks(&["a"])).await;
    assert_eq!(bench.ask("a").await, Ok(1));
    bench.server.answer(Answer::status("500 Down", ""));
    bench.advance(10);
    assert!(matches!(bench.ask("b").await, Err(KeyFault::Unavailable(_))));
    assert!(matches!(bench.ask("b").await, Err(KeyFault::Unavailable(_))));
    assert_eq!(bench.ask("a").await, Ok(1));
    bench.server.answer(jwks(&["a"]));
    bench.advance(10);
    assert_eq!(bench.ask("b").await, Err(KeyFault::Unknown));
}

#[tokio::test]
async fn bad_answers_leave_the_last_good_keys_and_say_so() {
    let bench = bench(jwks(&["a"])).await;
    bench.ring.refresh().await.unwrap();
    for (answer, result) in [
        (Answer::status("500 Down", ""), "status"),
        (Answer::ok("<html>"), "unparseable"),
        (Answer::ok(r#"{"keys": []}"#), "empty"),
    ] {
        bench.server.answer(answer);
        assert!(bench.ring.refresh().await.is_err());
        assert_eq!(bench.ask("a").await, Ok(1));
        let status = bench.statuses.borrow()[0].clone();
        assert!(status.failure.is_some() && status.keys == 1);
        let labels = FetchLabels { issuer: Arc::from("pool"), result };
        assert_eq!(bench.metrics.key_fetches.get_or_create(&labels).get(), 1);
    }
    bench.server.answer(jwks(&["a"]));
    bench.ring.refresh().await.unwrap();
    assert_eq!(bench.statuses.borrow()[0].failure, None);
}

#[tokio::test]
async fn a_key_that_is_no_longer_listed_stops_at_the_next_refresh() {
    let bench = bench(jwks(&["a", "b"])).await;
    assert_eq!(bench.ask("b").await, Ok(1));
    bench.server.answer(jwks(&["a"]));
    bench.ring.refresh().await.unwrap();
    assert_eq!(bench.ring.generation(bench.clock.now()), Some(2));
    assert_eq!(bench.ask("b").await, Err(KeyFault::Unknown));
}

#[tokio::test]
async fn the_same_keys_keep_their_generation() {
    let bench = bench(jwks(&["a", "b"])).await;
    bench.ring.refresh().await.unwrap();
    bench.server.answer(jwks(&["b", "a"]));
    bench.ring.refresh().await.unwrap();
    assert_eq!(bench.ring.generation(bench.clock.now()), Some(1));
}

#[tokio::test]
async fn keys_serve_on_while_they_cannot_be_fetched_but_not_for_ever() {
    let bench = bench(jwks(&["a"])).await;
    assert_eq!(bench.ask("a").await, Ok(1));
    bench.server.answer(Answer::status("500 Down", ""));
    bench.advance(24 * 3_600);
    assert_eq!(bench.ask("a").await, Ok(1));
    bench.landed(2).await;
    bench.advance(1);
    assert!(!bench.ring.is_usable(bench.clock.now()));
    assert_eq!(bench.ring.generation(bench.clock.now()), None);
    assert!(matches!(bench.ask("a").await, Err(KeyFault::Unavailable(_))));
}

#[tokio::test]
async fn a_wall_clock_that_was_set_back_makes_keys_stale_until_they_are_fetched_again() {
    let bench = bench(jwks(&["a"])).await;
    assert_eq!(bench.ask("a").await, Ok(1));
    bench.advance(20);
    bench.clock.set_wall(Timestamp::from_millis(START.millis() - 1_000));
    assert!(!bench.ring.is_usable(bench.clock.now()));
    assert_eq!(bench.ask("a").await, Ok(1));
    assert_eq!(bench.server.requests(), 2);
}

#[tokio::test]
async fn a_request_after_a_freeze_has_the_keys_fetched_without_waiting() {
    let bench = bench(jwks(&["a"])).await;
    assert_eq!(bench.ask("a").await, Ok(1));
    bench.server.hold();
    bench.advance(3_600 + 361);
    bench.server.answer(jwks(&["b"]));
    assert_eq!(bench.ring.generation(bench.clock.now()), Some(1));
    assert_eq!(bench.ask("a").await, Ok(1));
    bench.server.open();
    bench.landed(2).await;
    assert_eq!(bench.server.requests(), 2);
    assert_eq!(bench.ring.generation(bench.clock.now()), Some(2));
}

/// What a freeze is to the process: the monotonic clock stood still.
fn freeze(bench: &Bench, by: Duration) {
    let wall = bench.clock.now().wall.millis() + i64::try_from(by.as_millis()).unwrap();
    bench.clock.set_wall(Timestamp::from_millis(wall));
}

#[tokio::test]
async fn the_quiet_after_a_failure_passes_in_a_freeze() {
    let bench = bench(Answer::status("500 Down", "")).await;
    assert!(matches!(bench.ask("a").await, Err(KeyFault::Unavailable(_))));
    bench.server.answer(jwks(&["a"]));
    assert!(matches!(bench.ask("a").await, Err(KeyFault::Unavailable(_))));
    freeze(&bench, QUIET);
    assert_eq!(bench.ask("a").await, Ok(1));
}

#[tokio::test]
async fn keys_that_a_freeze_made_too_old_are_fetched_before_the_answer() {
    let bench = bench(jwks(&["a"])).await;
    assert_eq!(bench.ask("a").await, Ok(1));
    bench.server.answer(jwks(&["b"]));
    freeze(&bench, PERIODS.max_stale + Duration::from_millis(1));
    assert_eq!(bench.ring.generation(bench.clock.now()), None);
    assert_eq!(bench.ask("b").await, Ok(2));
    bench.server.answer(Answer::status("500 Down", ""));
    freeze(&bench, PERIODS.max_stale + Duration::from_millis(1));
    assert!(matches!(bench.ask("b").await, Err(KeyFault::Unavailable(_))));
}

#[tokio::test]
async fn a_fetch_that_was_frozen_on_its_way_is_followed_by_another() {
    let bench = bench(Answer::status("500 Down", "")).await;
    bench.server.hold();
    let ring = Arc::clone(&bench.ring);
    let asking = tokio::spawn(async move { ring.with_key("a").await.map(|loaded| loaded.generation) });
    bench.server.asked(1).await;
    freeze(&bench, Duration::from_hours(1));
    bench.server.answer_in_turn([Answer::status("500 Down", ""), jwks(&["a"])]);
    bench.server.open();
    assert_eq!(asking.await.unwrap(), Ok(1));
}

#[tokio::test]
async fn sixty_four_requests_wait_and_the_rest_are_turned_away_and_good_tokens_pass() {
    let bench = bench(jwks(&["a"])).await;
    bench.ring.refresh().await.unwrap();
    bench.server.hold();
    let waiting: Vec<_> = (0..MOST_WAITING)
        .map(|_| {
            let ring = Arc::clone(&bench.ring);
            tokio::spawn(async move { ring.with_key("b").await.map(|loaded| loaded.generation) })
        })
        .collect();
    bench.server.asked(2).await;
    while bench.ring.flight().waiting < MOST_WAITING {
        tokio::task::yield_now().await;
    }
    let turned_away = bench.ask("b").await.unwrap_err();
    assert_eq!(turned_away, KeyFault::Unavailable("64 requests wait for it already".to_owned()));
    assert_eq!(bench.ask("a").await, Ok(1));
    bench.server.answer(jwks(&["a", "b"]));
    bench.server.open();
    for request in waiting {
        assert_eq!(request.await.unwrap(), Ok(2));
    }
    assert_eq!(bench.server.requests(), 2);
    assert_eq!(bench.ring.flight().waiting, 0);
}

#[tokio::test]
async fn whoever_gives_up_waiting_ends_the_fetch_for_nobody() {
    let bench = bench(jwks(&["a"])).await;
    bench.server.hold();
    let ring = Arc::clone(&bench.ring);
    let impatient = tokio::spawn(async move { ring.with_key("a").await.map(|_| ()) });
    bench.server.asked(1).await;
    impatient.abort();
    assert!(impatient.await.unwrap_err().is_cancelled());
    assert_eq!(bench.ring.flight().waiting, 0);
    bench.server.open();
    assert_eq!(bench.ask("a").await, Ok(1));
    assert_eq!(bench.server.requests(), 1);
}

#[tokio::test]
async fn a_forced_refresh_sees_what_changed_while_another_fetch_was_under_way() {
    let bench = bench(jwks(&["a"])).await;
    bench.server.hold();
    let (first, second) = (Arc::clone(&bench.ring), Arc::clone(&bench.ring));
    let first = tokio::spawn(async move { first.refresh().await });
    bench.server.asked(1).await;
    let second = tokio::spawn(async move { second.refresh().await });
    tokio::task::yield_now().await;
    bench.server.open();
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    assert_eq!(bench.server.requests(), 2);
}

#[tokio::test]
async fn keys_are_kept_fresh_in_the_background() {
    let bench = bench(jwks(&["a"])).await;
    let keeper = tokio::spawn(Arc::clone(&bench.ring).keep_fresh());
    bench.landed(1).await;
    keeper.abort();
    assert!(bench.ring.is_usable(bench.clock.now()));
}

#[tokio::test]
async fn fetches_are_spread_and_come_sooner_after_failures() {
    let bench = bench(jwks(&["a"])).await;
    let tenth = |pause: Duration, around: u64| {
        let (pause, around) = (pause.as_millis(), u128::from(around) * 1_000);
        pause >= around * 9 / 10 && pause <= around * 11 / 10
    };
    for (failures, seconds) in
        [(0, 3_600), (1, 10), (2, 20), (3, 40), (9, 2_560), (10, 3_600), (u32::MAX, 3_600)]
    {
        let pause = bench.ring.pause(failures);
        assert!(tenth(pause, seconds), "{failures}: {pause:?}");
    }
}
