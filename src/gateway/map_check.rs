//! A route map judged under a snapshot: whether each of its questions can be asked and decided.

use super::routes::{Id, MapFault, Route, RouteMap, fault};
use crate::cedar::Snapshot;
use crate::cedar::named::Lacking;
use crate::model::suggestion::did_you_mean;
use crate::model::{RefusalCode, Severity};

impl RouteMap {
    /// What is wrong with the map under this snapshot, or worth a look, route by route.
    pub fn check(&self, snapshot: &Snapshot) -> Vec<MapFault> {
        let faults = self.routes.iter().enumerate().flat_map(|(index, route)| {
            let faults = route.check(snapshot).into_iter();
            faults.map(move |fault| fault.of(index))
        });
        faults.collect()
    }
}

impl Route {
    fn check(&self, snapshot: &Snapshot) -> Vec<MapFault> {
        let id = match &self.id {
            Id::Fixed(id) => Some(id.as_str()),
            Id::Parameter(_) => None,
        };
        let mut faults = self.check_context(snapshot);
        match snapshot.lacking(&self.action, &self.type_name, id) {
            Ok(lacking) => faults.extend(self.check_resource(&lacking)),
            Err(refusal) => {
                let (key, help) = match refusal.code {
                    RefusalCode::UnknownAction => ("action", "name an action of the schema"),
                    RefusalCode::UnknownType => ("resource.type", "name an entity type of the schema"),
                    RefusalCode::MalformedRequest
                    | RefusalCode::ForgedIdentity
                    | RefusalCode::StoredEntity
                    | RefusalCode::SchemaMismatch
                    | RefusalCode::InvalidToken => ("resource", "name a resource that the action applies to"),
                };
                faults.push(fault(key, refusal.detail, help));
            }
        }
        faults
    }

    fn check_context(&self, snapshot: &Snapshot) -> Vec<MapFault> {
        // Of an action that is not there, something is said already.
        let Ok(declared) = snapshot.context_of(&self.action) else { return Vec::new() };
        let mut faults = Vec::new();
        for member in self.context.keys() {
            let key = format!("context.{member}");
            match declared.get(member.as_str()) {
                None => {
                    let meant = did_you_mean(member, declared.keys().copied());
                    let message =
                        format!("`{}` has no `context.{member}` that a request may give{meant}", self.action);
                    faults.push(fault(&key, message, "name a member that the schema declares, or remove it"));
                }
                Some(declared) if !declared.is_text => {
                    let message =
                        format!("`context.{member}` is no text, and paths and queries hold nothing else");
                    faults.push(fault(&key, message, DECIDE_THERE));
                }
                Some(_) => {}
            }
        }
        let required = declared.iter().filter(|(_, declared)| declared.required).map(|(member, _)| *member);
        for member in required.filter(|member| !self.context.contains_key(*member)) {
            let message = format!(
                "`{}` requires `context.{member}`, which neither method, path nor query gives",
                self.action
            );
            faults.push(fault("action", message, DECIDE_THERE));
        }
        faults
    }

    fn check_resource(&self, lacking: &Lacking) -> Option<MapFault> {
        if !lacking.attributes.is_empty() {
            let message = format!(
                "the schema requires {} of `{}`, which neither method, path nor query gives",
                listed(lacking.attributes.iter().map(String::as_str)),
                self.type_name
            );
            return Some(fault("resource.type", message, DECIDE_THERE));
        }
        if lacking.policies.is_empty() || self.coarse {
            return None;
        }
        let message = format!(
            "{} may apply and look into the resource, of which a path says nothing but its id",
            listed(lacking.policies.iter().map(AsRef::as_ref))
        );
        let help =
            "decide in the handler, which has loaded the resource; `coarse = \"…\"` says what is left to it";
        Some(MapFault { severity: Severity::Warning, ..fault("action", message, help) })
    }
}

