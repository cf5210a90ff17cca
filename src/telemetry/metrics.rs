//! The metrics by name: typed handles over one registry, with bounded labels only.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
pub use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Upper bounds in seconds: from 10 µs, where a cached decision is, to the request's time limit.
const LATENCY: [f64; 16] = [
    10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3,
    1.0, 2.0,
];

/// A gauge of seconds.
pub type Seconds = Gauge<f64, AtomicU64>;

/// Every handle. Cheap to clone; all clones count into the same registry.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Decisions, by outcome and action.
    pub decisions: Family<DecisionLabels, Counter>,
    /// From a request's headers to its answer.
    pub latency: Histogram,
    /// Policies that could not be evaluated.
    pub evaluation_errors: Counter,
    /// Evaluations to which the index and the full set of policies came differently.
    pub index_differences: Counter,
    /// Requests that were not answered, by code.
    pub refusals: Family<CodeLabels, Counter>,
    /// Tokens that were refused, by class.
    pub token_failures: Family<ClassLabels, Counter>,
    /// Requests between their headers and their answer.
    pub in_flight: Gauge,
    /// Fetches of an issuer's keys, by result.
    pub key_fetches: Family<FetchLabels, Counter>,
    /// Age of an issuer's keys.
    pub key_age: Family<IssuerLabels, Seconds>,
    /// Usable keys of an issuer.
    pub keys: Family<IssuerLabels, Gauge>,
    /// 1 for the revision in force.
    pub revision: Family<RevisionLabels, Gauge>,
    /// Age of the revision in force.
    pub revision_age: Seconds,
    /// Reloads, by result.
    pub reloads: Family<ResultLabels, Counter>,
    /// 1 while the files on disk do not compile and the last good revision serves.
    pub reload_failing: Gauge,
    /// Polls of the bundle, by result.
    pub bundle_polls: Family<ResultLabels, Counter>,
    /// Time since the bundle's store was last heard.
    pub bundle_age: Seconds,
    /// Lines of the decision log.
    pub audit_lines: Counter,
    /// Bytes of the decision log.
    pub audit_bytes: Counter,
    /// Bytes that wait to be written to it.
    pub audit_queue: Gauge,
    /// Writes to it that took longer than is waited for.
    pub audit_stalls: Counter,
    /// Answers that were withheld because their record could not be written.
    pub audit_refusals: Counter,
    registry: Arc<Registry>,
}

/// `decision` is `allow`, `deny` or `refused`; `action` is one of the schema's, or empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DecisionLabels {
    /// The outcome.
    pub outcome: &'static str,
    /// The action's full name.
    pub action: Arc<str>,
}

/// The stable code of a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CodeLabels {
    /// The code.
    pub code: &'static str,
}

/// The class of a token's failure.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ClassLabels {
    /// The class.
    pub class: &'static str,
}

/// A fetch.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct FetchLabels {
    /// A configured issuer.
    pub issuer: Arc<str>,
    /// `ok` or why not.
    pub result: &'static str,
}

/// An issuer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct IssuerLabels {
    /// A configured issuer.
    pub issuer: Arc<str>,
}

/// A revision.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RevisionLabels {
    /// The digest.
    pub revision: Arc<str>,
}

/// A result.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ResultLabels {
    /// `ok`, `unchanged`, `failed`, or why there is none.
    pub result: &'static str,
}

impl Metrics {
    /// A registry of its own with everything at zero.
    pub fn new() -> Self {
        let mut metrics = Self {
            decisions: Family::default(),
            latency: Histogram::new(LATENCY),
            evaluation_errors: Counter::default(),
            index_differences: Counter::default(),
            refusals: Family::default(),
            token_failures: Family::default(),
            in_flight: Gauge::default(),
            key_fetches: Family::default(),
            key_age: Family::default(),
            keys: Family::default(),
            revision: Family::default(),
            revision_age: Gauge::default(),
            reloads: Family::default(),
            reload_failing: Gauge::default(),
            bundle_polls: Family::default(),
            bundle_age: Gauge::default(),
            audit_lines: Counter::default(),
            audit_bytes: Counter::default(),
            audit_queue: Gauge::default(),
            audit_stalls: Counter::default(),
            audit_refusals: Counter::default(),
            registry: Arc::default(),
        };
        metrics.registry = Arc::new(metrics.register());
        metrics
    }

