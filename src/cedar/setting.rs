//! What questions can have in common, judged once: who asks, which action, on which type, and in which context.

use std::sync::Arc;

use super::Snapshot;
use super::check::{At, Checker, Form};
use super::principal::Principal;
use super::schema::{Action, EntityType};
use super::scope::About;
use super::typed::Members;
use super::uid::Uid;
use crate::model::{Question, Record, Refusal};

/// Members of the context that only the server fills in.
pub(super) const SERVER_CONTEXT: [&str; 3] = ["now", "token", "caller"];

/// An action that may be asked about, for a principal, on resources of a type; and the context that it is asked in.
#[derive(Debug)]
pub(super) struct Setting<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) principal: &'a Principal,
    pub(super) action: &'a Arc<Action>,
    pub(super) resource_type: GivenType<'a>,
    /// What policies ask of resources of that type.
    pub(super) about_resources: About<'a>,
    /// Or why it is none: what else is wrong with a question is said before that.
    pub(super) context: Result<Members<'a>, Refusal>,
    /// The entities that the context names.
    pub(super) in_context: Vec<Uid<'a>>,
    /// What it is of: another question that says the same has it in common.
    said: Said<'a>,
}

/// A type that a question names.
#[derive(Debug, Clone, Copy)]
pub(super) struct GivenType<'a> {
    pub(super) declared: &'a EntityType,
    /// Whether its entities are principals, groups or machines.
    pub(super) is_identity: bool,
}

/// What a question says of its setting.
#[derive(Debug, Clone, Copy)]
struct Said<'a> {
    action: &'a str,
    resource_type: &'a str,
    context: &'a Arc<Record>,
}

impl<'a> Setting<'a> {
    /// Judges the setting of a question under the schema.
    pub(super) fn of(
        snapshot: &'a Snapshot,
        principal: &'a Principal,
        question: &'a Question,
    ) -> Result<Self, Refusal> {
        let said = Said::of(question);
        let action = snapshot.schema.action(said.action)?;
        let resource_type = GivenType::of(snapshot, said.resource_type)?;
        action.check_resource(resource_type.declared)?;
        action.check_principal(principal.uid.type_name())?;
        let mut checker = Checker::new(&snapshot.schema, Form::Plain);
        let context = judged_context(&mut checker, action, said.context);
        Ok(Self {
            snapshot,
            principal,
            action,
            resource_type,
            about_resources: snapshot.index.resources.about(&resource_type.declared.name),
            context,
            in_context: checker.mentioned,
            said,
        })
    }

    /// Whether it is that of this question too.
    pub(super) fn is_of(&self, question: &Question) -> bool {
        self.said.is_same(Said::of(question))
    }
}

fn judged_context<'a>(
    checker: &mut Checker<'a>,
    action: &'a Action,
    context: &'a Record,
) -> Result<Members<'a>, Refusal> {
    if let Some(name) = context.keys().find(|name| SERVER_CONTEXT.contains(name)) {
        return Err(Refusal::malformed(format!("`context.{name}` is filled in by the server")));
    }
    let supplied = |name: &str| name == "now" && action.wants_now();
    checker.record(context, &action.context, At::Root("context"), supplied)
}

impl<'a> GivenType<'a> {
    pub(super) fn of(snapshot: &'a Snapshot, name: &str) -> Result<Self, Refusal> {
        let declared = snapshot.schema.entity_type(name)?;
        Ok(Self { declared, is_identity: snapshot.plans.is_identity(&declared.name) })
    }
}

impl<'a> Said<'a> {
    fn of(question: &'a Question) -> Self {
        Self {
            action: &question.action,
            resource_type: &question.resource.type_name,
            context: &question.context,
        }
    }

    /// A context that only says the same is not looked at.
    fn is_same(self, other: Said<'_>) -> bool {
        Arc::ptr_eq(self.context, other.context)
            && (self.action, self.resource_type) == (other.action, other.resource_type)
    }
}
