//! Rules about scopes: permits for anybody, and policies that a broader one makes superfluous.

use std::collections::{HashMap, HashSet};

use cedar_policy::pst::{self, Expr, Var};
use cedar_policy::{
    ActionConstraint, Effect, Entity, EntityTypeName, EntityUid, Policy, PrincipalConstraint,
    ResourceConstraint,
};

use super::rule::Rule;
use super::statement::Statement;
use super::{expression, finding};
use crate::cedar::entities::Store;
use crate::cedar::parts::Parts;
use crate::cedar::policies::PolicyInfo;
use crate::cedar::schema::{Action, Schema};
use crate::model::Finding;

/// Permits that ask nothing of the principal, neither in the scope nor in a condition.
pub(super) fn any_principal(statements: &[Statement<'_>], parts: &Parts) -> Vec<Finding> {
    let for_anybody = statements.iter().filter(|statement| {
        statement.parsed.as_ref().is_some_and(|policy| {
            policy.effect == pst::Effect::Permit
                && policy.principal == pst::PrincipalConstraint::Any
                && !expression::of_conditions(policy).any(|piece| *piece == Expr::Var(Var::Principal))
        }) && !statement.never_applies(&parts.found)
    });
    for_anybody
        .map(|statement| {
            let principal = statement.token(|token| token.is_word("principal"));
            let span = principal.as_ref().unwrap_or_else(|| statement.effect());
            let message = "this permit is for everybody: nothing in it looks at the principal";
            statement
                .finding(Rule::AnyPrincipal, span, message)
                .help("say who is meant: `principal is …`, or `principal in …` with a group")
        })
        .collect()
}

/// Policies that grant or forbid nothing that a broader one without conditions does not.
pub(super) fn shadowed(statements: &[Statement<'_>], parts: &Parts) -> Vec<Finding> {
    let written: HashMap<_, _> =
        statements.iter().map(|one| ((&one.source.path, one.text.span.start), one)).collect();
    let scopes = scopes(parts);
    let mut broad: HashMap<Width, Vec<usize>> = HashMap::new();
    for (index, scope) in scopes.iter().enumerate().filter(|(_, scope)| !scope.conditional) {
        broad.entry(scope.principal.width()).or_default().push(index);
    }
    let mut pairs = Vec::new();
    for (index, scope) in scopes.iter().enumerate() {
        let statement = written.get(&(&scope.info.path, scope.info.place.offset)).copied();
        if statement.is_some_and(|statement| statement.never_applies(&parts.found)) {
            continue;
        }
        let widths = scope.widths_above(parts);
        let candidates = widths.iter().filter_map(|width| broad.get(width)).flatten().copied().take(MOST);
        let above = candidates.filter(|above| *above != index).find(|above| {
            let Some(above_scope) = scopes.get(*above) else { return false };
            above_scope.covers(scope, parts)
                // Of two that cover each other the first stays.
                && (*above < index || scope.conditional || !scope.covers(above_scope, parts))
        });
        if let Some(above) = above.and_then(|above| scopes.get(above)) {
            pairs.push((scope.info, above.info, statement));
        }
    }
    let mut below: HashMap<_, usize> = HashMap::new();
    for (_, above, _) in &pairs {
        *below.entry(&above.id).or_default() += 1;
    }
    let below = |above: &PolicyInfo| below.get(&above.id).copied().unwrap_or_default();
    pairs.iter().map(|(info, above, statement)| superfluous(info, above, below(above), *statement)).collect()
}

/// So many policies are compared with one: the work grows with the square of how many name the
/// same principal.
const MOST: usize = 1_000;

/// The scope of a policy, static or linked.
#[derive(Debug)]
struct Scope<'a> {
    info: &'a PolicyInfo,
    conditional: bool,
    principal: Constraint,
    resource: Constraint,
    /// The actions of the schema that it admits, by index.
    actions: HashSet<usize>,
    /// The types of principals that may satisfy it, given those actions.
    principals: HashSet<EntityTypeName>,
    resources: HashSet<EntityTypeName>,
}

/// What a scope says of the principal or of the resource.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Constraint {
    Any,
    Is(EntityTypeName),
    Eq(EntityUid),
    In(EntityUid),
    IsIn(EntityTypeName, EntityUid),
}

/// What broad policies are looked up by.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Width {
    Any,
    Type(EntityTypeName),
    Entity(EntityUid),
}

/// In the order of their places.
fn scopes(parts: &Parts) -> Vec<Scope<'_>> {
    let mut actions: Vec<&Action> = parts.schema.actions().map(AsRef::as_ref).collect();
    actions.sort_unstable_by_key(|action| &action.name);
    let scopes = parts.policies.parsed().map(|(info, policy)| Scope::of(info, policy, &actions, parts));
    let mut scopes: Vec<_> = scopes.filter(|scope| !scope.actions.is_empty()).collect();
    scopes.sort_unstable_by_key(|scope| (&scope.info.path, scope.info.place.offset));
    scopes
}

impl<'a> Scope<'a> {
    fn of(info: &'a PolicyInfo, policy: &Policy, actions: &[&Action], parts: &Parts) -> Self {
        let mut scope = Self {
            info,
            conditional: policy.has_non_scope_constraint(),
            principal: policy.principal_constraint().into(),
            resource: policy.resource_constraint().into(),
            actions: HashSet::new(),
            principals: HashSet::new(),
            resources: HashSet::new(),
        };
        for (index, action) in actions.iter().enumerate() {
            if !admits(&policy.action_constraint(), action) {
                continue;
            }
            let principals = scope.principal.admitted(&action.principals, &parts.schema);
            let resources = scope.resource.admitted(&action.resources, &parts.schema);
            if !principals.is_empty() && !resources.is_empty() {
                scope.actions.insert(index);
                scope.principals.extend(principals);
                scope.resources.extend(resources);
            }
        }
        scope
    }