    /// Puts a revision in the place of the one before.
    pub fn set_revision(&self, revision: &Arc<str>) {
        self.revision.clear();
        self.revision.get_or_create(&RevisionLabels { revision: Arc::clone(revision) }).set(1);
    }

    /// Counts decisions of one outcome on one action.
    pub fn count_decisions(&self, outcome: &'static str, action: &Arc<str>, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.decisions.get_or_create(&DecisionLabels { outcome, action: Arc::clone(action) }).inc_by(count);
    }

    /// Notes how long a request took.
    pub fn observe_latency(&self, latency: Duration) {
        self.latency.observe(latency.as_secs_f64());
    }

    /// Everything in the `OpenMetrics` text format 1.0.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }

    fn register(&self) -> Registry {
        let mut registry = Registry::with_prefix("palisade");
        let r = &mut registry;
        r.register("decisions", "Decisions, by outcome and action", self.decisions.clone());
        r.register_with_unit(
            "request_duration",
            "From a request's headers to its answer",
            Unit::Seconds,
            self.latency.clone(),
        );
        r.register(
            "evaluation_errors",
            "Policies that could not be evaluated",
            self.evaluation_errors.clone(),
        );
        r.register(
            "index_differences",
            "Decisions to which the index and the full set of policies came differently",
            self.index_differences.clone(),
        );
        r.register("refusals", "Requests that were not answered, by code", self.refusals.clone());
        r.register("token_failures", "Tokens that were refused, by class", self.token_failures.clone());
        r.register(
            "requests_in_flight",
            "Requests between their headers and their answer",
            self.in_flight.clone(),
        );
        r.register("key_fetches", "Fetches of an issuer's keys, by result", self.key_fetches.clone());
        r.register_with_unit("key_age", "Age of an issuer's keys", Unit::Seconds, self.key_age.clone());
        r.register("keys", "Usable keys of an issuer", self.keys.clone());
        r.register("revision_info", "1 for the revision in force", self.revision.clone());
        r.register_with_unit(
            "revision_age",
            "Age of the revision in force",
            Unit::Seconds,
            self.revision_age.clone(),
        );
        r.register("reloads", "Reloads of the policies, by result", self.reloads.clone());
        r.register(
            "reload_failing",
            "1 while the last good revision serves instead of the files on disk",
            self.reload_failing.clone(),
        );
        r.register("bundle_polls", "Polls of the bundle of policies, by result", self.bundle_polls.clone());
        r.register_with_unit(
            "bundle_age",
            "Time since the store of the bundle was last heard",
            Unit::Seconds,
            self.bundle_age.clone(),
        );
        r.register("audit_lines", "Lines of the decision log", self.audit_lines.clone());
        r.register("audit_written", "Bytes of the decision log", self.audit_bytes.clone());
        r.register(
            "audit_queue_bytes",
            "Bytes that wait to be written to the decision log",
            self.audit_queue.clone(),
        );
        r.register(
            "audit_stalls",
            "Writes to the decision log that took longer than is waited for",
            self.audit_stalls.clone(),
        );
        r.register(
            "audit_refusals",
            "Answers withheld because their record could not be written",
            self.audit_refusals.clone(),
        );
        registry
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_ends_as_openmetrics_wants_and_shows_one_revision_only() {
        let metrics = Metrics::new();
        metrics.count_decisions("allow", &"Shop::Action::\"updateProduct\"".into(), 1);
        metrics.set_revision(&"sha256:1".into());
        metrics.set_revision(&"sha256:2".into());
        let text = metrics.encode().unwrap();
        assert!(
            text.contains(
                r#"palisade_decisions_total{outcome="allow",action="Shop::Action::\"updateProduct\""} 1"#
            ),
            "{text}"
        );
        assert!(!text.contains("sha256:1") && text.contains("sha256:2"));
        assert!(text.ends_with("# EOF\n"));
    }
}
