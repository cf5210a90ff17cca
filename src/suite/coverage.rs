//! Which policies the tests have seen apply, which conditions they have seen hold and fail, and
//! which questions no test asks.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;

use super::case::{Ask, Case};
use crate::cedar::trace::{ConditionOutcome, Trace, TracedCondition, TracedPolicy};
use crate::cedar::{Snapshot, Tracer};
use crate::model::Finding;

/// What a run has covered.
#[derive(Debug, Clone)]
pub struct Coverage {
    /// In the order of their files.
    pub policies: Vec<PolicyCoverage>,
    /// What is wrong with annotations that speak of coverage.
    pub findings: Vec<Finding>,
    questions: Vec<Unasked>,
    asked: BTreeSet<(Arc<str>, String)>,
}

/// What a run has seen of a policy.
#[derive(Debug, Clone)]
pub struct PolicyCoverage {
    /// The policy.
    pub policy: TracedPolicy,
    /// In how many cases it applied.
    pub applied: usize,
    /// What came of its conditions, in their order.
    pub conditions: Vec<ConditionCoverage>,
    /// Why it need not be covered, by its annotation `@coverage("skip: why")`.
    pub skipped: Option<String>,
}

/// What a run has seen of a condition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ConditionCoverage {
    /// In how many cases it let the policy through.
    pub held: usize,
    /// In how many cases it stood in the policy's way.
    pub failed: usize,
}

/// How many items of all are covered: a policy is one that must apply, a condition two, because it
/// must hold and must fail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Those that are.
    pub hit: usize,
    /// All of them.
    pub items: usize,
}

/// Questions that no test asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unasked {
    /// The action, as policies write it.
    pub action: Arc<str>,
    /// The types of resources that it applies to and is not asked about.
    pub resources: Vec<String>,
    /// Whether it is asked about no type at all.
    pub entirely: bool,
}

impl Coverage {
    /// Nothing is covered yet.
    pub fn new(tracer: &Tracer<'_>, snapshot: &Snapshot) -> Self {
        let (mut policies, mut findings) = (Vec::new(), Vec::new());
        for policy in tracer.policies() {
            let (skipped, finding) = skip(&policy);
            findings.extend(finding);
            let conditions = vec![ConditionCoverage::default(); policy.conditions.len()];
            policies.push(PolicyCoverage { policy, applied: 0, conditions, skipped });
        }
        let questions = snapshot.actions().into_iter().map(|(action, resources)| Unasked {
            action: action.full,
            resources,
            entirely: true,
        });
        Self { policies, findings, questions: questions.collect(), asked: BTreeSet::new() }
    }

    /// Adds what a case covers; one that is refused asks no policy.
    pub fn note(&mut self, case: &Case<'_>, tracer: &Tracer<'_>) {
        let trace = match &case.ask {
            Ask::Question { identity, question, now } => tracer.trace(identity, question, *now).ok(),
            Ask::Given(given) => tracer.trace_given(given).ok(),
            Ask::Refused(_) => None,
        };
        if let Some(trace) = trace {
            self.add(trace);
        }
    }

    fn add(&mut self, trace: Trace) {
        for traced in trace.policies {
            let Some(policy) = self.policies.get_mut(traced.policy) else { continue };
            policy.applied += usize::from(traced.applied);
            for (condition, outcome) in policy.conditions.iter_mut().zip(traced.conditions) {
                condition.held += usize::from(outcome == ConditionOutcome::Held);
                condition.failed += usize::from(outcome == ConditionOutcome::Failed);
            }
        }
        self.asked.insert((trace.action, trace.resource_type));
    }

    /// The share of all policies together.
    pub fn share(&self) -> Share {
        self.policies.iter().map(PolicyCoverage::share).fold(Share::default(), Share::plus)
    }

    /// The policies by their files.
    pub fn files(&self) -> impl Iterator<Item = (&Arc<str>, &[PolicyCoverage])> {
        let same_file = |left: &PolicyCoverage, right: &PolicyCoverage| left.policy.path == right.policy.path;
        let files = self.policies.chunk_by(same_file);
        files.filter_map(|policies| Some((&policies.first()?.policy.path, policies)))
    }

    /// The questions that no test asks, by action. An action that applies to nothing cannot be asked.
    pub fn unasked(&self) -> Vec<Unasked> {
        let left = |question: &Unasked| {
            let is_unasked = |resource: &&String| {
                !self.asked.contains(&(Arc::clone(&question.action), (*resource).clone()))
            };
            let resources: Vec<_> = question.resources.iter().filter(is_unasked).cloned().collect();
            let entirely = resources.len() == question.resources.len();
            let action = Arc::clone(&question.action);
            (!resources.is_empty()).then_some(Unasked { action, resources, entirely })
        };
        self.questions.iter().filter_map(left).collect()
    }
}

impl PolicyCoverage {
    /// Its share; nothing of a policy that need not be covered counts.
    pub fn share(&self) -> Share {
        if self.skipped.is_some() {
            return Share::default();
        }
        let policy = Share { hit: usize::from(self.applied > 0), items: 1 };
        self.conditions.iter().map(|condition| condition.share()).fold(policy, Share::plus)
    }

    /// Its conditions with what came of them.
    pub fn conditions(&self) -> impl Iterator<Item = (&TracedCondition, ConditionCoverage)> {
        self.policy.conditions.iter().zip(self.conditions.iter().copied())
    }
}

impl ConditionCoverage {
    /// How often it was evaluated without an error.
    pub const fn evaluated(self) -> usize {
        self.held + self.failed
    }

    fn share(self) -> Share {
        Share { hit: usize::from(self.held > 0) + usize::from(self.failed > 0), items: 2 }
    }
}

impl Share {
    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self { hit: self.hit + other.hit, items: self.items + other.items }
    }

    /// In tenths of a percent, rounded down: all is reached by nothing less. Nothing to cover is all.
    pub const fn permille(self) -> usize {
        match self.items {
            0 => 1_000,
            items => self.hit * 1_000 / items,
        }
    }
}

/// Why a policy need not be covered, or what is wrong with its annotation that should say so.
fn skip(policy: &TracedPolicy) -> (Option<String>, Option<Finding>) {
    let Some(written) = policy.annotations.get("coverage") else { return (None, None) };
    let why = written.strip_prefix("skip:").map(str::trim).filter(|why| !why.is_empty());
    if let Some(why) = why {
        return (Some(why.to_owned()), None);
    }
    let message = format!("`@coverage(\"{written}\")` of `{}` is not understood", policy.id);
    let finding = Finding::warning(&policy.path, "coverage-annotation", message)
        .at(policy.place)
        .help("write `@coverage(\"skip: why\")`");
    (None, Some(finding))
}

#[cfg(test)]
mod tests;
