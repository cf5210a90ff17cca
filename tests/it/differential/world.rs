//! Random worlds: a schema, policies with templates and links, stored entities in hierarchies that share
//! ancestors, and questions about them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};

mod strategies;

pub(super) use strategies::world;

/// Everything that a service is configured with, and what it is asked.
#[derive(Debug, Clone)]
pub(super) struct World {
    shape: Shape,
    policies: Vec<Policy>,
    /// The parents of each, among those before it; the last is mentioned and not stored.
    groups: Vec<Vec<usize>>,
    folders: Vec<Vec<usize>>,
    users: Vec<User>,
    documents: Vec<Document>,
    pub(super) questions: Vec<Question>,
}

/// What differs between schemas.
#[derive(Debug, Clone)]
struct Shape {
    groups_of_actions: Vec<Vec<&'static str>>,
    documents_in_groups: bool,
}

#[derive(Debug, Clone)]
struct Policy {
    forbids: bool,
    principal: Scope,
    action: usize,
    resource: Scope,
    conditions: Vec<(bool, usize, i64)>,
    links: Vec<(usize, usize)>,
}

/// The form of a scope, and the entity that it names.
#[derive(Debug, Clone, Copy)]
struct Scope(usize, usize);

#[derive(Debug, Clone)]
struct User {
    level: i64,
    manager: usize,
    team: usize,
    groups: Vec<usize>,
}

/// A document or a folder, as far as its attributes go.
#[derive(Debug, Clone)]
struct Document {
    size: i64,
    owner: usize,
    near: Option<usize>,
    tag: Option<i64>,
    folders: Vec<usize>,
}

/// One question.
#[derive(Debug, Clone)]
pub(super) struct Question {
    user: usize,
    pub(super) groups: BTreeSet<usize>,
    action: usize,
    /// A stored folder, a stored document, or one that the question describes.
    kind: usize,
    resource: usize,
    given: Document,
    nearby: Option<Document>,
    count: i64,
    by: usize,
}

/// How many of the conditions are likely to fail.
const FAILING: usize = 3;

const ACTIONS: [&str; 4] = ["view", "edit", "share", "drop"];
const GROUPS: usize = 5;
const USERS: usize = 4;
const FOLDERS: usize = 5;
const DOCUMENTS: usize = 3;

/// What conditions are made of; `#` is a number. The first fail more often than not: on sums that overflow,
/// and on an entity that is not there.
const CONDITIONS: [&str; 44] = [
    "resource.size + 9223372036854775805 > #",
    "principal.level + 9223372036854775805 > #",
    "User::\"u4\".level > #",
    "resource.size > #",
    "resource.owner == principal",
    "principal == resource.owner && resource.size != #",
    "resource.owner.level > #",
    "resource.owner.manager.level > #",
    "resource.owner.manager.manager.level == #",
    "principal.level > #",
    "principal.manager.level + # > 0",
    "principal.manager in Group::\"g#\"",
    "principal in Group::\"g#\"",
    "principal in principal.team",
    "resource in Folder::\"f#\"",
    "resource.owner in principal.team",
    "resource has near && resource.near.size > #",
    "resource has near && resource.near in Folder::\"f#\"",
    "resource has near && resource.near.owner.level > #",
    "resource.hasTag(\"t\") && resource.getTag(\"t\") > #",
    "context.count > #",
    "context.by == principal",
    "context.by.level > #",
    "context.by in Group::\"g#\"",
    "context.by.manager in principal.team",
    "User::\"u#\".level > 1",
    "Group::\"g#\" in Group::\"g0\"",
    "User::\"u#\" in principal.team",
    "action in Action::\"all\"",
    "Action::\"view\" in Action::\"all\" || context.count == #",
    "(if context.count > # then principal else resource.owner).level > 1",
    "{a: principal}.a.manager.level > #",
    "resource.needs in Action::\"all\"",
    "context.act in Action::\"reading\"",
    "context.act in [Action::\"all\", Action::\"view\"]",
    "resource.needs == action && resource.needs in Action::\"reading\"",
    "\"}//\" != \"{\" && resource.size > # // } unless {\n",
    "[resource.owner].contains(principal)",
    "principal is User in Group::\"g#\"",
    "resource is Doc in Folder::\"f#\"",
    "resource has near.owner && resource.near.owner.level > #",
    "principal[\"level\"] > #",
    "resource.owner in [principal.team, Group::\"g#\"]",
    "[principal.manager, resource.owner].containsAny([context.by])",
];

impl World {
    pub(super) fn schema(&self) -> String {
        let in_groups = if self.shape.documents_in_groups { "[Folder, Group]" } else { "[Folder]" };
        let attributes = "{ size: Long, owner: User, near?: Doc, needs: Action } tags Long;";
        let mut schema = format!(
            "entity Group in [Group];\nentity User in [Group] = {{ level: Long, manager: User, team: Group }};\n\
             entity Folder in [Folder] = {attributes}\nentity Doc in {in_groups} = {attributes}\n\
             action all, reading;\n"
        );
        for (action, groups) in ACTIONS.iter().zip(&self.shape.groups_of_actions) {
            let groups =
                if groups.is_empty() { String::new() } else { format!("in [{}]", groups.join(", ")) };
            let _infallible = writeln!(
                schema,
                "action {action} {groups} appliesTo {{ principal: [User], resource: [Doc, Folder], \
                 context: {{ count: Long, by: User, act: Action }} }};"
            );
        }
        schema
    }

