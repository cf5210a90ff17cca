//! What a suite asks, apart from what it expects: for whoever compares the answers of two snapshots.

use std::sync::Arc;

use serde_json::Value as Json;

use super::Suite;
use super::file::{Asks, Body, Table};
use super::fixtures::{Principal, Resource};
use crate::cedar::Given;
use crate::identity::Fixture;
use crate::model::{EntityDescription, Record, Timestamp};

/// A token under its name, before any issuer has judged it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Speaker<'a> {
    /// What tests call it.
    pub name: &'a Arc<str>,
    /// The token.
    pub token: &'a Fixture,
    /// Whose token it is, where it or its test says so.
    pub issuer: Option<&'a str>,
}

/// A resource under its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Thing<'a> {
    /// What tests call it.
    pub name: &'a Arc<str>,
    /// What it is.
    pub entity: &'a EntityDescription,
}

/// What a test asks.
#[derive(Debug, Clone)]
pub enum Posed<'a> {
    /// Questions of one principal about one resource.
    Questions(Questions<'a>),
    /// A request in Cedar's own form.
    Given(Given<'a>),
}

/// Questions of one principal about one resource.
#[derive(Debug, Clone)]
pub struct Questions<'a> {
    /// Who asks.
    pub speaker: Speaker<'a>,
    /// About what.
    pub thing: Thing<'a>,
    /// The actions that are named.
    pub actions: Vec<&'a Arc<str>>,
    /// Whether every other action that applies is asked about too.
    pub every_other: bool,
    table: &'a Table,
}

/// What a question says beside who, what and about which resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Circumstances {
    /// What every action of the test is told.
    pub shared: Record,
    /// Whether an action is told only what it declares of that.
    pub cut: bool,
    /// What this action is told beside.
    pub own: Record,
    /// Further entities.
    pub entities: Vec<Arc<EntityDescription>>,
    /// The time, where the test sets one.
    pub now: Option<Timestamp>,
}

impl Suite {
    /// Everything that its tests ask, in their order, skipped tests aside.
    pub fn questions(&self) -> impl Iterator<Item = Posed<'_>> {
        self.files.iter().flat_map(|file| &file.tests).flat_map(|test| {
            let (table, given) = match &test.body {
                Body::Skipped(_) => (None, None),
                Body::Table(table) => (Some(&**table), None),
                Body::Given(given) => (None, Some(Posed::Given(given.given()))),
            };
            table.into_iter().flat_map(|table| self.asked(table)).map(Posed::Questions).chain(given)
        })
    }

    /// The principals that are defined, whether or not a test asks about them.
    pub fn speakers(&self) -> impl Iterator<Item = Speaker<'_>> {
        self.fixtures.principals.iter().map(|principal| speaker(principal, None))
    }

    /// The resources that are defined.
    pub fn things(&self) -> impl Iterator<Item = Thing<'_>> {
        self.fixtures.resources.iter().map(thing)
    }

    fn asked<'a>(&'a self, table: &'a Table) -> impl Iterator<Item = Questions<'a>> {
        let resources = table.resources.iter().filter_map(|id| self.fixtures.resources.get(*id));
        resources.flat_map(move |resource| {
            let rows = table.rows.iter();
            rows.filter_map(move |row| {
                let principal = self.fixtures.principals.get(row.principal)?;
                let (actions, every_other) = match &table.asks {
                    Asks::Each(actions, _) => (actions, false),
                    Asks::May => (&row.may, true),
                };
                Some(Questions {
                    speaker: speaker(principal, table.issuer.as_ref().map(|issuer| &*issuer.value)),
                    thing: thing(resource),
                    actions: actions.iter().map(|action| &action.value).collect(),
                    every_other,
                    table,
                })
            })
        })
    }
}

impl Questions<'_> {
    /// What the test tells an action; `is_same` says whether a name means it.
    pub fn circumstances(&self, is_same: impl Fn(&str) -> bool) -> Circumstances {
        let own = self.table.contexts.0.iter().filter(|(name, _)| is_same(&name.value));
        Circumstances {
            shared: self.table.context.clone(),
            cut: self.every_other,
            own: own.flat_map(|(_, own)| own.clone()).collect(),
            entities: self.table.entities.clone(),
            now: self.table.now,
        }
    }
}

/// The principal's own word about its issuer counts before its test's.
fn speaker<'a>(principal: &'a Principal, issuer: Option<&'a str>) -> Speaker<'a> {
    let claimed = principal.token.claims.get("iss").and_then(Json::as_str);
    let own = principal.issuer.as_ref().map(|issuer| &*issuer.value);
    Speaker { name: &principal.name, token: &principal.token, issuer: own.or(claimed).or(issuer) }
}

fn thing(resource: &Resource) -> Thing<'_> {
    Thing { name: &resource.name, entity: &resource.entity }
}
