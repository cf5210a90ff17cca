//! `palisade serve`: the composition root, where every part meets the others.

use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, watch};

use super::render::{self, Texts};
use super::{Exit, Shell, files, gate, progress};
use crate::audit::Log;
use crate::cedar::limits::EVALUATION_STACK;
use crate::cedar::{Compiler, Snapshots};
use crate::clock::Clock;
use crate::config::Configuration;
use crate::decision::Decider;
use crate::http::{self, Api, Operations, Router, listen};
use crate::identity::Verifier;
use crate::model::status::PolicyStatus;
use crate::store::{Loaded, Reloads};
use crate::telemetry::{Metrics, log};

/// How long the last records may take to be written when the service stops.
const FLUSH: Duration = Duration::from_secs(5);

/// How long a thread that has done some blocking work waits for more: shorter than the time between
/// two looks at the files, because the allocator gives memory back when a thread ends.
const KEEP_ALIVE: Duration = Duration::from_millis(500);

/// How long the probes' connections are waited for at the very end.
const LAST_PROBES: Duration = Duration::from_secs(1);

/// The parts that `serve` and `dev` come by in different ways.
pub(super) struct Parts {
    pub(super) configuration: Configuration,
    pub(super) policies: Policies,
    pub(super) verifier: Verifier,
    pub(super) clock: Clock,
    pub(super) metrics: Metrics,
    /// Routes of the operations listener beside its own.
    pub(super) further: Router,
    /// What is told once both listeners are there: the addresses of decisions and operations.
    pub(super) started: Started,
}

/// What is told the addresses.
pub(super) type Started = Box<dyn FnOnce(&str, &str)>;

/// The policies in force, and what puts edits of them in force.
pub(super) struct Policies {
    pub(super) snapshots: Snapshots,
    pub(super) status: watch::Receiver<PolicyStatus>,
    pub(super) reloads: Option<Reloads>,
}

pub(super) fn run(shell: &Shell) -> Exit {
    let configuration = match shell.configuration() {
        Ok(configuration) => configuration,
        Err(exit) => return exit,
    };
    if let Err(finding) = configuration.check_for_serving() {
        return configuration_fault(shell, &configuration, &finding);
    }
    let (runtime, clock, metrics) = match prepare(&configuration) {
        Ok(prepared) => prepared,
        Err(exit) => return exit,
    };
    let policies = match load(shell, &configuration, &clock, &metrics) {
        Ok(policies) => policies,
        Err(exit) => return exit,
    };
    let config = &configuration.config;
    let verifier = Verifier::new(&config.issuers, &config.limits, clock.clone(), &metrics);
    match verifier {
        Ok(verifier) => {
            let started = Box::new(|_: &str, _: &str| {});
            let further = Router::new();
            runtime.block_on(serve(Parts {
                configuration,
                policies,
                verifier,
                clock,
                metrics,
                further,
                started,
            }))
        }
        Err(error) => failed(&error, None),
    }
}

/// The program log, the runtime, and the clocks.
pub(super) fn prepare(configuration: &Configuration) -> Result<(Runtime, Clock, Metrics), Exit> {
    log::start(&configuration.config.log).map_err(|error| {
        let fault = configuration.fault("log.level", error.to_string());
        render::findings(&[fault], &Texts::of(&crate::cedar::Sources::default(), configuration));
        Exit::Failed
    })?;
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(EVALUATION_STACK)
        .thread_keep_alive(KEEP_ALIVE)
        .build();
    let runtime =
        runtime.map_err(|error| failed(&format!("the runtime cannot be started: {error}"), None))?;
    Ok((runtime, Clock::machine(), Metrics::new()))
}

/// Reads and compiles for the first time. A bad set prints every finding.
pub(super) fn load(
    shell: &Shell,
    configuration: &Configuration,
    clock: &Clock,
    metrics: &Metrics,
) -> Result<Policies, Exit> {
    let files = files(configuration).behind(gate::of(configuration));
    let compiler = Compiler::default();
    let loaded = progress::told(
        &Arc::clone(compiler.progress()),
        |stage| tracing::info!("{stage}"),
        || {
            let (clock, metrics) = (clock.clone(), metrics.clone());
            Loaded::first(files.clone(), configuration.file.clone(), clock, metrics, compiler)
        },
    );
    match loaded {
        Ok(Loaded { snapshots, status, warnings, reloads }) => {
            for warning in &warnings {
                tracing::warn!(code = warning.code, finding = %warning, help = warning.help, "policy warning");
            }
            let revision = snapshots.current().revision().clone();
            tracing::info!(%revision, policies = snapshots.current().policy_count(), "the policies are in force");
            Ok(Policies { snapshots, status, reloads: Some(reloads) })
        }
        Err(findings) => {
            let sources = files.read().unwrap_or_default();
            match shell.format {
                super::Format::Text => render::findings(&findings, &Texts::of(&sources, configuration)),
                super::Format::Json => render::json(&serde_json::json!({"findings": findings})),
            }
            Err(failed(
                &format!("the policies cannot serve: {}", render::count(&findings)),
                Some("`palisade check` and `palisade test` show the same"),
            ))
        }
    }
}

