//! The decision log against real files, pipes and a full disk.
#![expect(clippy::disallowed_methods, reason = "the tests look at the files that were written")]

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;
use tokio::task::{JoinHandle, yield_now};

use super::{AuditError, Config, Durability, Line, Lines, Log, Opening, Outcome, Receipt, Refused, Sink};
use crate::model::{Period, Timestamp};
use crate::telemetry::Metrics;

/// Long enough for any test that is going to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// More than a pipe holds.
const LARGE: usize = 200_000;

struct Case {
    folder: TempDir,
    config: Config,
    metrics: Metrics,
}

impl Case {
    fn new(durability: Durability) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            sink: Sink::File,
            path: folder.path().join("decisions.jsonl"),
            durability,
            stall: Period(Duration::from_millis(100)),
            ..Config::default()
        };
        Self { folder, config, metrics: Metrics::new() }
    }

    fn open(&self) -> Log {
        Log::open(&self.config, self.metrics.clone()).unwrap()
    }

    fn path(&self) -> &Path {
        &self.config.path
    }

    fn aside(&self) -> PathBuf {
        self.folder.path().join("aside")
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.path()).unwrap()
    }

    /// Puts a pipe in the file's place, and holds its reading end.
    fn pipe(&self) -> File {
        mknodat(CWD, self.path(), FileType::Fifo, Mode::RWXU, 0).unwrap();
        self.reader()
    }

    /// For reading and writing: so that opening it waits for nobody.
    fn reader(&self) -> File {
        OpenOptions::new().read(true).write(true).open(self.path()).unwrap()
    }
}

/// Starts a write that a pipe cannot take as a whole, and waits until it hangs.
async fn hang(case: &Case, log: &Log) -> JoinHandle<Result<Receipt, AuditError>> {
    let pending = log.append(&[&line_of("large", &"x".repeat(LARGE))]).unwrap();
    let hanging = tokio::spawn(pending.settled());
    while case.metrics.audit_queue.get() > 0 {
        yield_now().await;
    }
    hanging
}

/// What is there to be read, `count` bytes at most.
fn read(reader: &mut File, count: usize) -> String {
    let mut text = vec![0; count];
    let count = reader.read(&mut text).unwrap();
    text.truncate(count);
    String::from_utf8(text).unwrap()
}

fn line(id: &str) -> Lines {
    line_of(id, "")
}

fn line_of(id: &str, detail: &str) -> Lines {
    let mut lines = Lines::default();
    let line = Line {
        refused: Some(Refused { code: "malformed_request", detail }),
        ..Line::new(Opening::Time(Timestamp::from_millis(0)), id, Outcome::Refused)
    };
    lines.push(&line).unwrap();
    lines
}

fn as_text(lines: &Lines) -> &str {
    std::str::from_utf8(lines.as_bytes()).unwrap()
}

