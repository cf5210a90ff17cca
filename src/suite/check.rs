//! What must be known of a suite before it is run: its names under the snapshot, and its size.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::Suite;
use super::expected::{Determining, Expected};
use super::file::{Asks, Table, Test};
use super::fixtures::Resource;
use super::table::Asker;
use super::yaml::Name;
use crate::cedar::Snapshot;
use crate::identity::{Config, fixture};
use crate::model::suggestion::did_you_mean;
use crate::model::{Finding, Issuer, Place, RefusalCode};

/// The cases of one run: a few short lists make any number of them.
pub(super) const MOST_CASES: usize = 1_000_000;

/// Claims that say nothing where no issuer is configured that would map them.
pub(super) fn unread_claims(suite: &Suite, issuers: &[Config]) -> Vec<Finding> {
    if !issuers.is_empty() {
        return Vec::new();
    }
    let mapping = Issuer::unconfigured();
    let mut findings = Vec::new();
    for principal in &suite.fixtures.principals {
        for claim in principal.claims.iter().filter(|claim| !fixture::is_read(&claim.value, &mapping)) {
            let message = format!("nothing reads the claim `{}`: no issuer is configured", claim.value);
            let finding = Finding::warning(&principal.path, "unread-claim", message).at(claim.place);
            findings.push(finding.help("name its issuer in an `[[issuers]]` table, and map the claim there, in `[issuers.attributes]`"));
        }
    }
    findings
}

/// The names of a table's actions, types and policies.
pub(super) fn names<'a>(
    snapshot: &Snapshot,
    path: &Arc<str>,
    table: &Table,
    resources: impl Iterator<Item = &'a Resource>,
) -> Result<(), Vec<Finding>> {
    let mut findings = Vec::new();
    let refused = match &table.asks {
        Asks::Each(_, Expected::Refused(code)) => Some(*code),
        Asks::Each(_, Expected::Answer(_) | Expected::Cedar { .. }) | Asks::May => None,
    };
    let of_asks: &[Name] = match &table.asks {
        Asks::Each(actions, _) => actions,
        Asks::May => &[],
    };
    if refused != Some(RefusalCode::UnknownAction) {
        let listed = table.rows.iter().flat_map(|row| &row.may);
        let named = table.contexts.0.iter().map(|(action, _)| action);
        for action in of_asks.iter().chain(listed).chain(named) {
            if let Err(refusal) = snapshot.check_action(&action.value) {
                findings.push(Finding::error(path, "unknown-action", refusal.detail).at(action.place));
            }
        }
    }
    if refused != Some(RefusalCode::UnknownType) {
        for resource in resources {
            if let Err(refusal) = snapshot.check_type(&resource.entity.type_name) {
                let message = format!("the resource `{}`: {}", resource.name, refusal.detail);
                findings.push(Finding::error(&resource.path, "unknown-type", message).at(resource.place));
            }
        }
    }
    if let Asks::Each(_, Expected::Answer(answer)) = &table.asks {
        let policies: &[Name] = match &answer.policies {
            Determining::Any => &[],
            Determining::Exactly(ids) | Determining::Including(ids) => ids,
        };
        for id in policies.iter().chain(answer.errors.iter().map(|(id, _)| id)) {
            if snapshot.policy_place(&id.value).is_none() {
                let known = snapshot.policy_ids().map(|id| &**id);
                let message = format!("there is no policy `{}`{}", id.value, did_you_mean(&id.value, known));
                findings.push(Finding::error(path, "unknown-policy", message).at(id.place));
            }
        }
    }
    if findings.is_empty() { Ok(()) } else { Err(findings) }
}

