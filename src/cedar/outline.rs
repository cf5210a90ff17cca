//! Every policy with its scope and the conditions in its text: what explanations and traces walk
//! through. Conditions are parsed when somebody first asks for them, and once.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use cedar_policy::{Effect, PolicySet};

use super::Source;
use super::compile::on_a_big_stack;
use super::conditions::{Condition, conditions};
use super::policies::{Policies, PolicyInfo};
use super::scope_parts::ScopeParts;
use super::statements::{self, PolicyText};
use crate::model::{Finding, Place};

/// The policies in the order of their texts; links where the text of their template is.
#[derive(Debug, Default)]
pub(super) struct Outline {
    pub(super) policies: Vec<Outlined>,
}

/// A policy, static or linked.
#[derive(Debug)]
pub(super) struct Outlined {
    pub(super) id: Arc<str>,
    pub(super) effect: Effect,
    pub(super) scope: ScopeParts,
    /// Whether it is a link: then its text has slots, and is that of other links too.
    pub(super) is_link: bool,
    pub(super) written: Arc<Written>,
}

/// The text of a static policy or of a template.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) path: Arc<str>,
    /// The whole file.
    pub(super) text: Arc<str>,
    /// The policy in it.
    pub(super) place: Place,
    conditions: OnceLock<Vec<Condition>>,
}

impl Outline {
    /// Puts together what is known of policies that compile.
    pub(super) fn of(policies: &Policies, sources: &[Source]) -> Self {
        let texts: HashMap<&str, &Arc<str>> =
            sources.iter().map(|source| (&*source.path, &source.text)).collect();
        let mut templates: HashMap<&str, Arc<Written>> = HashMap::new();
        let outlined = policies.infos.values().filter_map(|info| {
            let template = info.template.as_deref().and_then(|id| policies.info(id));
            let written = match template {
                Some(template) => Arc::clone(
                    templates.entry(&template.id).or_insert(Arc::new(Written::of(template, &texts)?)),
                ),
                None => Arc::new(Written::of(info, &texts)?),
            };
            Outlined::of(info, &policies.set, written)
        });
        let mut outlined: Vec<_> = outlined.collect();
        outlined.sort_unstable_by(|left: &Outlined, right| left.order().cmp(&right.order()));
        Self { policies: outlined }
    }

    /// Sees to it that the conditions of these policies are parsed. Blocks until it is done.
    ///
    /// # Errors
    /// There is no thread to parse on.
    pub(super) fn read<'a>(policies: impl IntoIterator<Item = &'a Outlined>) -> Result<(), Vec<Finding>> {
        let unread: Vec<_> =
            policies.into_iter().map(|policy| &policy.written).filter(|written| !written.is_read()).collect();
        if unread.is_empty() {
            return Ok(());
        }
        on_a_big_stack(|| {
            for written in unread {
                written.conditions.get_or_init(|| written.parsed());
            }
            Ok(())
        })
    }
}

impl Outlined {
    fn of(info: &PolicyInfo, set: &PolicySet, written: Arc<Written>) -> Option<Self> {
        let policy = set.policy(&cedar_policy::PolicyId::new(&*info.id))?;
        Some(Self {
            id: Arc::clone(&info.id),
            effect: info.effect,
            scope: ScopeParts::of(policy),
            is_link: info.template.is_some(),
            written,
        })
    }

    fn order(&self) -> (&str, usize, &str) {
        (&self.written.path, self.written.place.offset, &self.id)
    }

    /// Its conditions in the order of their evaluation; nothing before they are parsed.
    pub(super) fn conditions(&self) -> &[Condition] {
        self.written.conditions.get().map_or(&[], Vec::as_slice)
    }
}

impl Written {
    fn of(info: &PolicyInfo, texts: &HashMap<&str, &Arc<str>>) -> Option<Self> {
        let text = Arc::clone(texts.get(&*info.path)?);
        Some(Self { path: Arc::clone(&info.path), text, place: info.place, conditions: OnceLock::new() })
    }

    /// Whether its conditions are parsed.
    pub(super) fn is_read(&self) -> bool {
        self.conditions.get().is_some()
    }

    /// What the lexer sees in it, with places in the whole file.
    pub(super) fn statement(&self) -> PolicyText {
        statements::policy(&self.text, self.place.offset..self.place.offset + self.place.length)
    }

    fn parsed(&self) -> Vec<Condition> {
        conditions(&self.text, &self.statement())
    }
}
