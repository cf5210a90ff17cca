//! `palisade lambda-authorizer`: the function that API Gateway asks before it lets a request pass. Lambda
//! starts it, sends it one event after the other, and freezes it in between.

use std::sync::OnceLock;

use tokio::runtime::Runtime as Tokio;

use super::in_lambda::{address, said, tell};
use super::serve::{self, FirstKeys, Policies, Refused, RefusedBy};
use super::{Exit, Shell, route_map};
use crate::audit::Log;
use crate::authorizer::{Authorizer, Unanswered};
use crate::cedar::{Snapshot, Snapshots};
use crate::config::Configuration;
use crate::decision::Decider;
use crate::gateway::{self, Unwritten};
use crate::identity::Verifier;
use crate::lambda::runtime::{Failure, Invocation, Runtime};
use crate::model::Finding;

/// The authorizer, as soon as there are policies to decide by.
struct Attended {
    policies: Policies,
    open: Box<dyn Fn(Snapshots) -> Authorizer + Send + Sync>,
    opened: OnceLock<Authorizer>,
}

pub(super) fn run(shell: &Shell) -> Exit {
    let how = "Lambda starts this verb, as the `bootstrap` of a function: see docs/authorizer.md";
    let authority = match address(shell, how) {
        Ok(authority) => authority,
        Err(exit) => return exit,
    };
    let api = match Runtime::at(authority) {
        Ok(api) => api,
        Err(fault) => return serve::failed(&fault, None),
    };
    match start(shell) {
        Ok((tokio, attended, keys)) => serve::failed(&tokio.block_on(live(api, attended, keys)), None),
        Err(refused) => give_up(&api, &refused),
    }
}

/// The authorizer as the settings say.
fn start(shell: &Shell) -> Result<(Tokio, Attended, FirstKeys), Refused> {
    let configuration = serve::configuration(shell)?;
    let Some(gateway::Config { answer: form, .. }) = configuration.config.authorizer else {
        let fault =
            configuration.fault("authorizer", "there is no `[authorizer]`, so no event can be answered");
        let help = "write `[authorizer]` with `answer = \"simple\"` or `answer = \"iam\"`";
        return Err(serve::configuration_fault(shell, &configuration, &fault.help(help)));
    };
    let (tokio, clock, metrics) = serve::prepare(&configuration)?;
    let config = &configuration.config;
    let verifier = Verifier::new(&config.issuers, &config.limits, clock.clone(), &metrics)
        .map_err(|error| Refused::by_the_machine(&error, None))?;
    let first_keys = serve::keep_fresh(&tokio, &verifier);
    let policies = serve::load(shell, &configuration, &tokio, &clock, &metrics)?;
    let routes = routes(&configuration, policies.on_disk().as_deref())?;
    let config = configuration.config;
    let log = Log::open(&config.audit, metrics.clone())
        .map_err(|error| Refused::by_the_machine(&error, Some("mend `[audit]` of palisade.toml")))?;
    let limits = config.limits;
    let open = move |snapshots| {
        let (log, clock, metrics) = (log.clone(), clock.clone(), metrics.clone());
        let decider = Decider { snapshots, log, clock, metrics, workers: None };
        let (verifier, routes, limits) = (verifier.clone(), routes.clone(), limits.clone());
        Authorizer { verifier, decider, routes, form, limits }
    };
    Ok((tokio, Attended { policies, open: Box::new(open), opened: OnceLock::new() }, first_keys))
}

/// The route map, where each of its questions can be asked. Policies of a bundle may come later and change:
/// what cannot be asked under them is not answered, and `palisade check` says so before.
fn routes(configuration: &Configuration, on_disk: Option<&Snapshot>) -> Result<gateway::RouteMap, Refused> {
    let (map, findings) = route_map::judged(configuration, on_disk);
    route_map::print(&findings, configuration);
    match (map, findings.into_iter().find(Finding::is_error)) {
        (Some(map), None) => Ok(map),
        (_, found) => {
            let first = found.map_or_else(String::new, |first| format!("; the first: {first}"));
            Err(Refused { by: RefusedBy::Settings, reason: format!("the route map cannot serve{first}") })
        }
    }
}

/// Answers events for as long as the environment is there, and says what else has ended that.
async fn live(api: Runtime, attended: Attended, keys: FirstKeys) -> String {
    keys.come().await;
    tracing::info!("ready");
    // On a thread whose stack carries every evaluation, unlike the one that the process began with.
    let answering = tokio::spawn(async move {
        loop {
            match api.next().await {
                Ok(invocation) => answer(&attended, &invocation).await,
                Err(fault) => return fault.to_string(),
            }
        }
    });
    answering.await.unwrap_or_else(|panicked| panicked.to_string())
}

impl Attended {
    async fn answer(&self, event: &[u8], request_id: &str) -> Result<String, Unanswered> {
        let snapshots = self.policies.fresh().await.map_err(|why| Unanswered::Policies(why.to_string()))?;
        self.opened.get_or_init(|| (self.open)(snapshots)).answer(event, request_id).await
    }
}

async fn answer(attended: &Attended, invocation: &Invocation) {
    let told = match attended.answer(&invocation.event, &invocation.request_id).await {
        Ok(answer) => invocation.answer(answer).await,
        Err(unanswered) => {
            let (request_id, message) = (invocation.request_id.as_str(), unanswered.to_string());
            if unanswered.is_by_the_client() {
                tracing::info!(request_id, cause = message, "not answered");
            } else {
                tracing::error!(request_id, cause = message, "not answered");
            }
            invocation.fail(&Failure { kind: kind(&unanswered), message }).await
        }
    };
    said(told);
}

/// What Lambda's log and metrics call it.
const fn kind(unanswered: &Unanswered) -> &'static str {
    match unanswered {
        Unanswered::Unauthorized => "Unauthorized",
        Unanswered::Event(_) | Unanswered::Answer(Unwritten::Arn(_)) => "Authorizer.EventInvalid",
        Unanswered::Form(_) | Unanswered::Map(_) => "Authorizer.ConfigInvalid",
        Unanswered::Policies(_) => "Authorizer.NotReady",
        Unanswered::Keys(_) => "Authorizer.KeysUnavailable",
        Unanswered::Unrecorded(_) => "Authorizer.AuditUnavailable",
        Unanswered::Timeout(_) => "Authorizer.Timeout",
        Unanswered::Answer(Unwritten::Json(_)) => "Authorizer.Internal",
    }
}

/// Tells Lambda why there is no authorizer.
fn give_up(api: &Runtime, refused: &Refused) -> Exit {
    let kind = match refused.by {
        RefusedBy::Settings => "Authorizer.ConfigInvalid",
        RefusedBy::Policies => "Authorizer.PoliciesInvalid",
        RefusedBy::Machine => "Authorizer.StartFailed",
    };
    tell(api.init_failed(&Failure { kind, message: refused.reason.clone() }));
    Exit::Failed
}
