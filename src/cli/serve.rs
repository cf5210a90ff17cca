//! `palisade serve`: the composition root, where every part meets the others.

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, watch};

use super::render::{self, Texts};
use super::{Exit, Shell};
use crate::audit::{AuditError, Log};
use crate::cedar::limits::EVALUATION_STACK;
use crate::clock::Clock;
use crate::config::Configuration;
use crate::decision::Decider;
use crate::http::listen::{self, Listener};
use crate::http::{self, Api, Operations, Router};
use crate::identity::Verifier;
use crate::model::Finding;
use crate::telemetry::{Metrics, log};
use crate::workers::Workers;

mod keys;
mod policies;
mod stop;

pub(super) use keys::{FirstKeys, keep_fresh};
pub(super) use policies::{Policies, load};
pub(super) use stop::Patience;
use stop::Signals;

/// How long the last records may take to be written when the service stops.
const RECORDS: Duration = Duration::from_secs(5);

/// How long the probes' connections are waited for at the very end.
const PROBES: Duration = Duration::from_secs(1);

/// How long a thread that has done some blocking work waits for more: shorter than the time between
/// two looks at the files, because the allocator gives memory back when a thread ends.
const KEEP_ALIVE: Duration = Duration::from_millis(500);

/// A service that is there and listens; nobody is answered before it runs.
pub(super) struct Service {
    parts: Parts,
    log: Log,
    decisions: Listener,
    operations: Listener,
    patience: Patience,
    /// Whether everything is frozen between requests.
    freezes: bool,
}

/// The parts that the verbs that serve come by in different ways.
pub(super) struct Parts {
    pub(super) configuration: Configuration,
    pub(super) policies: Policies,
    pub(super) verifier: Verifier,
    pub(super) clock: Clock,
    pub(super) metrics: Metrics,
    /// Routes of the operations listener beside its own.
    pub(super) further: Router,
}

/// Why a service does not start. It has been printed; the reason is for whoever else is to be told.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) by: RefusedBy,
    /// One line.
    pub(super) reason: String,
}

/// What stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RefusedBy {
    /// A file, a variable, or what they come to together.
    Settings,
    /// The policies, their schema, their entities or their tests.
    Policies,
    /// A port, a file, a thread or a trust store that is not to be had.
    Machine,
}

/// Why a service that ran has ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("signals cannot be received: {0}")]
    Signals(io::Error),
    #[error("there are no threads to answer on: {0}")]
    Threads(io::Error),
    #[error("a listener has failed: {0}")]
    Listener(io::Error),
    #[error(transparent)]
    Log(AuditError),
    #[error("stopped in the middle, because it was told to twice")]
    Twice,
}

pub(super) fn run(shell: &Shell) -> Exit {
    match start(shell) {
        Ok((runtime, service, _nobody_waits)) => runtime.block_on(service.run(std::future::pending())).into(),
        Err(refused) => refused.into(),
    }
}

/// The service as the settings say.
pub(super) fn start(shell: &Shell) -> Result<(Runtime, Service, FirstKeys), Refused> {
    let configuration = configuration(shell)?;
    let (runtime, clock, metrics) = prepare(&configuration)?;
    let config = &configuration.config;
    let verifier = Verifier::new(&config.issuers, &config.limits, clock.clone(), &metrics)
        .map_err(|error| Refused::by_the_machine(&error, None))?;
    let first_keys = keep_fresh(&runtime, &verifier);
    let policies = load(shell, &configuration, &runtime, &clock, &metrics)?;
    let further = Router::new();
    let service = Service::open(Parts { configuration, policies, verifier, clock, metrics, further })?;
    Ok((runtime, service, first_keys))
}

/// The settings, where they are complete and safe.
pub(super) fn configuration(shell: &Shell) -> Result<Configuration, Refused> {
    let configuration = shell.settings().map_err(|fault| {
        shell.complain(&fault);
        Refused { by: RefusedBy::Settings, reason: fault.to_string() }
    })?;
    configuration
        .check_for_serving()
        .map_err(|finding| configuration_fault(shell, &configuration, &finding))?;
    Ok(configuration)
}

/// The program log, the runtime, and the clocks.
pub(super) fn prepare(configuration: &Configuration) -> Result<(Runtime, Clock, Metrics), Refused> {
    log::start(&configuration.config.log).map_err(|error| {
        let fault = configuration.fault("log.level", error.to_string());
        let texts = Texts::of(&crate::cedar::Sources::default(), configuration);
        render::findings(std::slice::from_ref(&fault), &texts);
        Refused { by: RefusedBy::Settings, reason: fault.to_string() }
    })?;
    // For everything but decisions, which have threads of their own.
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .thread_stack_size(EVALUATION_STACK)
        .thread_keep_alive(KEEP_ALIVE)
        .build();
    let runtime = runtime
        .map_err(|error| Refused::by_the_machine(&format!("the runtime cannot be started: {error}"), None))?;
    Ok((runtime, Clock::machine(), Metrics::new()))
}

/// A complaint about the settings, at its line.
pub(super) fn configuration_fault(
    shell: &Shell,
    configuration: &Configuration,
    finding: &Finding,
) -> Refused {
    let text = configuration.file.as_ref().map(|file| file.text.to_string()).unwrap_or_default();
    render::fault(finding, &text, shell.format);
    Refused { by: RefusedBy::Settings, reason: finding.to_string() }
}

