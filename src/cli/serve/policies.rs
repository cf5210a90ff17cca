//! The policies of a service: from disk or from a bundle, and what keeps them up to date.

use std::sync::{Arc, OnceLock};

use tokio::runtime::Runtime;
use tokio::sync::{Notify, watch};

use super::super::render::{self, Texts};
use super::super::{Shell, files, gate, progress};
use super::{Refused, RefusedBy, configuration_fault};
use crate::cedar::{Compiler, Snapshot, Snapshots};
use crate::clock::Clock;
use crate::config::Configuration;
use crate::http::{Api, Closed, Door};
use crate::model::status::PolicyStatus;
use crate::store::{FetchedPolicies, Loaded, NotReady, Reloads};
use crate::telemetry::Metrics;

/// Where policies come from.
pub(in crate::cli) enum Policies {
    /// They are in force, and edits of them are put in force.
    OnDisk { snapshots: Snapshots, status: watch::Receiver<PolicyStatus>, reloads: Option<Box<Reloads>> },
    /// They are there as soon as their bundle is.
    Fetched(Arc<FetchedPolicies>),
}

/// Reads and compiles for the first time. A bad set on disk prints every finding; a bundle may still be mended, and
/// is in the log.
pub(in crate::cli) fn load(
    shell: &Shell,
    configuration: &Configuration,
    runtime: &Runtime,
    clock: &Clock,
    metrics: &Metrics,
) -> Result<Policies, Refused> {
    let files = files(configuration).behind(gate::of(configuration));
    let compiler = Compiler::default();
    if let Some(bundle) = &configuration.config.policies.bundle {
        let (clock, metrics, environment) = (clock.clone(), metrics.clone(), configuration.environment());
        let fetched = FetchedPolicies::new(files, bundle, environment, clock, metrics, compiler);
        let fetched = fetched.map_err(|fault| {
            let finding = configuration.fault("policies.bundle.url", fault.to_string());
            configuration_fault(shell, configuration, &finding)
        })?;
        runtime.block_on(fetched.load());
        return Ok(Policies::Fetched(fetched));
    }
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
            Ok(Policies::OnDisk { snapshots, status, reloads: Some(Box::new(reloads)) })
        }
        Err(findings) => {
            let sources = files.read().unwrap_or_default();
            match shell.format {
                super::super::Format::Text => {
                    render::findings(&findings, &Texts::of(&sources, configuration));
                }
                super::super::Format::Json => render::json(&serde_json::json!({"findings": findings})),
            }
            let reason = format!("the policies cannot serve: {}", render::count(&findings));
            render::failure(&reason, Some("`palisade check` and `palisade test` show the same"));
            let first = findings.iter().find(|finding| finding.is_error());
            let reason = first.map_or(reason.clone(), |first| format!("{reason}; the first: {first}"));
            Err(Refused { by: RefusedBy::Policies, reason })
        }
    }
}

impl Policies {
    /// How they are.
    pub(super) fn status(&self) -> watch::Receiver<PolicyStatus> {
        match self {
            Self::OnDisk { status, .. } => status.clone(),
            Self::Fetched(fetched) => fetched.status(),
        }
    }

    /// What is in force now and comes from disk.
    pub(in crate::cli) fn on_disk(&self) -> Option<Arc<Snapshot>> {
        match self {
            Self::OnDisk { snapshots, .. } => Some(snapshots.current()),
            Self::Fetched(_) => None,
        }
    }

    /// What can be decided by now.
    ///
    /// # Errors
    /// There is nothing, or it is too old.
    pub(in crate::cli) async fn fresh(&self) -> Result<Snapshots, NotReady> {
        match self {
            Self::OnDisk { snapshots, .. } => Ok(snapshots.clone()),
            Self::Fetched(fetched) => fetched.fresh().await,
        }
    }

    /// The way in to the API that `api` makes of them.
    pub(super) fn door(&self, api: impl Fn(Snapshots) -> Api + Send + Sync + 'static) -> Door {
        let fetched = match self {
            Self::OnDisk { snapshots, .. } => return Door::Open(Arc::new(api(snapshots.clone()))),
            Self::Fetched(fetched) => Arc::clone(fetched),
        };
        let opened = Arc::new((OnceLock::new(), api));
        Door::Attended(Arc::new(move || {
            let (fetched, opened) = (Arc::clone(&fetched), Arc::clone(&opened));
            Box::pin(async move {
                let snapshots = fetched.fresh().await.map_err(|why| Closed { cause: why.to_string() })?;
                let (once, api) = &*opened;
                Ok(Arc::clone(once.get_or_init(|| Arc::new(api(snapshots)))))
            })
        }))
    }

    /// Puts in force what is new, until `end`; and looks at once whenever `look` is notified. A bundle is left to the
    /// requests where they are `all_that_runs`: after a thaw, whatever asks before the first of them has it go on
    /// with what was held.
    pub(super) fn keep_up(
        self,
        all_that_runs: bool,
        watch: bool,
        look: Arc<Notify>,
        end: impl Future<Output = ()> + Send + 'static,
    ) {
        match self {
            Self::OnDisk { reloads: Some(reloads), .. } => {
                tokio::spawn(reloads.run(watch, look, end));
            }
            Self::OnDisk { reloads: None, .. } => {}
            Self::Fetched(_) if all_that_runs => {}
            Self::Fetched(fetched) => {
                tokio::spawn(fetched.run(look, end));
            }
        }
    }
}
