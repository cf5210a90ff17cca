//! The policy texts as one set: parsed file by file, with stable ids, places and links.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::{Effect, EntityUid, Policy, PolicyId, PolicySet, SlotId};
use serde::Deserialize;

use super::Source;
use super::clauses::Clauses;
use super::findings;
use super::ids::{BadId, policy_id};
use super::json::{self, Part};
use super::level::{Level, Validated};
use super::statements::{self, PolicyText};
use crate::model::suggestion::did_you_mean;
use crate::model::{Finding, Place};

/// All policies and templates, and where each comes from.
#[derive(Debug, Default)]
pub(super) struct Policies {
    pub(super) set: PolicySet,
    /// Static policies and links, by id.
    pub(super) infos: HashMap<Arc<str>, PolicyInfo>,
    /// Templates, by id.
    templates: HashMap<Arc<str>, PolicyInfo>,
}

/// What is known of a policy beside what Cedar evaluates.
#[derive(Debug, Clone)]
pub(super) struct PolicyInfo {
    pub(super) id: Arc<str>,
    pub(super) effect: Effect,
    pub(super) path: Arc<str>,
    pub(super) place: Place,
    pub(super) annotations: BTreeMap<String, String>,
    /// The id of the template, for a link.
    pub(super) template: Option<Arc<str>>,
    /// Its conditions, where it has any.
    pub(super) clauses: Option<Arc<Clauses>>,
    /// How deep those reach into entities.
    pub(super) level: Level,
}

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

impl PolicyInfo {
    /// As policies write it.
    pub(super) const fn effect_name(&self) -> &'static str {
        match self.effect {
            Effect::Permit => "permit",
            Effect::Forbid => "forbid",
        }
    }
}

impl Policies {
    /// Parses every file on its own, so that every place stays one of its own text.
    pub(super) fn read(policies: &[Source], links: &[Source]) -> (Self, Vec<Finding>) {
        let mut read = Self::default();
        let mut found = Vec::new();
        for source in policies {
            match PolicySet::from_str(&source.text) {
                Ok(set) => found.extend(read.add_file(source, &set)),
                Err(errors) => found.extend(findings::from_diagnostic(source, "syntax", &errors)),
            }
        }
        for source in links {
            found.extend(read.add_links(source));
        }
        (read, found)
    }

    /// Every static policy and every link.
    pub(super) fn all(&self) -> impl Iterator<Item = (&PolicyInfo, &Policy)> {
        let policy = |info: &PolicyInfo| self.set.policy(&PolicyId::new(&*info.id));
        self.infos.values().filter_map(move |info| Some((info, policy(info)?)))
    }

    /// Tells policies and templates how deep they reach.
    pub(super) fn set_levels(&mut self, validated: &Validated) {
        for info in self.infos.values_mut().chain(self.templates.values_mut()) {
            let written = info.template.as_ref().unwrap_or(&info.id);
            info.level = match &info.clauses {
                Some(_) => validated.level(&PolicyId::new(&**written)),
                None => Level::Bounded(0),
            };
        }
    }

    /// Where a policy or template stands.
    pub(super) fn info(&self, id: &str) -> Option<&PolicyInfo> {
        self.infos.get(id).or_else(|| self.templates.get(id))
    }

