//! A test in the form of Cedar's `run-tests`: a request as it is, and what Cedar compares.

use std::sync::Arc;

use serde_json::Value as Json;

use super::expected::Expected;
use super::file::{Body, Test};
use super::written::{WrittenCedarTest, WrittenRequest};
use super::yaml::Placed;
use crate::cedar::Given;
use crate::model::Finding;

/// A request in Cedar's own words, with its entities and its context as JSON.
#[derive(Debug)]
pub(super) struct GivenTest {
    pub(super) principal: Arc<str>,
    pub(super) action: Arc<str>,
    pub(super) resource: Arc<str>,
    context: String,
    entities: String,
    pub(super) expected: Expected,
}

impl GivenTest {
    /// The test, or what is wrong with it.
    pub(super) fn judged(
        path: &Arc<str>,
        index: usize,
        written: Placed<WrittenCedarTest>,
    ) -> Result<Test, Vec<Finding>> {
        let WrittenCedarTest { name, request, entities, decision, reason, num_errors } = written.value;
        if let Json::String(file) = &entities.value {
            let message = format!("the entities stand in another file, `{file}`");
            let finding = Finding::error(path, "test-entities", message).at(entities.place);
            return Err(vec![finding.help("write them into the test")]);
        }
        let Placed { value: WrittenRequest { principal, action, resource, context }, place } = request;
        let reason = reason.into_iter().map(|id| id.value).collect();
        let given = Self {
            principal: principal.into(),
            action: action.into(),
            resource: resource.into(),
            context: Json::Object(context).to_string(),
            entities: entities.value.to_string(),
            expected: Expected::Cedar { decision, reason, errors: num_errors },
        };
        let name = name.unwrap_or_else(|| format!("test {}", index + 1));
        Ok(Test { name: name.into(), place, body: Body::Given(Box::new(given)) })
    }

    /// As the engine takes it.
    pub(super) fn given(&self) -> Given<'_> {
        Given {
            principal: &self.principal,
            action: &self.action,
            resource: &self.resource,
            context: &self.context,
            entities: &self.entities,
        }
    }
}
