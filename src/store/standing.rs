//! How the policies stand, for whoever looks: the status, the metrics and the program log.

use std::sync::Arc;

use tokio::sync::watch;

use crate::cedar::{Compiled, Revision};
use crate::clock::Clock;
use crate::model::Finding;
use crate::model::status::{PolicyStatus, Serving};
use crate::telemetry::Metrics;

/// The write end of what is told of the policies.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) status: watch::Sender<PolicyStatus>,
    pub(super) clock: Clock,
    pub(super) metrics: Metrics,
}

impl Standing {
    pub(super) fn new(status: PolicyStatus, clock: Clock, metrics: Metrics) -> Self {
        Self { status: watch::Sender::new(status), clock, metrics }
    }

    /// Tells that another revision is in force. What was found wrong with other files stands.
    pub(super) fn in_force(&self, compiled: &Compiled) {
        let Compiled { snapshot, warnings } = compiled;
        for warning in warnings {
            tracing::warn!(code = warning.code, finding = %warning, help = warning.help, "policy warning");
        }
        let revision = Arc::clone(snapshot.revision().as_str());
        self.metrics.set_revision(&revision);
        tracing::info!(%revision, policies = snapshot.policy_count(), "another revision is in force");
        let loaded_at = self.clock.now();
        self.status.send_modify(|status| status.serving = Some(Serving { revision, loaded_at }));
    }

    /// Tells what is wrong with an edit, and that what serves serves on.
    pub(super) fn refused(&self, findings: Vec<Finding>, serving: Option<&Revision>) {
        for finding in &findings {
            let (code, help) = (finding.code, finding.help.as_deref());
            if finding.is_error() {
                tracing::error!(code, %finding, help, "policy error");
            } else {
                tracing::warn!(code, %finding, help, "policy warning");
            }
        }
        let revision = serving.map(tracing::field::display);
        tracing::error!(
            revision,
            "what was read cannot serve: the last good revision stays in force, if there is one"
        );
        self.set_findings(findings.into_iter().filter(Finding::is_error).collect());
    }

    /// Tells that there is nothing wrong any more.
    pub(super) fn taken_back(&self) {
        if !self.status.borrow().findings.is_empty() {
            tracing::info!("the files are those in force again");
            self.set_findings(Arc::default());
        }
    }

    fn set_findings(&self, findings: Arc<[Finding]>) {
        self.metrics.reload_failing.set(i64::from(!findings.is_empty()));
        self.status.send_modify(|status| status.findings = findings);
    }
}