#[tokio::test]
async fn a_receipt_means_that_the_line_is_in_the_file() {
    for durability in [Durability::Written, Durability::Synced] {
        let case = Case::new(durability);
        let log = case.open();
        log.record(&[&line("1")]).await.unwrap();
        assert_eq!(case.text(), as_text(&line("1")));
        assert_eq!(case.path().metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(case.metrics.audit_lines.get(), 1);
        assert_eq!(case.metrics.audit_bytes.get(), u64::try_from(case.text().len()).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_records_at_once_are_whole_lines_and_all_there() {
    let case = Case::new(Durability::Written);
    let log = case.open();
    let tasks: Vec<_> = (0..100)
        .map(|task| {
            let (log, path) = (log.clone(), case.path().to_owned());
            tokio::spawn(async move {
                for number in 0..100 {
                    let id = format!("<{task}-{number}>");
                    log.record(&[&line(&id)]).await.unwrap();
                    if number == 50 {
                        assert!(std::fs::read_to_string(&path).unwrap().contains(&id));
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let mut ids: Vec<String> = case
        .text()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["decision_id"].to_string())
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 10_000);
    assert_eq!(case.metrics.audit_lines.get(), 10_000);
    assert_eq!(case.metrics.audit_queue.get(), 0);
}

#[tokio::test]
async fn a_full_disk_refuses_every_record_and_a_freed_one_takes_them_again() {
    let case = Case::new(Durability::Written);
    symlink("/dev/full", case.path()).unwrap();
    let log = case.open();
    for _ in 0..3 {
        let error = log.record(&[&line("1")]).await.unwrap_err();
        assert!(matches!(&error, AuditError::Failed(why) if why.contains("No space left")), "{error}");
    }
    assert_eq!(case.metrics.audit_refusals.get(), 3);
    std::fs::remove_file(case.path()).unwrap();
    log.reopen();
    log.record(&[&line("2")]).await.unwrap();
    assert_eq!(case.text(), as_text(&line("2")));
}

#[tokio::test]
async fn what_was_promised_but_could_not_be_written_is_written_later() {
    let case = Case::new(Durability::Queued);
    symlink("/dev/full", case.path()).unwrap();
    let log = case.open();
    log.record(&[&line("1")]).await.unwrap();
    assert!(matches!(log.flush(PATIENCE).await, Err(AuditError::Failed(_))));
    std::fs::remove_file(case.path()).unwrap();
    log.reopen();
    log.record(&[&line("2")]).await.unwrap();
    log.flush(PATIENCE).await.unwrap();
    assert_eq!(case.text(), format!("{}{}", as_text(&line("1")), as_text(&line("2"))));
    assert_eq!(case.metrics.audit_lines.get(), 2);
}

#[tokio::test]
async fn a_pipe_that_nobody_reads_refuses_all_who_wait_and_recovers_when_it_is_read() {
    let case = Case::new(Durability::Written);
    let mut reader = case.pipe();
    let log = case.open();
    let hanging = hang(&case, &log).await;
    assert_eq!(log.record(&[&line("behind it")]).await.unwrap_err(), AuditError::Stalled);
    assert_eq!(hanging.await.unwrap().unwrap_err(), AuditError::Stalled);
    assert_eq!(log.append(&[&line("too late")]).unwrap_err(), AuditError::Stalled, "without waiting");
    assert_eq!(case.metrics.audit_stalls.get(), 1);
    assert_eq!(case.metrics.audit_refusals.get(), 3);

    let reading = std::thread::spawn(move || {
        let (mut text, mut piece) = (String::new(), [0; 4_096]);
        while !text.contains("recovered") {
            let count = reader.read(&mut piece).unwrap();
            text.push_str(std::str::from_utf8(&piece[..count]).unwrap());
        }
        text
    });
    tokio::time::timeout(PATIENCE, async {
        while log.record(&[&line("recovered")]).await.is_err() {
            yield_now().await;
        }
    })
    .await
    .unwrap();
    let text = reading.join().unwrap();
    assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    assert!(!text.contains("too late") && !text.contains("behind it"), "they were refused");
}

#[tokio::test]
async fn a_line_that_broke_off_is_ended_before_the_next() {
    let case = Case::new(Durability::Written);
    let reader = case.pipe();
    let log = case.open();
    let hanging = hang(&case, &log).await;
    let torn = rustix::pipe::fcntl_getpipe_size(&reader).unwrap();
    // The pipe is full; without a reader the write breaks off.
    while rustix::io::ioctl_fionread(&reader).unwrap() < u64::try_from(torn).unwrap() {
        yield_now().await;
    }
    drop(reader);
    assert!(matches!(hanging.await.unwrap().unwrap_err(), AuditError::Failed(_)));
    let mut reader = case.reader();
    assert!(read(&mut reader, torn).ends_with('x'));
    log.record(&[&line("next")]).await.unwrap();
    let next = format!("\n{}", as_text(&line("next")));
    assert_eq!(read(&mut reader, next.len()), next);
}

#[tokio::test]
async fn a_file_that_ends_within_a_line_is_continued_on_the_next() {
    let case = Case::new(Durability::Written);
    std::fs::write(case.path(), "{\"torn").unwrap();
    case.open().record(&[&line("1")]).await.unwrap();
    assert_eq!(case.text(), format!("{{\"torn\n{}", as_text(&line("1"))));
    case.open().record(&[&line("2")]).await.unwrap();
    assert!(!case.text().contains("\n\n"), "a whole line needs no other end");
}

#[tokio::test]
async fn a_file_that_is_moved_away_is_followed_by_a_new_one() {
    let case = Case::new(Durability::Written);
    let log = case.open();
    log.record(&[&line("1")]).await.unwrap();
    std::fs::rename(case.path(), case.aside()).unwrap();
    log.record(&[&line("2")]).await.unwrap();
    log.reopen();
    log.record(&[&line("3")]).await.unwrap();
    assert_eq!(std::fs::read_to_string(case.aside()).unwrap().lines().count(), 2);
    assert_eq!(case.text(), as_text(&line("3")));
}

#[tokio::test]
async fn a_record_whose_request_went_away_is_written_all_the_same() {
    let case = Case::new(Durability::Written);
    let log = case.open();
    // Again and again, so that the writer is found asleep; neither a later record nor `flush`,
    // which would wake it too, follows before the line is there.
    for round in 1..=100 {
        drop(log.append(&[&line("left behind")]).unwrap());
        tokio::time::timeout(PATIENCE, async {
            while case.metrics.audit_lines.get() < round {
                yield_now().await;
            }
        })
        .await
        .unwrap();
    }
    assert_eq!(case.text(), as_text(&line("left behind")).repeat(100));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_keep_their_order_whoever_writes_them() {
    let mut case = Case::new(Durability::Written);
    case.config.stall = Period(PATIENCE);
    let mut reader = case.pipe();
    let log = case.open();
    // More than the pipe holds, so that tasks and the thread take turns.
    let count = 4_000;
    let expected: String = (0..count).map(|number| as_text(&line(&number.to_string())).to_owned()).collect();
    let mut text = vec![0; expected.len()];
    let reading = std::thread::spawn(move || {
        reader.read_exact(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    });
    let mut waiting = Vec::new();
    for number in 0..count {
        waiting.push(tokio::spawn(log.append(&[&line(&number.to_string())]).unwrap().settled()));
        if number % 10 == 0 {
            yield_now().await;
        }
    }
    for waiting in waiting {
        waiting.await.unwrap().unwrap();
    }
    assert_eq!(reading.join().unwrap(), expected);
}

#[tokio::test]
async fn what_waits_is_bounded() {
    let mut case = Case::new(Durability::Written);
    case.config.queue = 1_000;
    let _reader = case.pipe();
    let log = case.open();
    let hanging = hang(&case, &log).await;
    let _waiting: Vec<_> = std::iter::from_fn(|| log.append(&[&line("waits")]).ok()).take(1_000).collect();
    assert_eq!(log.append(&[&line("one more")]).unwrap_err(), AuditError::Full);
    let waits = log.record(&[&line("waits beside them")]).await;
    assert!(matches!(waits, Err(AuditError::Full | AuditError::Stalled)), "{waits:?}");
    assert_eq!(hanging.await.unwrap().unwrap_err(), AuditError::Stalled);
}

#[tokio::test]
async fn what_finds_no_room_takes_nothing_away_that_was_promised() {
    let mut case = Case::new(Durability::Queued);
    case.config.queue = 1_000;
    let mut reader = case.pipe();
    let log = case.open();
    log.append(&[&line_of("large", &"x".repeat(LARGE))]).unwrap();
    while case.metrics.audit_queue.get() > 0 {
        yield_now().await;
    }
    let promised = std::iter::from_fn(|| log.append(&[&line("promised")]).ok()).take(1_000).count();
    assert_eq!(log.record(&[&line("no room")]).await.unwrap_err(), AuditError::Full);
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        while text.matches("promised").count() < promised {
            text.push_str(&read(&mut reader, 4_096));
        }
        text
    });
    log.flush(PATIENCE).await.unwrap();
    assert!(!reading.join().unwrap().contains("no room"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_that_are_ready_at_once_are_more_than_the_queue_takes_and_all_are_recorded() {
    for durability in [Durability::Written, Durability::Queued] {
        let mut case = Case::new(durability);
        case.config.queue = 1_000;
        case.config.stall = Period(PATIENCE);
        let log = case.open();
        let large = "x".repeat(case.config.queue / 2);
        let tasks: Vec<_> = (0..100)
            .map(|task| {
                let (log, lines) = (log.clone(), line_of(&task.to_string(), &large));
                tokio::spawn(async move { log.record(&[&lines]).await })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        log.flush(PATIENCE).await.unwrap();
        assert_eq!(case.text().lines().count(), 100);
        assert_eq!(case.metrics.audit_refusals.get(), 0);
    }
}

#[test]
fn a_pipe_cannot_be_synchronised_and_a_missing_folder_is_named() {
    let case = Case::new(Durability::Synced);
    let _reader = case.pipe();
    let error = Log::open(&case.config, Metrics::new()).unwrap_err();
    assert!(error.to_string().contains("synced"), "{error}");
    let mut case = Case::new(Durability::Written);
    case.config.path = case.folder.path().join("missing/decisions.jsonl");
    let error = Log::open(&case.config, Metrics::new()).unwrap_err();
    assert!(error.to_string().contains("missing/decisions.jsonl"), "{error}");
}

#[tokio::test]
async fn a_log_that_is_off_gives_receipts_for_nothing() {
    let mut case = Case::new(Durability::Written);
    case.config.sink = Sink::Off;
    case.open().record(&[&line("1")]).await.unwrap();
    assert!(!case.path().exists());
}
