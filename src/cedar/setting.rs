//! What questions can have in common: who asks, which action, and the context, judged once.

use std::sync::Arc;

use super::Snapshot;
use super::check::{At, Checker, Form, Mentioned};
use super::principal::Principal;
use super::schema::Action;
use super::typed::Members;
use crate::model::{Question, Record, Refusal};

/// Members of the context that only the server fills in.
pub(super) const SERVER_CONTEXT: [&str; 3] = ["now", "token", "caller"];

/// An action that a principal may be asked about, and a context that it may be asked in.
#[derive(Debug)]
pub(super) struct Setting<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) principal: &'a Principal,
    pub(super) action: &'a Arc<Action>,
    pub(super) context: Members<'a>,
    /// The entities that the context names.
    pub(super) in_context: Mentioned,
    /// What it is of: another question that says the same has it in common.
    said: (&'a str, &'a Arc<Record>),
}

impl<'a> Setting<'a> {
    /// Judges that part of a question under the schema.
    pub(super) fn of(
        snapshot: &'a Snapshot,
        principal: &'a Principal,
        question: &'a Question,
    ) -> Result<Self, Refusal> {
        let action = snapshot.schema.action(&question.action)?;
        action.check_principal(principal.uid.type_name())?;
        if let Some(name) = question.context.keys().find(|name| SERVER_CONTEXT.contains(name)) {
            return Err(Refusal::malformed(format!("`context.{name}` is filled in by the server")));
        }
        let mut checker = Checker::new(&snapshot.schema, Form::Plain);
        let supplied = |name: &str| name == "now" && action.wants_now();
        let context = checker.record(&question.context, &action.context, At::Root("context"), supplied)?;
        let said = (question.action.as_str(), &question.context);
        Ok(Self { snapshot, principal, action, context, in_context: checker.mentioned, said })
    }

    /// Whether it is that of this question too. A context that only says the same is not looked at.
    pub(super) fn is_of(&self, question: &Question) -> bool {
        let (action, context) = self.said;
        Arc::ptr_eq(context, &question.context) && action == question.action
    }
}