/// What to do about a question that cannot be asked before the handler runs.
const DECIDE_THERE: &str =
    "decide in the handler, which has looked it up, and leave the route out of the authorizer";

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::cedar::{Settings, Source, Sources, compile};
    use crate::gateway::routes::{Origin, WrittenMap, WrittenResource, WrittenRoute};
    use crate::model::Limits;

    const SCHEMA: &str = include_str!("../../schema/shop.cedarschema");
    const POLICIES: &str = include_str!("../../policies/product.cedar");

    fn snapshot(schema: &str, policies: &str) -> Arc<Snapshot> {
        let source =
            |name: &str, text: &str| Source { path: name.into(), name: name.into(), text: text.into() };
        let sources = Sources {
            policies: vec![source("a.cedar", policies)],
            schema: vec![source("a.cedarschema", schema)],
            settings: Settings { namespace: "Shop".to_owned(), ..Settings::default() },
            ..Sources::default()
        };
        compile(&sources, &Limits::default()).unwrap().snapshot
    }

    fn route(action: &str, type_name: &str) -> WrittenRoute {
        WrittenRoute {
            method: "PUT".to_owned(),
            path: "/things/{id}".to_owned(),
            action: action.to_owned(),
            resource: WrittenResource {
                type_name: type_name.to_owned(),
                id: None,
                parameter: Some("id".to_owned()),
            },
            context: [].into(),
            coarse: None,
        }
    }

    /// Severity, key and message of what is found about one route.
    fn found(snapshot: &Snapshot, route: WrittenRoute) -> Vec<(Severity, String, String)> {
        let map = RouteMap::new(WrittenMap { routes: vec![route] }).unwrap();
        map.check(snapshot).into_iter().map(|fault| (fault.severity, fault.key, fault.message)).collect()
    }

    fn error(key: &str, message: &str) -> Vec<(Severity, String, String)> {
        vec![(Severity::Error, key.to_owned(), message.to_owned())]
    }

    #[test]
    fn a_route_of_the_shop_is_good() {
        let shop = snapshot(SCHEMA, POLICIES);
        assert_eq!(found(&shop, route("updateProduct", "Product")), []);
        assert_eq!(found(&shop, route("Shop::Action::\"updateCategory\"", "Shop::Category")), []);
    }

    #[test]
    fn what_the_schema_does_not_have_is_found_at_its_key() {
        let shop = snapshot(SCHEMA, POLICIES);
        for (action, type_name, key, message) in [
            (
                "updateProdukt",
                "Product",
                "routes.0.action",
                "the schema has no action `updateProdukt`: did you mean `updateProduct`?",
            ),
            (
                "updateProduct",
                "Produkt",
                "routes.0.resource.type",
                "the schema has no entity type `Produkt`: did you mean `Product`?",
            ),
            (
                "updateProduct",
                "Category",
                "routes.0.resource",
                "`Shop::Action::\"updateProduct\"` does not apply to resources of type `Shop::Category`, but to `Shop::Product`",
            ),
        ] {
            assert_eq!(found(&shop, route(action, type_name)), error(key, message));
        }
    }

    #[test]
    fn what_a_request_line_cannot_give_is_found() {
        let with_query = |member: &str, route: WrittenRoute| WrittenRoute {
            context: [(member.to_owned(), Origin::Query(member.to_owned()))].into(),
            ..route
        };
        let (update, delete) = (route("updateProduct", "Product"), route("deleteCategory", "Category"));
        let shop = snapshot(SCHEMA, POLICIES);
        let owned =
            SCHEMA.replace("        owner?: User,\n        status?", "        owner: User,\n        status?");
        let owned = snapshot(&owned, POLICIES);
        for (under, route, key, message) in [
            (
                &shop,
                delete.clone(),
                "routes.0.action",
                "`deleteCategory` requires `context.productCount`, which neither method, path nor query gives",
            ),
            (
                &shop,
                with_query("productCount", delete),
                "routes.0.context.productCount",
                "`context.productCount` is no text, and paths and queries hold nothing else",
            ),
            (
                &shop,
                with_query("now", update.clone()),
                "routes.0.context.now",
                "`updateProduct` has no `context.now` that a request may give",
            ),
            (
                &owned,
                update,
                "routes.0.resource.type",
                "the schema requires `owner` of `Product`, which neither method, path nor query gives",
            ),
        ] {
            assert_eq!(found(under, route), error(key, message));
        }
    }

    #[test]
    fn a_policy_that_looks_into_the_resource_is_for_the_handler() {
        for condition in [
            "resource) when { resource has owner && resource.owner == principal }",
            "resource in Shop::Category::\"toys\")",
        ] {
            let policies = format!(
                "@id(\"owners\") permit (principal, action == Shop::Action::\"updateProduct\", {condition};"
            );
            let owned = snapshot(SCHEMA, &policies);
            let found_here = found(&owned, route("updateProduct", "Product"));
            let message =
                "`owners` may apply and look into the resource, of which a path says nothing but its id";
            assert_eq!(found_here, [(Severity::Warning, "routes.0.action".to_owned(), message.to_owned())]);
            assert_eq!(found(&owned, route("deleteProduct", "Product")), []);
            let coarse = Some("the handler loads the product and asks again".to_owned());
            assert_eq!(found(&owned, WrittenRoute { coarse, ..route("updateProduct", "Product") }), []);
        }
    }
}