impl Service {
    /// Opens the log and listens.
    pub(super) fn open(parts: Parts) -> Result<Self, Refused> {
        let config = &parts.configuration.config;
        let log = Log::open(&config.audit, parts.metrics.clone())
            .map_err(|error| Refused::by_the_machine(&error, Some("mend `[audit]` of palisade.toml")))?;
        let bind = |address: &http::Address| {
            address.bind(config.server.socket_mode).map_err(|error| {
                let help = "stop the other, or set `server.listen` and `server.ops_listen`";
                Refused::by_the_machine(&error, Some(help))
            })
        };
        let (decisions, operations) = (bind(&config.server.listen)?, bind(&config.server.ops_listen)?);
        let patience = Patience {
            drain: config.server.drain.0,
            requests: config.limits.request.0,
            records: RECORDS,
            probes: PROBES,
        };
        Ok(Self { parts, log, decisions, operations, patience, freezes: false })
    }

    /// The same, where it is frozen between requests, and less time or more is given to stop.
    pub(super) fn in_lambda(self, patience: Patience) -> Self {
        Self { patience, freezes: true, ..self }
    }

    /// The addresses of decisions and operations.
    pub(super) fn addresses(&self) -> (String, String) {
        (address(&self.decisions), address(&self.operations))
    }

    /// Serves until a signal or `end` says to stop.
    pub(super) async fn run(self, end: impl Future<Output = ()>) -> Result<(), Broken> {
        let (decisions_at, operations_at) = self.addresses();
        let Self { parts, log, decisions, operations, patience, freezes } = self;
        let Parts { configuration, policies, verifier, clock, metrics, further } = parts;
        let weak_settings = configuration.weak_settings();
        let config = configuration.config;
        let signals = Signals::listen().map_err(Broken::Signals)?;
        for weak in &weak_settings {
            tracing::warn!(setting = weak.setting, meaning = weak.meaning, "weak setting");
        }

        // In one environment of Lambda there is one handler, which mostly waits for one answer.
        let few = freezes.then_some(NonZero::<usize>::MIN);
        let workers =
            Workers::start(config.server.workers.or(few), EVALUATION_STACK).map_err(Broken::Threads)?;
        let (draining, is_draining) = watch::channel(false);
        let (stopping, is_stopping) = watch::channel(false);
        let (finished, is_finished) = watch::channel(false);
        let status = Operations {
            policies: policies.status(),
            keys: verifier.statuses(),
            draining: is_draining,
            max_stale: config.issuers.iter().map(|issuer| issuer.max_stale.0).min().unwrap_or_default(),
            weak_settings: weak_settings.into(),
            clock: clock.clone(),
            metrics: metrics.clone(),
        };
        let api = {
            let (verifier, log, operations) = (verifier.clone(), log.clone(), status.clone());
            let (clock, metrics, workers) = (clock.clone(), metrics.clone(), workers.clone());
            let (limits, explain) = (config.limits.clone(), config.server.explain);
            move |snapshots| Api {
                verifier: verifier.clone(),
                decider: Decider {
                    snapshots,
                    log: log.clone(),
                    clock: clock.clone(),
                    metrics: metrics.clone(),
                    workers: Some(workers.clone()),
                },
                limits: limits.clone(),
                explain,
                operations: operations.clone(),
            }
        };

        let look = Arc::new(Notify::new());
        let door = policies.door(api);
        policies.keep_up(freezes, config.policies.watch, Arc::clone(&look), turned(is_finished.clone()));
        tracing::info!(api = "decisions", address = decisions_at, "listening");
        tracing::info!(api = "operations", address = operations_at, "listening");

        let service = http::Decisions::new(door, clock, metrics, &config.limits);
        let decisions =
            listen::run(decisions, service, &config.limits, &workers, turned(is_stopping), patience.requests);
        let here = Workers::here();
        let probes = http::ops::service(status, further);
        let probes =
            listen::run(operations, probes, &config.limits, &here, turned(is_finished), patience.probes);
        let finish = async {
            let ended = decisions.await;
            let flushed = log.flush(patience.records).await;
            finished.send_replace(true);
            (ended, flushed)
        };
        let hang_up = || {
            look.notify_one();
            let keys = verifier.clone();
            tokio::spawn(async move { keys.refresh_now().await });
            log.reopen();
        };
        let told = signals.obey(end, hang_up, patience.drain, &draining, &stopping);
        tokio::select! {
            ((decisions, flushed), operations) = async { tokio::join!(finish, probes) } => {
                decisions.and(operations).map_err(Broken::Listener)?;
                flushed.map_err(Broken::Log)
            }
            () = told => Err(Broken::Twice),
        }
    }
}

impl Refused {
    /// Prints what the machine did not give.
    pub(super) fn by_the_machine(why: &impl fmt::Display, help: Option<&str>) -> Self {
        let reason = why.to_string();
        render::failure(&reason, help);
        Self { by: RefusedBy::Machine, reason }
    }
}

impl From<Refused> for Exit {
    fn from(_printed_already: Refused) -> Self {
        Self::Failed
    }
}

impl From<Result<(), Broken>> for Exit {
    fn from(ended: Result<(), Broken>) -> Self {
        ended.map_or_else(|broken| failed(&broken, None), |()| Self::Good)
    }
}

/// Waits until a switch is turned on, or nobody is left who could.
async fn turned(mut switch: watch::Receiver<bool>) {
    let _nobody_is_left = switch.wait_for(|on| *on).await;
}

fn address(listener: &Listener) -> String {
    listener.address().map_or_else(|error| error.to_string(), |address| address.to_string())
}

/// Prints why a verb does not run.
pub(super) fn failed(why: &impl fmt::Display, help: Option<&str>) -> Exit {
    render::failure(&why.to_string(), help);
    Exit::Failed
}
