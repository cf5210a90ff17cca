//! How a service is told to stop, and how long each step of stopping may take.

use std::io;
use std::pin::pin;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// How long each step of stopping may take.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Patience {
    /// Requests are still accepted.
    pub(in crate::cli) drain: Duration,
    /// Those that run are finished.
    pub(in crate::cli) requests: Duration,
    /// The last records are written.
    pub(in crate::cli) records: Duration,
    /// The probes' connections end.
    pub(in crate::cli) probes: Duration,
}

/// The signals that a service obeys.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

/// What a signal says.
#[derive(PartialEq, Eq)]
enum Told {
    Stop,
    HangUp,
}

impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Until a signal or `end` says to stop: not ready at once then; accepting for `drain`; then only what
    /// runs is finished. Returns when a signal says so once more, and that is not to be waited for.
    pub(super) async fn obey(
        mut self,
        end: impl Future<Output = ()>,
        hang_up: impl Fn(),
        drain: Duration,
        draining: &watch::Sender<bool>,
        stopping: &watch::Sender<bool>,
    ) {
        let mut end = pin!(end);
        loop {
            let told = tokio::select! {
                told = self.next() => told,
                () = &mut end => Told::Stop,
            };
            if told == Told::Stop {
                break;
            }
            tracing::info!("reading policies and keys again, and reopening the decision log");
            hang_up();
        }
        draining.send_replace(true);
        tracing::info!(?drain, "draining");
        tokio::select! {
            () = tokio::time::sleep(drain) => {}
            () = self.stop() => {}
        }
        tracing::info!("stopping");
        stopping.send_replace(true);
        self.stop().await;
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Stop,
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.hang_up.recv() => Told::HangUp,
        }
    }

    async fn stop(&mut self) {
        while self.next().await == Told::HangUp {}
    }
}