    fn add_file(&mut self, source: &Source, set: &PolicySet) -> Vec<Finding> {
        let texts = statements::policies(&source.text);
        let mut found = Vec::new();
        // Cedar numbers static policies and templates together, in the order of the text.
        let mut numbers: Vec<_> = set.policies().map(|policy| (number(policy.id()), false)).collect();
        numbers.extend(set.templates().map(|template| (number(template.id()), true)));
        numbers.sort_unstable();
        for (number, is_template) in numbers {
            let Some(text) = number.and_then(|number| texts.get(number)) else {
                found.push(Finding::error(
                    &source.path,
                    "internal",
                    "a policy could not be found again in its own text",
                ));
                continue;
            };
            let place = place(source, text);
            let ordinal = number.unwrap_or_default() + 1;
            let id = match policy_id(&source.name, ordinal, text.annotation("id").map(|id| id.value.as_str()))
            {
                Ok(id) => Arc::<str>::from(id),
                Err(error) => {
                    found.push(
                        Finding::error(&source.path, BadId::CODE, error.to_string())
                            .at(place)
                            .help(BadId::HELP),
                    );
                    continue;
                }
            };
            if let Some(first) = self.info(&id) {
                found.push(duplicate(&source.path, &id, place, first));
                continue;
            }
            let written = PolicyId::new(format!("policy{}", ordinal - 1));
            let clauses = match Clauses::of(&source.text, text) {
                Ok(clauses) => clauses.map(Arc::new),
                Err(error) => {
                    let message = format!("its conditions could not be read a second time: {error}");
                    found.push(Finding::error(&source.path, "internal", message).at(place));
                    continue;
                }
            };
            let info = |effect| PolicyInfo {
                id: Arc::clone(&id),
                effect,
                path: Arc::clone(&source.path),
                place,
                annotations: annotations(text),
                template: None,
                clauses: clauses.clone(),
                level: Level::Unbounded,
            };
            let added = if let Some(template) = set.template(&written).filter(|_| is_template) {
                self.templates.insert(Arc::clone(&id), info(template.effect()));
                self.set.add_template(template.new_id(PolicyId::new(&*id)))
            } else if let Some(policy) = set.policy(&written) {
                self.infos.insert(Arc::clone(&id), info(policy.effect()));
                self.set.add(policy.new_id(PolicyId::new(&*id)))
            } else {
                Ok(())
            };
            if let Err(error) = added {
                found.push(Finding::error(&source.path, "policy", error.to_string()).at(place));
            }
        }
        found
    }

    fn add_links(&mut self, source: &Source) -> Vec<Finding> {
        match json::parts(source) {
            Ok(parts) => parts.into_iter().filter_map(|part| self.add_link(part).err()).collect(),
            Err(finding) => vec![finding],
        }
    }

    fn add_link(&mut self, part: Part<'_>) -> Result<(), Finding> {
        let error = |message: String| part.error("link", message);
        let link: WrittenLink = part.read().map_err(error)?;
        let Some(template) = self.templates.get(link.template_id.as_str()).cloned() else {
            let known = self.templates.keys().map(|id| &**id);
            return Err(error(format!(
                "there is no template `{}`{}",
                link.template_id,
                did_you_mean(&link.template_id, known)
            )));
        };
        let id: Arc<str> = policy_id(&part.source.name, 0, Some(&link.link_id))
            .map_err(|bad| error(bad.to_string()).help(BadId::HELP))?
            .into();
        if let Some(first) = self.info(&id) {
            return Err(duplicate(&part.source.path, &id, part.place(), first));
        }
        let mut slots = HashMap::new();
        for (slot, uid) in &link.args {
            let slot = match slot.as_str() {
                "?principal" => SlotId::principal(),
                "?resource" => SlotId::resource(),
                other => {
                    return Err(error(format!(
                        "`{other}` is no slot: there are `?principal` and `?resource`"
                    )));
                }
            };
            let uid = EntityUid::from_str(uid)
                .map_err(|_| error(format!("`{uid}` is no entity")).help("write `Shop::User::\"id\"`"))?;
            slots.insert(slot, uid);
        }
        self.set
            .link(PolicyId::new(&*template.id), PolicyId::new(&*id), slots)
            .map_err(|cause| error(findings::plain(&cause.to_string())))?;
        let info = PolicyInfo {
            id: Arc::clone(&id),
            path: Arc::clone(&part.source.path),
            place: part.place(),
            template: Some(Arc::clone(&template.id)),
            ..template
        };
        self.infos.insert(id, info);
        Ok(())
    }
}

fn annotations(text: &PolicyText) -> BTreeMap<String, String> {
    text.annotations.iter().map(|annotation| (annotation.name.clone(), annotation.value.clone())).collect()
}

fn duplicate(path: &Arc<str>, id: &str, place: Place, first: &PolicyInfo) -> Finding {
    let message = format!(
        "the id `{id}` is taken by the policy at {}:{}:{}",
        first.path, first.place.line, first.place.column
    );
    Finding::error(path, "duplicate-id", message).at(place).help("give one of them another `@id`")
}

fn place(source: &Source, text: &PolicyText) -> Place {
    Place::of(&source.text, text.span.start, text.span.len())
}

/// The `n` of Cedar's `policy<n>`.
fn number(id: &PolicyId) -> Option<usize> {
    AsRef::<str>::as_ref(id).strip_prefix("policy")?.parse().ok()
}
