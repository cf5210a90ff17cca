//! The route map: which method and path ask for which action on which resource.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::event::Asked;
use super::template::{Overlap, Parameters, Template};
use crate::model::{EntityDescription, Question, Record, Severity, Value};

/// The methods that a route can be for (RFC 9110, section 9; RFC 5789).
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// A route map as it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenMap {
    /// In any order.
    #[serde(default)]
    pub routes: Vec<WrittenRoute>,
}

/// A route as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenRoute {
    /// `GET`.
    pub method: String,
    /// `/products/{id}`.
    pub path: String,
    /// The action's name, short or full.
    pub action: String,
    /// What it acts on.
    pub resource: WrittenResource,
    /// Members of the context, and where each comes from.
    #[serde(default)]
    pub context: BTreeMap<String, Origin>,
    /// What is left to the handler, where policies read more than a path can say.
    pub coarse: Option<String>,
}

/// The resource of a route as it is written: its type, and one of the other two.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenResource {
    /// The entity type, short or full.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Always this one.
    pub id: Option<String>,
    /// The parameter of the path that is its id.
    pub parameter: Option<String>,
}

/// Where a member of the context comes from. Either way the client wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A parameter of the path.
    Parameter(String),
    /// A parameter of the query; where the client gives none, the member is left out.
    Query(String),
}

/// A route map without ambiguities.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RouteMap {
    /// In the order of the file.
    pub(super) routes: Vec<Route>,
}

/// One route, judged by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    method: String,
    template: Template,
    pub(super) action: String,
    pub(super) type_name: String,
    pub(super) id: Id,
    pub(super) context: BTreeMap<String, Origin>,
    pub(super) coarse: bool,
}

/// Which resource of its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Id {
    Fixed(String),
    Parameter(String),
}

/// What is wrong with a route map, or worth a look, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapFault {
    /// The key: `routes.0.path`.
    pub key: String,
    /// Whether the map can serve.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub help: String,
}

/// Why a request asks for nothing that the map knows. It is denied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unasked {
    /// The map has no such method and path.
    #[error("the route map has no such method and path")]
    NoRoute,
    /// API Gateway has read other parameters out of the path than we have: it means another route, or another
    /// id.
    #[error("API Gateway reads the path in another way than the route map does")]
    OtherReading,
    /// A parameter of the query has several values.
    #[error("the query gives `{0}` more than once")]
    SeveralValues(String),
}

impl RouteMap {
    /// Judges a map by itself, without a schema.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn new(written: WrittenMap) -> Result<Self, Vec<MapFault>> {
        if written.routes.is_empty() {
            return Err(vec![fault(
                "routes",
                "no route is there, so everything would be denied",
                "add `[[routes]]`",
            )]);
        }
        let mut faults = Vec::new();
        let mut routes = Vec::new();
        for (index, written) in written.routes.into_iter().enumerate() {
            match Route::new(written) {
                Ok(route) => routes.push((index, route)),
                Err(found) => faults.extend(found.into_iter().map(|fault| fault.of(index))),
            }
        }
        for (position, (index, route)) in routes.iter().enumerate() {
            let earlier = routes.iter().take(position).find(|(_, earlier)| route.could_be(earlier));
            if let Some((earlier, _)) = earlier {
                let message =
                    format!("a path can match this and `routes.{earlier}`, and nothing says which is meant");
                let help = "make one of them more specific in every segment, or remove it";
                faults.push(fault("path", message, help).of(*index));
            }
        }
        if faults.is_empty() {
            Ok(Self { routes: routes.into_iter().map(|(_, route)| route).collect() })
        } else {
            Err(faults)
        }
    }

    /// The question that a request asks: an action on a resource that is named and not described.
    ///
    /// # Errors
    /// It asks for nothing that the map knows.
    pub fn question(&self, asked: &Asked) -> Result<Question, Unasked> {
        let matching = self.routes.iter().filter(|route| route.method == asked.method);
        let read = matching.filter_map(|route| Some((route, route.template.read(&asked.path)?)));
        let (route, parameters) =
            read.max_by_key(|(route, _)| route.template.literals()).ok_or(Unasked::NoRoute)?;
        if !asked.reads(&parameters) {
            return Err(Unasked::OtherReading);
        }
        let given = |name: &String| parameters.get(name.as_str()).map(|given| given.decoded.to_owned());
        let id = match &route.id {
            Id::Fixed(id) => id.clone(),
            Id::Parameter(name) => given(name).ok_or(Unasked::NoRoute)?,
        };
        let mut context = Record::new();
        for (member, origin) in &route.context {
            let value = match origin {
                Origin::Parameter(name) => given(name),
                Origin::Query(name) => asked.query(name).map_err(|_| Unasked::SeveralValues(name.clone()))?,
            };
            if let Some(value) = value {
                context.insert(member.as_str().into(), Value::String(value.into()));
            }
        }
        let resource = EntityDescription {
            type_name: route.type_name.as_str().into(),
            id: id.into(),
            attributes: None,
            parents: None,
            tags: None,
        };
        Ok(Question {
            action: route.action.as_str().into(),
            resource,
            context: context.into(),
            entities: Vec::new(),
        })
    }
}