/// What Cedar expects of a request, with the ids that policies have here: by position, Cedar
/// calls them `policy0`, `policy1`, …
pub(super) fn with_ids(expected: &Expected, snapshot: &Snapshot, in_order: &[&Arc<str>]) -> Expected {
    let Expected::Cedar { decision, reason, errors } = expected else { return expected.clone() };
    let id = |id: &Arc<str>| {
        let position = id.strip_prefix("policy").and_then(|position| position.parse::<usize>().ok());
        let there = position.and_then(|position| in_order.get(position).copied());
        Arc::clone(there.filter(|_| snapshot.policy_place(id).is_none()).unwrap_or(id))
    };
    Expected::Cedar { decision: *decision, reason: reason.iter().map(id).collect(), errors: *errors }
}

/// By file and place, each once.
pub(super) fn sorted(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by(|left, right| {
        let place = |finding: &Finding| finding.place.map(|place| place.offset);
        (&left.path, place(left), &left.message).cmp(&(&right.path, place(right), &right.message))
    });
    findings.dedup();
    findings
}

/// Checks the cases of one table.
pub(super) struct Check<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) path: &'a Arc<str>,
    pub(super) test: &'a Test,
    pub(super) table: &'a Table,
}

impl<'a> Check<'a> {
    /// That there are cases, that they are not too many, and that every member of a context is for one.
    pub(super) fn cases<'p, A: Iterator<Item = Asker<'p>>>(
        &self,
        resources: impl Iterator<Item = &'a Resource>,
        askers: impl Fn() -> A,
        room: &mut usize,
    ) -> Result<(), Vec<Finding>> {
        let mut findings = Vec::new();
        let (mut cases, mut asked) = (0_usize, HashSet::new());
        let mut judged = true;
        match &self.table.asks {
            Asks::Each(actions, _) => {
                let actions_on_each = actions.len().saturating_mul(self.table.rows.len());
                cases = actions_on_each.saturating_mul(self.table.resources.len());
                asked.extend(
                    actions.iter().filter_map(|action| self.snapshot.action_name(&action.value)).cloned(),
                );
            }
            Asks::May => {
                for resource in resources {
                    for asker in askers() {
                        judged &= asker.speaker.identity.is_ok();
                        let applicable = asker.speaker.actions_on(&resource.entity.type_name);
                        cases = cases.saturating_add(applicable.len().max(1));
                        asked.extend(applicable.iter().map(|action| &action.full).chain(asker.may).cloned());
                        if applicable.is_empty() && asker.may.is_empty() && asker.speaker.identity.is_ok() {
                            let message = format!(
                                "no action applies to `{}` and resources of type `{}`",
                                asker.name, resource.entity.type_name
                            );
                            findings.push(self.error("nothing-asked", asker.row.place, message));
                        }
                    }
                }
            }
        }
        if let Some(left) = room.checked_sub(cases) {
            *room = left;
        } else {
            let message = format!("with this test there are more than {MOST_CASES} cases");
            let finding = self.error("too-many-cases", self.test.place, message);
            findings.push(finding.help("name fewer of each"));
        }
        if judged {
            findings.extend(self.contexts(&asked));
        }
        if findings.is_empty() { Ok(()) } else { Err(findings) }
    }

    fn contexts(&self, asked: &HashSet<Arc<str>>) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (action, _) in &self.table.contexts.0 {
            if self.snapshot.action_name(&action.value).is_some_and(|full| !asked.contains(full)) {
                let message = format!("the test does not ask about `{}`", action.value);
                findings.push(self.error("unused-context", action.place, message));
            }
        }
        // Elsewhere an action is told all of the context, and refuses what it does not take.
        if matches!(self.table.asks, Asks::May) {
            let taken: BTreeSet<_> =
                asked.iter().flat_map(|action| self.snapshot.context_members(action)).collect();
            for member in self.table.context.keys().filter(|member| !taken.contains(member)) {
                let message = format!(
                    "none of the actions takes `context.{member}`{}",
                    did_you_mean(member, taken.iter().copied())
                );
                findings.push(self.error("unused-context", self.test.place, message));
            }
        }
        findings
    }

    fn error(&self, code: &'static str, place: Place, message: String) -> Finding {
        Finding::error(self.path, code, message).at(place)
    }
}
