//! The rule about conditions that are the same for every request.
//!
//! Cedar's validator is asked: a policy with the same scope and the conditions up to this one, this
//! one turned into its opposite, is impossible exactly where the condition always lets pass.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use cedar_policy::pst::{Clause, Expr, PrincipalConstraint, ResourceConstraint, StaticPolicy, Template};
use cedar_policy::{Policy, PolicyId, PolicySet, ValidationMode, ValidationWarning, Validator};

use super::expression;
use super::rule::Rule;
use super::statement::Statement;
use crate::cedar::conditions::operands;
use crate::cedar::parts::Parts;
use crate::cedar::statements::{ClauseKind, ClauseText};
use crate::model::Finding;

/// Conditions that let pass whoever comes: parts of `when` that always hold, parts of `unless` that
/// never do. (One that lets nobody pass makes its policy one that never applies.)
pub(super) fn constant(statements: &[Statement<'_>], parts: &Parts) -> Vec<Finding> {
    let mut probes = Probes::default();
    for (index, statement) in statements.iter().enumerate() {
        if let Some(policy) = &statement.parsed
            && !policy.clauses().is_empty()
            && !statement.is_idle(&parts.found)
        {
            probes.add(index, policy);
        }
    }
    let constant = probes.constant(parts);
    constant.into_iter().filter_map(|probe| of_probe(statements.get(probe.statement)?, &probe)).collect()
}

/// So many conditions of one policy are looked at: the work grows with their square.
const MOST: usize = 32;

/// A condition that is tried.
#[derive(Debug)]
struct Probe {
    /// Which statement it is of.
    statement: usize,
    /// Which `when` or `unless`, and which part of how many.
    clause: usize,
    part: usize,
    parts: usize,
    /// What of it has no variable in it, and so is constant whatever its value.
    closed: Option<Closed>,
}

/// How much of a condition looks at nothing of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closed {
    Whole,
    /// One of the sides that are enough each: it lets pass whoever comes, or nobody.
    Side,
}

impl Closed {
    fn of(clause: &Clause, part: &Arc<Expr>) -> Option<Self> {
        if expression::is_closed(part) {
            return Some(Self::Whole);
        }
        let sides = expression::sides(clause, part);
        sides.iter().any(|side| expression::is_closed(side)).then_some(Self::Side)
    }
}

/// Policies that are impossible exactly where a condition lets pass whoever comes. Their ids are
/// their numbers.
#[derive(Debug, Default)]
struct Probes {
    policies: PolicySet,
    probes: Vec<Probe>,
}

impl Probes {
    fn add(&mut self, statement: usize, policy: &Template) {
        let scope = Template::new(
            "probe",
            policy.effect,
            any_for_slot(policy.principal.clone(), PrincipalConstraint::has_slot, PrincipalConstraint::Any),
            policy.action.clone(),
            any_for_slot(policy.resource.clone(), ResourceConstraint::has_slot, ResourceConstraint::Any),
        );
        let mut before: Vec<Clause> = Vec::new();
        for (index, clause) in policy.clauses().iter().enumerate() {
            let parts = expression::parts(clause);
            for (part, condition) in parts.iter().enumerate() {
                if before.len() == MOST {
                    return;
                }
                let (passes, fails) = turned(clause, condition);
                let id = self.probes.len();
                let clauses = before.iter().cloned().chain([fails]);
                if self.insert(id, scope.clone(), clauses).is_none() {
                    return;
                }
                let closed = Closed::of(clause, condition);
                self.probes.push(Probe { statement, clause: index, part, parts: parts.len(), closed });
                before.push(passes);
            }
        }
    }

    fn insert(&mut self, id: usize, scope: Template, clauses: impl Iterator<Item = Clause>) -> Option<()> {
        let policy = StaticPolicy::try_from(scope.try_with_clauses(clauses).ok()?).ok()?;
        let policy = Policy::from_pst(policy.into()).ok()?;
        self.policies.add(policy.new_id(PolicyId::new(id.to_string()))).ok()
    }

    /// The conditions that let pass whoever comes, and those that ask for nothing of the request.
    fn constant(self, parts: &Parts) -> Vec<Probe> {
        let result = Validator::new(parts.cedar.clone()).validate(&self.policies, ValidationMode::Strict);
        let mut impossible = HashSet::new();
        for warning in result.validation_warnings() {
            if let ValidationWarning::ImpossiblePolicy(_) = warning {
                impossible.extend(AsRef::<str>::as_ref(warning.policy_id()).parse::<usize>());
            }
        }
        let probes = self.probes.into_iter().enumerate();
        probes
            .filter(|(id, probe)| probe.closed.is_some() || impossible.contains(id))
            .map(|(_, probe)| probe)
            .collect()
    }
}

fn any_for_slot<T>(constraint: T, has_slot: impl Fn(&T) -> bool, any: T) -> T {
    if has_slot(&constraint) { any } else { constraint }
}

/// A part as it stands, and turned into its opposite.
fn turned(clause: &Clause, part: &Arc<Expr>) -> (Clause, Clause) {
    let (when, unless) = (Clause::When(Arc::clone(part)), Clause::Unless(Arc::clone(part)));
    match clause {
        Clause::When(_) => (when, unless),
        Clause::Unless(_) => (unless, when),
    }
}

fn of_probe(statement: &Statement<'_>, probe: &Probe) -> Option<Finding> {
    let clause = statement.text.clauses.get(probe.clause)?;
    let message = match (probe.closed, clause.kind) {
        (Some(Closed::Whole), _) => "this condition looks at nothing: it is the same for every request",
        (Some(Closed::Side), _) => {
            "one side of this condition looks at nothing: it is the same for every request"
        }
        (None, ClauseKind::When) => "this condition holds for every valid request",
        (None, ClauseKind::Unless) => "this condition holds for no valid request",
    };
    let span = written(&statement.source.text, clause, probe);
    let help = match probe.closed {
        Some(Closed::Side) => "take that side out, or say what was meant",
        Some(Closed::Whole) | None => "it decides nothing: take it out, or say what was meant",
    };
    Some(statement.finding(Rule::ConstantCondition, &span, message).help(help))
}

/// Where a part of a condition stands; the whole condition, where brackets hide its parts.
fn written(text: &str, clause: &ClauseText, probe: &Probe) -> Range<usize> {
    let operands = operands(text, clause);
    let start = operands.first().map_or(clause.body.start, |first| first.start);
    let end = operands.last().map_or(clause.body.end, |last| last.end);
    let part = operands.get(probe.part).filter(|_| operands.len() == probe.parts);
    part.cloned().unwrap_or(start..end)
}