    pub(super) fn policies(&self) -> String {
        self.policies.iter().enumerate().map(|(number, policy)| policy.text(number)).collect()
    }

    pub(super) fn links(&self) -> Value {
        let mut links = Vec::new();
        for (number, policy) in self.policies.iter().enumerate().filter(|(_, policy)| policy.is_template()) {
            for (which, (principal, resource)) in policy.links.iter().enumerate() {
                let mut args = serde_json::Map::new();
                if policy.principal.has_slot() {
                    let principal = policy.principal.filled("User::\"u", "Group::\"g", *principal);
                    args.insert("?principal".to_owned(), principal.into());
                }
                if policy.resource.has_slot() {
                    let resource = policy.resource.filled("Doc::\"d", "Folder::\"f", *resource);
                    args.insert("?resource".to_owned(), resource.into());
                }
                links.push(json!({"template_id": format!("p{number}"), "link_id": format!("link{number}.{which}"), "args": args}));
            }
        }
        links.into()
    }

    /// Every stored entity in Cedar's JSON.
    pub(super) fn stored(&self) -> Vec<Value> {
        let entity = |type_name: &str, id: &str, attributes: Value, parents: Vec<Value>| json!({"uid": {"type": type_name, "id": id}, "attrs": attributes, "parents": parents});
        let refs = |type_name: &str, prefix: &str, ids: &[usize]| -> Vec<Value> {
            ids.iter().map(|id| reference(type_name, &format!("{prefix}{id}"))).collect()
        };
        let mut all = Vec::new();
        for (id, parents) in self.groups.iter().enumerate().take(GROUPS - 1) {
            all.push(entity("Group", &format!("g{id}"), json!({}), refs("Group", "g", parents)));
        }
        for (id, user) in self.users.iter().enumerate() {
            let attributes = json!({
                "level": user.level,
                "manager": {"__entity": reference("User", &format!("u{}", user.manager))},
                "team": {"__entity": reference("Group", &format!("g{}", user.team))},
            });
            all.push(entity("User", &format!("u{id}"), attributes, refs("Group", "g", &user.groups)));
        }
        for (id, parents) in self.folders.iter().enumerate().take(FOLDERS - 1) {
            let mut folder = self.documents[id].entity("Folder", &format!("f{id}"));
            folder["parents"] = refs("Folder", "f", parents).into();
            all.push(folder);
        }
        for (id, document) in self.documents.iter().skip(FOLDERS).enumerate() {
            all.push(document.entity("Doc", &format!("d{id}")));
        }
        all
    }

    /// Whether a policy, or the template of a link, has `is … in` in its scope.
    pub(super) fn is_in(&self, id: &str) -> bool {
        let number = id.trim_start_matches("link").trim_start_matches('p').split('.').next();
        let policy = number.and_then(|number| self.policies.get(number.parse::<usize>().ok()?));
        policy.is_some_and(|policy| [policy.principal, policy.resource].iter().any(|scope| scope.is_in()))
    }

    /// Whether the principal, or the resource, stands in something by two ways.
    pub(super) fn shares_an_ancestor(&self, question: &Question) -> bool {
        let user = self.users.get(question.user).map_or(&[][..], |user| &user.groups);
        let groups: Vec<_> = question.groups.iter().chain(user).copied().collect();
        let folders = match question.kind {
            0 => self.folders.get(question.resource).cloned(),
            1 => self.documents.get(FOLDERS + question.resource).map(|document| document.folders.clone()),
            _ => Some(question.given.folders.clone()),
        };
        meet(&groups, &self.groups) || meet(&folders.unwrap_or_default(), &self.folders)
    }
}

/// Whether two different ways lead from these to one.
fn meet(from: &[usize], parents: &[Vec<usize>]) -> bool {
    let distinct = |ids: &[usize]| ids.iter().copied().collect::<BTreeSet<_>>();
    let mut open: Vec<_> = distinct(from).into_iter().collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            return true;
        }
        // The last is not stored: nobody knows what it stands in.
        let stored = parents.get(id).filter(|_| id + 1 < parents.len());
        open.extend(stored.map(|parents| distinct(parents)).into_iter().flatten());
    }
    false
}

fn reference(type_name: &str, id: &str) -> Value {
    json!({"type": type_name, "id": id})
}

/// One of the actions.
fn action(number: i64) -> Value {
    let number = usize::try_from(number).unwrap() % ACTIONS.len();
    reference("Action", ACTIONS[number])
}

impl Policy {
    fn is_template(&self) -> bool {
        self.principal.has_slot() || self.resource.has_slot()
    }

