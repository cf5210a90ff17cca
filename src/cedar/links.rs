//! One file of links between templates and what their slots stand for, compiled under the templates that
//! there are.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr as _;
use std::sync::Arc;

use cedar_policy::{EntityUid, PolicyId, PolicySet, SlotId, Template};
use serde::Deserialize;

use super::Source;
use super::findings;
use super::ids::{BadId, policy_id};
use super::json::{self, Part};
use super::level::Validated;
use super::policies::{PolicyInfo, duplicate};
use super::policy_file::{PolicyFile, Under, literals};
use super::scope_parts::ScopeParts;
use super::validation;
use crate::model::suggestion::did_you_mean;
use crate::model::{Finding, Place, Places};

/// Every template by its id.
pub(super) type Templates<'a> = BTreeMap<&'a str, (&'a Arc<PolicyInfo>, &'a Template)>;

/// A link in the format of Cedar's command line (`-k`).
#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a link: {\"template_id\": …, \"link_id\": …, \"args\": {\"?principal\": …}}"
)]
struct WrittenLink {
    template_id: String,
    link_id: String,
    args: BTreeMap<String, String>,
}

impl PolicyFile {
    /// Compiles a file of links. The stack must be large.
    pub(super) fn of_links(source: &Source, templates: &Templates<'_>, under: &Under) -> Self {
        let mut file = Self::new(source);
        match json::parts(source) {
            Ok(parts) => Linking {
                file: &mut file,
                set: PolicySet::new(),
                templates,
                places: Places::of(&source.text),
            }
            .link(&parts, under),
            Err(finding) => file.found.push(finding),
        }
        file
    }

    /// Whether its links would come to the same under these templates.
    pub(super) fn is_linked_to(&self, templates: &Templates<'_>) -> bool {
        // What is wrong may be mended by another template.
        !self.found.iter().any(Finding::is_error)
            && self.linked.iter().all(|linked| {
                templates.get(&*linked.id).is_some_and(|(template, _)| Arc::ptr_eq(template, linked))
            })
    }
}

/// The links of one file, as they are made.
struct Linking<'a> {
    file: &'a mut PolicyFile,
    set: PolicySet,
    templates: &'a Templates<'a>,
    places: Places<'a>,
}

impl Linking<'_> {
    fn link(mut self, parts: &[Part<'_>], under: &Under) {
        let mut made: HashMap<PolicyId, Place> = HashMap::with_capacity(parts.len());
        for part in parts {
            match self.add(*part) {
                Ok((id, place)) => drop(made.insert(id, place)),
                Err(finding) => self.file.found.push(finding),
            }
        }
        if under.keep_parsed {
            let parsed =
                self.file.policies.iter().filter_map(|info| self.set.policy(&PolicyId::new(&*info.id)));
            self.file.parsed = parsed.cloned().collect();
        }
        if let Some(validator) = &under.validator {
            let validated = Validated::of(&self.set, validator, |_| true);
            // What is said of the templates is said in their own file, their levels too.
            let place = |id: &PolicyId| made.get(id).copied();
            let found = validation::findings(&validated, &self.file.source, place, &under.known);
            self.file.found.extend(found);
        }
    }

    fn add(&mut self, part: Part<'_>) -> Result<(PolicyId, Place), Finding> {
        let path = &part.source.path;
        let place = self.places.at(part.offset(), part.length());
        let error = |message: String| Finding::error(path, "link", message).at(place);
        let link: WrittenLink = part.read().map_err(error)?;
        let Some((template, parsed)) = self.templates.get(link.template_id.as_str()).copied() else {
            let meant = did_you_mean(&link.template_id, self.templates.keys().copied());
            return Err(error(format!("there is no template `{}`{meant}", link.template_id)));
        };
        let id: Arc<str> = policy_id(&part.source.name, 0, Some(&link.link_id))
            .map_err(|bad| error(bad.to_string()).help(BadId::HELP))?
            .into();
        let (template_id, link_id) = (PolicyId::new(&*template.id), PolicyId::new(&*id));
        if let Some((first, _)) = self.templates.get(&*id) {
            return Err(duplicate(path, &id, place, first));
        }
        if self.set.policy(&link_id).is_some()
            && let Some(first) = self.file.policies.iter().find(|info| info.id == id)
        {
            return Err(duplicate(path, &id, place, first));
        }
        if self.set.template(&template_id).is_none() {
            self.set.add_template(parsed.clone()).map_err(|cause| error(cause.to_string()))?;
            self.file.linked.push(Arc::clone(template));
        }
        let slots = slots(&link).map_err(|(message, help)| Finding { help, ..error(message) })?;
        self.set
            .link(template_id, link_id.clone(), slots)
            .map_err(|cause| error(findings::plain(&cause.to_string())))?;
        if let Some(policy) = self.set.policy(&link_id) {
            self.file.policies.push(Arc::new(PolicyInfo {
                id,
                effect: template.effect,
                path: Arc::clone(path),
                place,
                annotations: Arc::clone(&template.annotations),
                template: Some(Arc::clone(&template.id)),
                scope: Some(Box::new(ScopeParts::of(policy))),
                clauses: template.clauses.clone(),
                level: template.level,
                literals: literals(policy, template.level),
            }));
        }
        Ok((link_id, place))
    }
}

/// What the slots stand for.
///
/// # Errors
/// What is wrong, and what to do about it.
fn slots(link: &WrittenLink) -> Result<HashMap<SlotId, EntityUid>, (String, Option<String>)> {
    let mut slots = HashMap::new();
    for (slot, uid) in &link.args {
        let slot = match slot.as_str() {
            "?principal" => SlotId::principal(),
            "?resource" => SlotId::resource(),
            other => {
                return Err((format!("`{other}` is no slot: there are `?principal` and `?resource`"), None));
            }
        };
        let help = || Some("write `Shop::User::\"id\"`".to_owned());
        let uid = EntityUid::from_str(uid).map_err(|_| (format!("`{uid}` is no entity"), help()))?;
        slots.insert(slot, uid);
    }
    Ok(slots)
}
