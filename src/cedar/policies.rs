//! The policies of all files as one set: each file compiled by itself, ids unique among all.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cedar_policy::{Effect, EntityUid, Policy, PolicySet, PolicySetError};

use super::clauses::Clauses;
use super::level::Level;
use super::links::Templates;
use super::policy_file::PolicyFile;
use super::scope_parts::ScopeParts;
use crate::model::{Finding, Place};

/// All policies and templates.
#[derive(Debug, Default)]
pub(super) struct Policies {
    /// Files of policies, and then those of links.
    pub(super) files: Vec<Arc<PolicyFile>>,
    /// Static policies and links, by id.
    pub(super) infos: HashMap<Arc<str>, Arc<PolicyInfo>>,
    /// Templates, by id.
    templates: HashMap<Arc<str>, Arc<PolicyInfo>>,
}

/// What is known of a policy, once it is compiled.
#[derive(Debug)]
pub(super) struct PolicyInfo {
    pub(super) id: Arc<str>,
    pub(super) effect: Effect,
    pub(super) path: Arc<str>,
    pub(super) place: Place,
    /// Names and values, in the order of the text.
    pub(super) annotations: Arc<[(Box<str>, Box<str>)]>,
    /// The id of the template, for a link.
    pub(super) template: Option<Arc<str>>,
    /// None for a template.
    pub(super) scope: Option<Box<ScopeParts>>,
    /// Its conditions, where it has any.
    pub(super) clauses: Option<Arc<Clauses>>,
    /// How deep those reach into entities.
    pub(super) level: Level,
    /// The entities that it names, where its conditions could look into those.
    pub(super) literals: Box<[EntityUid]>,
}

impl PolicyInfo {
    /// As policies write it.
    pub(super) const fn effect_name(&self) -> &'static str {
        match self.effect {
            Effect::Permit => "permit",
            Effect::Forbid => "forbid",
        }
    }

    /// By their names; of two with one name the later.
    pub(super) fn annotations(&self) -> BTreeMap<String, String> {
        self.annotations.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }
}

impl Policies {
    /// Takes a file in. Of two policies with one id the first counts, and the other is a finding.
    pub(super) fn add(&mut self, file: Arc<PolicyFile>, found: &mut Vec<Finding>) {
        found.extend(file.found.iter().cloned());
        let templates = file.templates.iter().map(|(info, _)| (info, true));
        let mut infos: Vec<_> = file.policies.iter().map(|info| (info, false)).chain(templates).collect();
        infos.sort_by_key(|(info, _)| info.place.offset);
        for (info, is_template) in infos {
            if let Some(first) = self.info(&info.id) {
                found.push(duplicate(&info.path, &info.id, info.place, first));
                continue;
            }
            let into = if is_template { &mut self.templates } else { &mut self.infos };
            into.insert(Arc::clone(&info.id), Arc::clone(info));
        }
        self.files.push(file);
    }

    /// Where a policy or template stands.
    pub(super) fn info(&self, id: &str) -> Option<&Arc<PolicyInfo>> {
        self.infos.get(id).or_else(|| self.templates.get(id))
    }

    /// Every static policy and every link.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<PolicyInfo>> {
        self.infos.values()
    }

    /// The same as Cedar reads them, in the order of the files; nothing where that was not kept.
    pub(super) fn parsed(&self) -> impl Iterator<Item = (&Arc<PolicyInfo>, &Policy)> {
        let all = self.files.iter().flat_map(|file| file.policies.iter().zip(&file.parsed));
        all.filter(|(info, _)| self.counts(info))
    }

    /// The same as one set; empty where they were not kept.
    ///
    /// # Errors
    /// The engine's; never for policies that compile.
    pub(super) fn whole_set(&self) -> Result<PolicySet, PolicySetError> {
        let mut set = PolicySet::new();
        for (_, template) in self.files.iter().flat_map(|file| &file.templates) {
            set.add_template(template.clone())?;
        }
        for (_, policy) in self.parsed() {
            // A set takes no linked policy: it wants to link again.
            match (policy.template_id(), policy.template_links()) {
                (Some(template), Some(slots)) => set.link(template.clone(), policy.id().clone(), slots)?,
                _ => set.add(policy.clone())?,
            }
        }
        Ok(set)
    }

    /// What can be linked to.
    pub(super) fn templates(&self) -> Templates<'_> {
        let all = self.files.iter().flat_map(|file| &file.templates);
        all.filter(|(info, _)| self.counts(info)).map(|(info, parsed)| (&*info.id, (info, parsed))).collect()
    }

    /// Whether its id is its own.
    fn counts(&self, info: &Arc<PolicyInfo>) -> bool {
        self.info(&info.id).is_some_and(|counting| Arc::ptr_eq(counting, info))
    }
}

/// What is wrong with a second policy of one id.
pub(super) fn duplicate(path: &Arc<str>, id: &str, place: Place, first: &PolicyInfo) -> Finding {
    let message = format!(
        "the id `{id}` is taken by the policy at {}:{}:{}",
        first.path, first.place.line, first.place.column
    );
    Finding::error(path, "duplicate-id", message).at(place).help("give one of them another `@id`")
}
