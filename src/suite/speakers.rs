//! The tokens of a suite under its issuers and one snapshot: each judged once, however often it asks.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value as Json;

use super::fixtures::Principal;
use super::yaml::Name;
use crate::cedar::{ActionName, Snapshot};
use crate::identity::Config;
use crate::model::suggestion::did_you_mean;
use crate::model::{Finding, Identity, Place, Refusal, RefusalCode};

/// The tokens; tables refer to them by number.
#[derive(Debug, Default)]
pub(super) struct Speakers {
    all: Vec<Speaker>,
    /// By principal and issuer.
    places: HashMap<(usize, Option<usize>), usize>,
}

/// The token of one principal under one issuer.
#[derive(Debug)]
pub(super) struct Speaker {
    /// Who it is, or why the service would not accept it.
    pub(super) identity: Result<Identity, Refusal>,
    /// The actions that apply to it, by the type of the resource.
    actions: HashMap<String, Vec<ActionName>>,
}

/// Who asks for a speaker: a row of a test in this file, whose test may name an issuer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker<'a> {
    pub(super) path: &'a Arc<str>,
    pub(super) place: Place,
    pub(super) issuer: Option<&'a Name>,
}

impl Speakers {
    /// The token of a principal.
    ///
    /// # Errors
    /// It is not clear whose token it is.
    pub(super) fn speaker(
        &mut self,
        id: usize,
        principal: &Principal,
        asker: Asker<'_>,
        issuers: &[Config],
    ) -> Result<usize, Finding> {
        let issuer = issuer(principal, asker, issuers)?;
        let next = self.all.len();
        let speaker = *self.places.entry((id, issuer)).or_insert(next);
        if speaker == next {
            let identity = principal.token.identity(issuer.and_then(|issuer| issuers.get(issuer)));
            self.all.push(Speaker { identity, actions: HashMap::new() });
        }
        Ok(speaker)
    }

    /// Finds out which actions apply to a speaker and resources of a type; and whether the snapshot
    /// can make a principal of it at all.
    pub(super) fn learn(&mut self, speaker: usize, resource_type: &str, snapshot: &Snapshot) {
        let Some(Speaker { identity, actions }) = self.all.get_mut(speaker) else { return };
        let Ok(known) = identity else { return };
        if actions.contains_key(resource_type) {
            return;
        }
        match snapshot.applicable_actions(known, resource_type) {
            Ok(applicable) => {
                actions.insert(resource_type.to_owned(), applicable);
            }
            Err(refusal) if refusal.code == RefusalCode::InvalidToken => *identity = Err(refusal),
            Err(_) => {}
        }
    }

    pub(super) fn get(&self, speaker: usize) -> Option<&Speaker> {
        self.all.get(speaker)
    }
}

impl Speaker {
    /// The actions that apply to it and to resources of a type, as far as that was asked before.
    pub(super) fn actions_on(&self, resource_type: &str) -> &[ActionName] {
        self.actions.get(resource_type).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Whose token a principal has: its own word first, then its test's; one that is alone needs no word.
fn issuer(principal: &Principal, asker: Asker<'_>, issuers: &[Config]) -> Result<Option<usize>, Finding> {
    let of_principal = principal.issuer.as_ref().map(|name| (&principal.path, name.place, &*name.value));
    let iss = match principal.token.claims.get("iss") {
        Some(Json::String(iss)) if !issuers.is_empty() => Some((&principal.path, principal.place, &**iss)),
        _ => None,
    };
    let of_test = asker.issuer.map(|name| (asker.path, name.place, &*name.value));
    let Some((path, place, named)) = of_principal.or(iss).or(of_test) else {
        return match issuers.len() {
            0 => Ok(None),
            1 => Ok(Some(0)),
            _ => {
                let message =
                    format!("whose token `{}` has is not clear: there are several issuers", principal.name);
                let finding = Finding::error(asker.path, "test-issuer", message).at(asker.place);
                Err(finding.help("name one with `issuer`, in the test or in the principal"))
            }
        };
    };
    let found = issuers.iter().position(|config| config.forms().any(|form| form == named));
    found.map(Some).ok_or_else(|| {
        let known = issuers.iter().map(|config| config.issuer.as_str());
        let message = format!("no issuer `{named}` is configured{}", did_you_mean(named, known));
        Finding::error(path, "test-issuer", message).at(place)
    })
}
