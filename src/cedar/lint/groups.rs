//! The rule about groups that nobody has heard of: a misspelt group is a policy that never applies,
//! and nothing else says so.

use std::collections::{BTreeSet, HashSet};

use cedar_policy::EntityTypeName;
use cedar_policy::pst::{EntityOrSlot, EntityUID, Expr, Literal, PrincipalConstraint, ResourceConstraint};

use super::rule::Rule;
use super::statement::Statement;
use super::{Project, expression, finding};
use crate::cedar::parts::Parts;
use crate::model::Finding;
use crate::model::suggestion::did_you_mean;

/// Groups that policies and links name, and that no setting, stored entity or test knows. Silent
/// where none of the three knows any group.
pub(super) fn unknown(statements: &[Statement<'_>], parts: &Parts, project: &Project) -> Vec<Finding> {
    let types: HashSet<String> = parts.plans.all().map(|plan| plan.group.name.to_string()).collect();
    let known = known(parts, project);
    if known.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for statement in statements {
        for group in named(statement, &types).difference(&known) {
            let span = statement.string(group);
            let span = span.as_ref().unwrap_or_else(|| statement.effect());
            found.push(statement.finding(Rule::UnknownGroup, span, message(group, &known)).help(HELP));
        }
    }
    for (info, policy) in parts.policies.parsed() {
        let groups = policy.template_links().unwrap_or_default().into_values();
        let unknown = groups.filter(|uid| {
            types.contains(&uid.type_name().to_string()) && !known.contains(uid.id().unescaped())
        });
        found.extend(unknown.map(|uid| {
            finding(Rule::UnknownGroup, &info.path, message(uid.id().unescaped(), &known))
                .at(info.place)
                .help(HELP)
        }));
    }
    found
}

/// What to do where the group is right.
const HELP: &str = "where the user pool has this group, add it to `known_groups` of `[check]`";

fn message(group: &str, known: &BTreeSet<String>) -> String {
    let meant = did_you_mean(group, known.iter().map(String::as_str));
    format!("no setting, stored entity or test knows a group `{}`{meant}", group.escape_debug())
}

/// The ids of groups, in whatever form policies may write them.
fn known(parts: &Parts, project: &Project) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for name in project.config.known_groups.iter().chain(&project.tested_groups) {
        known.extend(parts.plans.all().map(|plan| plan.issuer.entity_id(name)));
        known.insert(name.clone());
    }
    let types: HashSet<&EntityTypeName> = parts.plans.all().map(|plan| &plan.group.name).collect();
    let stored = parts.store.mentioned().filter(|uid| types.contains(uid.type_name()));
    known.extend(stored.map(|uid| uid.id().unescaped().to_owned()));
    known
}

/// The groups that a statement names, as entities and as members of `principal.groups`.
fn named(statement: &Statement<'_>, types: &HashSet<String>) -> BTreeSet<String> {
    let mut groups = BTreeSet::new();
    let Some(policy) = &statement.parsed else { return groups };
    let scope = [of_principal(&policy.principal), of_resource(&policy.resource)];
    let mut entities: Vec<_> = scope.into_iter().flatten().collect();
    for piece in expression::of_conditions(policy) {
        if let Expr::Literal(Literal::EntityUID(uid)) = piece {
            entities.push(uid);
        }
        let asked = expression::asked_of(piece, |set| {
            matches!(set, Expr::GetAttr { .. }) && expression::principal_attribute(set) == Some("groups")
        });
        groups.extend(asked.into_iter().map(str::to_owned));
    }
    let of_type = entities.into_iter().filter(|uid| types.contains(&uid.ty.to_string()));
    groups.extend(of_type.map(|uid| uid.eid.to_string()));
    groups
}

const fn of_principal(constraint: &PrincipalConstraint) -> Option<&EntityUID> {
    match constraint {
        PrincipalConstraint::Any | PrincipalConstraint::Is(_) => None,
        PrincipalConstraint::Eq(entity)
        | PrincipalConstraint::In(entity)
        | PrincipalConstraint::IsIn(_, entity) => of_scope(entity),
    }
}

const fn of_resource(constraint: &ResourceConstraint) -> Option<&EntityUID> {
    match constraint {
        ResourceConstraint::Any | ResourceConstraint::Is(_) => None,
        ResourceConstraint::Eq(entity)
        | ResourceConstraint::In(entity)
        | ResourceConstraint::IsIn(_, entity) => of_scope(entity),
    }
}

const fn of_scope(entity: &EntityOrSlot) -> Option<&EntityUID> {
    match entity {
        EntityOrSlot::Entity(uid) => Some(uid),
        EntityOrSlot::Slot(_) => None,
    }
}
