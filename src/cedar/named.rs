//! Questions that name their resource and say nothing else of it: what they lack.

use std::collections::BTreeMap;
use std::sync::Arc;

use cedar_policy::{EntityTypeName, EntityUid};

use super::Snapshot;
use super::policies::PolicyInfo;
use super::schema::{Action, EntityType, Type};
use super::scope::Constraint;
use super::scope_parts::standing;
use super::setting::SERVER_CONTEXT;
use crate::model::Refusal;

/// What a question about an action lacks where it names its resource and describes nothing of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lacking {
    /// The attributes that the schema requires of the resource, in order.
    pub attributes: Vec<String>,
    /// The policies that may apply and look into the resource, by id and in order.
    pub policies: Vec<Arc<str>>,
}

/// A member of an action's context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextMember {
    /// Whether the schema requires it.
    pub required: bool,
    /// Whether a text can be its value.
    pub is_text: bool,
}

impl Snapshot {
    /// What a question about this action lacks that names a resource of this type; `id` where it is always the
    /// same one, which may be stored.
    ///
    /// # Errors
    /// The schema has no such action or type, or the action does not apply to resources of that type.
    pub fn lacking(&self, action: &str, resource_type: &str, id: Option<&str>) -> Result<Lacking, Refusal> {
        let action = self.schema.action(action)?;
        let resource = self.schema.entity_type(resource_type)?;
        action.check_resource(resource)?;
        if let Some(id) = id
            && self.store.contains(resource.uid(id)?)
        {
            return Ok(Lacking { attributes: Vec::new(), policies: Vec::new() });
        }
        let required = resource.attributes.0.iter().filter(|(_, attribute)| attribute.required);
        let mut policies: Vec<_> = self
            .policies
            .values()
            .filter(|policy| looks_into_resource(policy, action, resource))
            .map(|policy| Arc::clone(&policy.id))
            .collect();
        policies.sort_unstable();
        Ok(Lacking { attributes: required.map(|(name, _)| name.clone()).collect(), policies })
    }

    /// The context that questions about this action may give, by member.
    ///
    /// # Errors
    /// The schema has no such action.
    pub fn context_of(&self, action: &str) -> Result<BTreeMap<&str, ContextMember>, Refusal> {
        let declared = self.schema.action(action)?.context.0.iter();
        let given = declared.filter(|(name, _)| !SERVER_CONTEXT.contains(&name.as_str()));
        Ok(given
            .map(|(name, attribute)| {
                let is_text = matches!(attribute.ty, Type::String | Type::Extension(_));
                (name.as_str(), ContextMember { required: attribute.required, is_text })
            })
            .collect())
    }
}

/// Whether a policy may apply to an action on resources of a type, and looks at more than their names.
fn looks_into_resource(policy: &PolicyInfo, action: &Action, resource: &EntityType) -> bool {
    let Some(scope) = policy.scope.as_deref().filter(|scope| scope.names(&standing(action))) else {
        return false;
    };
    let in_conditions = policy.clauses.as_ref().is_some_and(|clauses| clauses.looks_into.resource);
    let is = |name: &EntityTypeName| *name == resource.name;
    // What a resource stands in is nothing that its name says.
    let below = |uid: &EntityUid| resource.ancestors.contains(uid.type_name());
    match &scope.resource {
        Constraint::Any => in_conditions,
        Constraint::Is(name) => is(name) && in_conditions,
        Constraint::Equal(uid) => is(uid.type_name()) && in_conditions,
        Constraint::In(uid) => below(uid) || is(uid.type_name()) && in_conditions,
        Constraint::IsIn(name, uid) => is(name) && (below(uid) || in_conditions),
    }
}