    fn text(&self, number: usize) -> String {
        let effect = if self.forbids { "forbid" } else { "permit" };
        let action = match self.action {
            0 | 1 => "action".to_owned(),
            2 => "action in Action::\"all\"".to_owned(),
            3 => "action in [Action::\"reading\", Action::\"all\", Action::\"view\"]".to_owned(),
            4 => "action == Action::\"all\"".to_owned(),
            other => format!("action == Action::\"{}\"", ACTIONS[other % ACTIONS.len()]),
        };
        let principal = self.principal.text("principal", "User", ("User::\"u", "Group::\"g"));
        let resource = self.resource.text("resource", "Doc", ("Doc::\"d", "Folder::\"f"));
        let mut text = format!("@id(\"p{number}\")\n{effect} ({principal}, {action}, {resource})");
        for (unless, condition, operand) in &self.conditions {
            let clause = if *unless { "unless" } else { "when" };
            let condition = CONDITIONS[*condition].replace('#', &operand.to_string());
            let _infallible = write!(text, "\n{clause} {{ {condition} }}");
        }
        text + ";\n"
    }
}

impl Scope {
    const fn has_slot(self) -> bool {
        self.0 >= 5
    }

    const fn is_in(self) -> bool {
        matches!(self.0, 4 | 7)
    }

    fn text(self, name: &str, type_name: &str, (own, containers): (&str, &str)) -> String {
        let Self(form, entity) = self;
        match form {
            0 => name.to_owned(),
            1 => format!("{name} is {type_name}"),
            2 => format!("{name} == {own}{entity}\""),
            3 => format!("{name} in {containers}{entity}\""),
            4 => format!("{name} is {type_name} in {containers}{entity}\""),
            5 => format!("{name} == ?{name}"),
            6 => format!("{name} in ?{name}"),
            _ => format!("{name} is {type_name} in ?{name}"),
        }
    }

    fn filled(self, own: &str, containers: &str, entity: usize) -> String {
        let prefix = if self.0 == 5 { own } else { containers };
        format!("{prefix}{entity}\"")
    }
}

impl Document {
    fn attributes(&self) -> Value {
        let mut attributes = json!({
            "size": self.size,
            "owner": reference("User", &format!("u{}", self.owner)),
            "needs": action(self.size),
        });
        if let Some(near) = self.near {
            attributes["near"] = reference("Doc", &format!("d{near}"));
        }
        attributes
    }

    fn parents(&self) -> Vec<Value> {
        self.folders.iter().map(|folder| reference("Folder", &format!("f{folder}"))).collect()
    }

    fn tags(&self) -> Value {
        self.tag.map_or_else(|| json!({}), |tag| json!({"t": tag}))
    }

    /// In Cedar's JSON.
    fn entity(&self, type_name: &str, id: &str) -> Value {
        let mut attributes = self.attributes();
        for name in ["owner", "near", "needs"] {
            if let Some(value) = attributes.get_mut(name) {
                *value = json!({"__entity": value.take()});
            }
        }
        json!({"uid": {"type": type_name, "id": id}, "attrs": attributes, "parents": self.parents(), "tags": self.tags()})
    }
}

impl Question {
    pub(super) fn principal(&self) -> String {
        format!("u{}", self.user)
    }

    pub(super) fn action(&self) -> String {
        ACTIONS[self.action].to_owned()
    }

    pub(super) fn resource(&self) -> (&'static str, String) {
        match self.kind {
            0 => ("Folder", format!("f{}", self.resource)),
            1 => ("Doc", format!("d{}", self.resource)),
            _ => ("Doc", "given".to_owned()),
        }
    }

    /// What the question describes, in Cedar's JSON.
    pub(super) fn described(&self) -> Vec<Value> {
        let given = (self.kind > 1).then(|| self.given_near().entity("Doc", "given"));
        let nearby = self.nearby.as_ref().map(|nearby| nearby.entity("Doc", "d99"));
        given.into_iter().chain(nearby).collect()
    }

    pub(super) fn context(&self) -> Value {
        json!({
            "count": self.count,
            "by": {"__entity": reference("User", &format!("u{}", self.by))},
            "act": {"__entity": action(self.count)},
        })
    }

    /// As a caller writes it.
    pub(super) fn body(&self) -> Value {
        let (type_name, id) = self.resource();
        let described = |document: &Document, mut entity: Value| {
            entity["attributes"] = document.attributes();
            entity["parents"] = document.parents().into();
            entity["tags"] = document.tags();
            entity
        };
        let mut resource = reference(type_name, &id);
        if self.kind > 1 {
            resource = described(&self.given_near(), resource);
        }
        let nearby = self.nearby.iter().map(|nearby| described(nearby, reference("Doc", "d99")));
        json!({
            "action": self.action(),
            "resource": resource,
            "context": {
                "count": self.count,
                "by": reference("User", &format!("u{}", self.by)),
                "act": action(self.count),
            },
            "entities": nearby.collect::<Value>(),
        })
    }

    /// The described resource is near the other one that is described, where there is one.
    fn given_near(&self) -> Document {
        let near = if self.nearby.is_some() { Some(99) } else { self.given.near };
        Document { near, ..self.given.clone() }
    }
}