impl Route {
    fn new(written: WrittenRoute) -> Result<Self, Vec<MapFault>> {
        let WrittenRoute { method, path, action, resource, context, coarse } = written;
        let mut faults = Vec::new();
        if !METHODS.contains(&method.as_str()) {
            let message = format!("`{method}` is no method that a route can be for");
            faults.push(fault(
                "method",
                message,
                &format!("write one of {}, in capitals", METHODS.join(", ")),
            ));
        }
        if coarse.as_ref().is_some_and(|reason| reason.trim().is_empty()) {
            faults.push(fault("coarse", "gives no reason", "say what the handler decides"));
        }
        let template = match Template::parse(&path) {
            Ok(template) => template,
            Err(error) => {
                let help = "write the path below the stage, such as `/products/{id}`";
                faults.push(fault("path", format!("`{path}` {error}"), help));
                return Err(faults);
            }
        };
        let known = |name: &str| template.parameters().any(|known| known == name);
        let unknown = |key: String, name: &str| {
            fault(
                &key,
                format!("`{path}` has no parameter `{name}`"),
                "name one of the path's, without braces",
            )
        };
        let id = match (resource.id, resource.parameter) {
            (Some(id), None) => Some(Id::Fixed(id)),
            (None, Some(name)) => {
                if !known(&name) {
                    faults.push(unknown("resource.parameter".to_owned(), &name));
                }
                Some(Id::Parameter(name))
            }
            (Some(_), Some(_)) | (None, None) => {
                let message = "names its resource by `id` or by `parameter`, and by one of them";
                let help = "write `parameter = \"id\"` for what the path names, or `id = \"…\"` for what is always the same";
                faults.push(fault("resource", message, help));
                None
            }
        };
        for (member, origin) in &context {
            match origin {
                Origin::Parameter(name) if !known(name) => {
                    faults.push(unknown(format!("context.{member}"), name));
                }
                Origin::Parameter(_) | Origin::Query(_) => {}
            }
        }
        match id {
            Some(id) if faults.is_empty() => Ok(Self {
                method,
                template,
                action,
                type_name: resource.type_name,
                id,
                context,
                coarse: coarse.is_some(),
            }),
            Some(_) | None => Err(faults),
        }
    }

    /// Whether some request could be for either, and nothing says for which.
    fn could_be(&self, other: &Self) -> bool {
        self.method == other.method && self.template.overlap(&other.template) == Overlap::Ambiguous
    }
}

impl MapFault {
    pub(super) fn of(self, index: usize) -> Self {
        Self { key: format!("routes.{index}.{}", self.key), ..self }
    }
}

pub(super) fn fault(key: &str, message: impl Into<String>, help: &str) -> MapFault {
    MapFault {
        key: key.to_owned(),
        severity: Severity::Error,
        message: message.into(),
        help: help.to_owned(),
    }
}

impl Asked {
    /// Whether API Gateway has read the same out of the path. Where it says nothing of what it has read, for a
    /// greedy route for instance, the handler has the path alone, as we do.
    fn reads(&self, parameters: &Parameters<'_>) -> bool {
        let Some(theirs) = &self.parameters else { return true };
        theirs.len() == parameters.len()
            && theirs.iter().all(|(name, value)| {
                let ours = parameters.get(name.as_str());
                ours.is_some_and(|given| *value == given.decoded || *value == given.raw)
            })
    }
}

#[cfg(test)]
mod tests;