    /// Whether whatever satisfies the other's scope satisfies this one's.
    fn covers(&self, other: &Self, parts: &Parts) -> bool {
        self.info.effect == other.info.effect
            && other.actions.is_subset(&self.actions)
            && self.principal.covers(&other.principal, &other.principals, &parts.store)
            && self.resource.covers(&other.resource, &other.resources, &parts.store)
    }

    /// Under which widths the policies stand that could cover this one.
    fn widths_above(&self, parts: &Parts) -> Vec<Width> {
        let mut widths = vec![Width::Any];
        widths.extend(self.principals.iter().cloned().map(Width::Type));
        if let Some(entity) = self.principal.entity() {
            widths.extend(parts.store.with_ancestors(entity).into_iter().map(Width::Entity));
        }
        widths
    }
}

impl Constraint {
    /// The types of a list that may satisfy it.
    fn admitted(&self, types: &[EntityTypeName], schema: &Schema) -> Vec<EntityTypeName> {
        let below = |name: &EntityTypeName, above: &EntityTypeName| {
            name == above || schema.declared(name).is_some_and(|declared| declared.ancestors.contains(above))
        };
        let admits = |name: &&EntityTypeName| match self {
            Self::Any => true,
            Self::Is(wanted) => *name == wanted,
            Self::Eq(entity) => *name == entity.type_name(),
            Self::In(entity) => below(name, entity.type_name()),
            Self::IsIn(wanted, entity) => *name == wanted && below(name, entity.type_name()),
        };
        types.iter().filter(admits).cloned().collect()
    }

    /// Whether whatever satisfies the other, and is of one of these types, satisfies this.
    fn covers(&self, other: &Self, types: &HashSet<EntityTypeName>, store: &Store) -> bool {
        let only = |wanted: &EntityTypeName| types.iter().all(|name| name == wanted);
        let inside = |entity: &EntityUid| {
            other.entity().is_some_and(|below| store.with_ancestors(below).contains(entity))
        };
        match self {
            Self::Any => true,
            Self::Is(wanted) => only(wanted),
            Self::Eq(_) => self == other,
            Self::In(entity) => inside(entity),
            Self::IsIn(wanted, entity) => only(wanted) && inside(entity),
        }
    }

    /// The entity that it names.
    const fn entity(&self) -> Option<&EntityUid> {
        match self {
            Self::Any | Self::Is(_) => None,
            Self::Eq(entity) | Self::In(entity) | Self::IsIn(_, entity) => Some(entity),
        }
    }

    fn width(&self) -> Width {
        match self {
            Self::Any => Width::Any,
            Self::Is(name) => Width::Type(name.clone()),
            Self::Eq(entity) | Self::In(entity) | Self::IsIn(_, entity) => Width::Entity(entity.clone()),
        }
    }
}

impl From<PrincipalConstraint> for Constraint {
    fn from(constraint: PrincipalConstraint) -> Self {
        match constraint {
            PrincipalConstraint::Any => Self::Any,
            PrincipalConstraint::Is(name) => Self::Is(name),
            PrincipalConstraint::Eq(entity) => Self::Eq(entity),
            PrincipalConstraint::In(entity) => Self::In(entity),
            PrincipalConstraint::IsIn(name, entity) => Self::IsIn(name, entity),
        }
    }
}

impl From<ResourceConstraint> for Constraint {
    fn from(constraint: ResourceConstraint) -> Self {
        match constraint {
            ResourceConstraint::Any => Self::Any,
            ResourceConstraint::Is(name) => Self::Is(name),
            ResourceConstraint::Eq(entity) => Self::Eq(entity),
            ResourceConstraint::In(entity) => Self::In(entity),
            ResourceConstraint::IsIn(name, entity) => Self::IsIn(name, entity),
        }
    }
}

fn admits(constraint: &ActionConstraint, action: &Action) -> bool {
    let is_or_stands_in = |uid: &EntityUid| action.entities.iter().map(Entity::uid).any(|one| one == *uid);
    match constraint {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(uid) => *uid == action.uid,
        ActionConstraint::In(uids) => uids.iter().any(is_or_stands_in),
    }
}

/// `below` is how many policies stand in the shadow of the other.
fn superfluous(
    policy: &PolicyInfo,
    above: &PolicyInfo,
    below: usize,
    statement: Option<&Statement<'_>>,
) -> Finding {
    let does = match above.effect {
        Effect::Permit => "permits",
        Effect::Forbid => "forbids",
    };
    let message = format!(
        "`{}` at {}:{}:{} {does} all that this policy does, and has no conditions",
        above.id, above.path, above.place.line, above.place.column
    );
    let finding = match statement {
        Some(statement) => statement.finding(Rule::Shadowed, statement.effect(), message),
        // A link has no statement of its own.
        None => finding(Rule::Shadowed, &policy.path, message).at(policy.place),
    };
    finding.help(match below {
        0 | 1 => "take this one out, or narrow the other".to_owned(),
        many => format!("take this one out, or narrow `{}`: it shadows {many} policies", above.id),
    })
}
