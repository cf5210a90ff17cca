//! What is being done, told on the way where it takes long: nothing of small projects.

use std::io::IsTerminal as _;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use anstream::{eprint, eprintln};

use crate::cedar::Progress;
use crate::cedar::progress::Stage;

/// How long nothing is said, and how often then.
const EVERY: Duration = Duration::from_secs(1);

/// Does some work, and has its progress told while it takes long.
pub(super) fn told<T>(
    progress: &Progress,
    mut tell: impl FnMut(Stage) + Send,
    work: impl FnOnce() -> T,
) -> T {
    thread::scope(|scope| {
        let (done, end) = channel::<()>();
        let telling = thread::Builder::new().name("progress".to_owned()).spawn_scoped(scope, move || {
            while end.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                if let Some(stage) = progress.stage() {
                    tell(stage);
                }
            }
        });
        // Without a thread it is done all the same, and nothing is told.
        drop(telling);
        let result = work();
        drop(done);
        result
    })
}

/// The same, told to whoever waits at a terminal, or reads what was written to standard error.
pub(super) fn shown<T>(progress: &Progress, work: impl FnOnce() -> T) -> T {
    let is_terminal = std::io::stderr().is_terminal();
    let mut is_shown = false;
    let result = told(
        progress,
        |stage| {
            is_shown = true;
            if is_terminal { eprint!("\r\x1b[K{stage}") } else { eprintln!("{stage}") }
        },
        work,
    );
    if is_terminal && is_shown {
        eprint!("\r\x1b[K");
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_told_of_what_is_done_at_once() {
        let mut told_of = 0;
        assert_eq!(told(&Progress::default(), |_| told_of += 1, || 7), 7);
        assert_eq!(told_of, 0);
    }
}