/// A complaint about the settings, at its line.
pub(super) fn configuration_fault(
    shell: &Shell,
    configuration: &Configuration,
    finding: &crate::model::Finding,
) -> Exit {
    let text = configuration.file.as_ref().map(|file| file.text.to_string()).unwrap_or_default();
    render::fault(finding, &text, shell.format);
    Exit::Failed
}

/// Runs the service until it is told to stop.
pub(super) async fn serve(parts: Parts) -> Exit {
    let Parts { configuration, policies, verifier, clock, metrics, further, started } = parts;
    let weak_settings = configuration.weak_settings();
    let config = configuration.config;

    let log = match Log::open(&config.audit, metrics.clone()) {
        Ok(log) => log,
        Err(error) => return failed(&error, Some("mend `[audit]` of palisade.toml")),
    };
    let signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => return failed(&format!("signals cannot be received: {error}"), None),
    };
    let bound = config.server.listen.bind(config.server.socket_mode).and_then(|decisions| {
        config.server.ops_listen.bind(config.server.socket_mode).map(|operations| (decisions, operations))
    });
    let (decisions_listener, operations_listener) = match bound {
        Ok(bound) => bound,
        Err(error) => {
            return failed(&error, Some("stop the other, or set `server.listen` and `server.ops_listen`"));
        }
    };
    for weak in &weak_settings {
        tracing::warn!(setting = weak.setting, meaning = weak.meaning, "weak setting");
    }

    let (draining, is_draining) = watch::channel(false);
    let (stopping, is_stopping) = watch::channel(false);
    let (finished, is_finished) = watch::channel(false);
    let status = Operations {
        policies: policies.status,
        keys: verifier.statuses(),
        draining: is_draining,
        max_stale: config.issuers.iter().map(|issuer| issuer.max_stale.0).min().unwrap_or_default(),
        weak_settings: weak_settings.into(),
        clock: clock.clone(),
        metrics: metrics.clone(),
    };
    let decider = Decider { snapshots: policies.snapshots, log: log.clone(), clock, metrics };
    let api = Api {
        verifier: verifier.clone(),
        decider,
        limits: config.limits.clone(),
        explain: config.server.explain,
        operations: status.clone(),
    };

    let look = Arc::new(Notify::new());
    let keys = verifier.clone();
    let keys_end = turned(is_finished.clone());
    tokio::spawn(async move { keys.run(keys_end).await });
    if let Some(reloads) = policies.reloads {
        tokio::spawn(reloads.run(config.policies.watch, Arc::clone(&look), turned(finished.subscribe())));
    }
    let (decisions_at, operations_at) = (address(&decisions_listener), address(&operations_listener));
    tracing::info!(api = "decisions", address = decisions_at, "listening");
    tracing::info!(api = "operations", address = operations_at, "listening");
    started(&decisions_at, &operations_at);

    let grace = config.limits.request.0;
    let decisions = http::router(Arc::new(api));
    let decisions = listen::run(decisions_listener, decisions, &config.limits, turned(is_stopping), grace);
    let operations = http::ops::router(status).merge(further);
    let probes =
        listen::run(operations_listener, operations, &config.limits, turned(is_finished), LAST_PROBES);
    let finish = async {
        let ended = decisions.await;
        let flushed = log.flush(FLUSH).await;
        finished.send_replace(true);
        (ended, flushed)
    };
    let hang_up = || {
        look.notify_one();
        let keys = verifier.clone();
        tokio::spawn(async move { keys.refresh_now().await });
        log.reopen();
    };
    let told = signals.obey(hang_up, config.server.drain.0, &draining, &stopping);
    tokio::select! {
        ((decisions, flushed), operations) = async { tokio::join!(finish, probes) } => {
            match decisions.and(operations).map_err(|error| error.to_string()).and(flushed.map_err(|error| error.to_string())) {
                Ok(()) => Exit::Good,
                Err(error) => failed(&error, None),
            }
        }
        () = told => failed(&"stopped in the middle, because it was told to twice", None),
    }
}

/// The signals that a service obeys.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Not ready at once; accepting for `drain`; then only what runs is finished. Returns when it
    /// is told once more, and that is not to be waited for.
    async fn obey(
        mut self,
        hang_up: impl Fn(),
        drain: Duration,
        draining: &watch::Sender<bool>,
        stopping: &watch::Sender<bool>,
    ) {
        while self.next().await == Told::HangUp {
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

/// What a signal says.
#[derive(PartialEq, Eq)]
enum Told {
    Stop,
    HangUp,
}

/// Waits until a switch is turned on, or nobody is left who could.
async fn turned(mut switch: watch::Receiver<bool>) {
    let _nobody_is_left = switch.wait_for(|on| *on).await;
}

fn address(listener: &listen::Listener) -> String {
    listener.address().map_or_else(|error| error.to_string(), |address| address.to_string())
}

/// Prints why the service does not run.
pub(super) fn failed(why: &impl fmt::Display, help: Option<&str>) -> Exit {
    render::failure(&why.to_string(), help);
    Exit::Failed
}
