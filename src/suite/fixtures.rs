//! The principals and resources that tests speak of by name, those of a file and those of its folders.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use super::written::{WrittenFixtures, WrittenMachine, WrittenPrincipal};
use super::yaml::{self, Name, Named, Placed};
use crate::cedar::Source;
use crate::identity::Fixture;
use crate::model::suggestion::did_you_mean;
use crate::model::{EntityDescription, Finding, Kind, Place};

/// Every fixture of a suite; tests refer to them by number.
#[derive(Debug, Default)]
pub(super) struct Fixtures {
    pub(super) principals: Vec<Principal>,
    pub(super) resources: Vec<Resource>,
}

/// A token under a name.
#[derive(Debug)]
pub(super) struct Principal {
    pub(super) name: Arc<str>,
    pub(super) path: Arc<str>,
    pub(super) place: Place,
    pub(super) token: Fixture,
    /// Whose token it is, where the fixture says so.
    pub(super) issuer: Option<Name>,
    /// The claims that it writes down, each with its place.
    pub(super) claims: Vec<Name>,
}

/// A resource under a name.
#[derive(Debug)]
pub(super) struct Resource {
    pub(super) name: Arc<str>,
    pub(super) path: Arc<str>,
    pub(super) place: Place,
    pub(super) entity: EntityDescription,
}

/// The names that one file may use.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    principals: HashMap<Arc<str>, usize>,
    resources: HashMap<Arc<str>, usize>,
}

/// The fixtures that the tests below a folder share.
#[derive(Debug)]
pub(super) struct Shared {
    folder: String,
    names: Names,
}

impl Shared {
    /// Reads a `fixtures.yaml`. What stands above it must have been read before.
    pub(super) fn read(
        source: &Source,
        above: &[Self],
        fixtures: &mut Fixtures,
        findings: &mut Vec<Finding>,
    ) -> Option<Self> {
        match yaml::read::<WrittenFixtures>(source) {
            Ok(written) => {
                let mut visible = Self::visible_from(&source.path, above);
                let names =
                    fixtures.add(&source.path, written.principals, written.resources, &mut visible, findings);
                Some(Self { folder: folder(&source.path).to_owned(), names })
            }
            Err(finding) => {
                findings.push(finding);
                None
            }
        }
    }

    /// The names that a file may use because of the folders that it stands in.
    pub(super) fn visible_from(path: &str, shared: &[Self]) -> Names {
        let mut names = Names::default();
        for shared in shared.iter().filter(|shared| path.starts_with(&shared.folder)) {
            names.principals.extend(shared.names.principals.iter().map(|(name, id)| (Arc::clone(name), *id)));
            names.resources.extend(shared.names.resources.iter().map(|(name, id)| (Arc::clone(name), *id)));
        }
        names
    }
}

impl Names {
    /// The principal of this name.
    pub(super) fn principal(&self, name: &str) -> Result<usize, String> {
        find(&self.principals, name, "principal")
    }

    /// The resource of this name.
    pub(super) fn resource(&self, name: &str) -> Result<usize, String> {
        find(&self.resources, name, "resource")
    }
}

impl Fixtures {
    /// Adds what one file defines to the names that it sees, and gives its own.
    pub(super) fn add(
        &mut self,
        path: &Arc<str>,
        principals: Named<WrittenPrincipal>,
        resources: Named<EntityDescription>,
        visible: &mut Names,
        findings: &mut Vec<Finding>,
    ) -> Names {
        let mut own = Names::default();
        for (name, written) in principals.0 {
            if let Some(first) = visible.principals.get(&*name.value).and_then(|id| self.principals.get(*id))
            {
                findings.push(twice(path, &name, "principal", (&first.path, first.place)));
                continue;
            }
            match principal(path, &name, written) {
                Ok(principal) => {
                    visible.principals.insert(Arc::clone(&principal.name), self.principals.len());
                    own.principals.insert(Arc::clone(&principal.name), self.principals.len());
                    self.principals.push(principal);
                }
                Err(finding) => findings.push(finding),
            }
        }
        for (name, entity) in resources.0 {
            if let Some(first) = visible.resources.get(&*name.value).and_then(|id| self.resources.get(*id)) {
                findings.push(twice(path, &name, "resource", (&first.path, first.place)));
                continue;
            }
            let Placed { value: name, place } = name;
            visible.resources.insert(Arc::clone(&name), self.resources.len());
            own.resources.insert(Arc::clone(&name), self.resources.len());
            self.resources.push(Resource { name, path: Arc::clone(path), place, entity });
        }
        own
    }
}

fn principal(path: &Arc<str>, name: &Name, written: WrittenPrincipal) -> Result<Principal, Finding> {
    let error = |place: Place, message: &str| Finding::error(path, "test-principal", message).at(place);
    let WrittenPrincipal { groups, claims, token_use, machine, issuer } = written;
    let mut members = Map::new();
    let mut places = Vec::new();
    for (claim, value) in claims.0 {
        members.insert(claim.value.to_string(), value);
        places.push(claim);
    }
    if let Some(token_use) = token_use {
        let token_use = json!(token_use.as_str());
        if members.insert("token_use".to_owned(), token_use).is_some() {
            return Err(error(name.place, "`token_use` is given beside `claims` and in them"));
        }
    }
    let mut kind = Kind::User;
    if let Some(WrittenMachine { client_id, scope }) = machine {
        if groups.is_some() || token_use.is_some() || !places.is_empty() {
            return Err(error(name.place, "a machine has neither `groups` nor `claims` nor `token_use`")
                .help("its token has a `client_id` and a `scope`"));
        }
        if let Some(scope) = scope.iter().find(|scope| scope.is_empty() || scope.contains(' ')) {
            return Err(error(name.place, &format!("`{scope}` cannot be one scope: a blank separates two")));
        }
        kind = Kind::Machine;
        members.extend(client_id.map(|client| ("client_id".to_owned(), Json::String(client))));
        members.insert("scope".to_owned(), json!(scope.join(" ")));
    }
    Ok(Principal {
        name: Arc::clone(&name.value),
        path: Arc::clone(path),
        place: name.place,
        token: Fixture { name: name.value.to_string(), kind, groups, claims: members },
        issuer,
        claims: places,
    })
}

fn twice(path: &Arc<str>, name: &Name, what: &str, first: (&Arc<str>, Place)) -> Finding {
    let (first, place) = first;
    let message = format!(
        "the {what} `{}` is defined twice, first at {first}:{}:{}",
        name.value, place.line, place.column
    );
    Finding::error(path, "duplicate-fixture", message).at(name.place).help("give one of them another name")
}

fn find(names: &HashMap<Arc<str>, usize>, name: &str, what: &str) -> Result<usize, String> {
    names.get(name).copied().ok_or_else(|| {
        let known = names.keys().map(|name| &**name);
        format!("no {what} `{name}` is defined{}", did_you_mean(name, known))
    })
}

/// The folder of a file with its `/`; empty at the top.
fn folder(path: &str) -> &str {
    path.rfind('/').and_then(|slash| path.get(..=slash)).unwrap_or_default()
}
