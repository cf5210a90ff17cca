//! Every policy with its scope and the conditions in its text: what explanations and traces walk
//! through. Conditions are parsed when somebody first asks for them, and once.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::Source;
use super::conditions::{Condition, conditions};
use super::policies::{Policies, PolicyInfo};
use super::policy_file::PolicyFile;
use super::scope_parts::ScopeParts;
use super::statements::{self, PolicyText};
use super::workers::on_a_big_stack;
use crate::model::{Finding, Place};

/// The policies in the order of their texts; links where the text of their template is. Put together when
/// somebody first asks: a service that nobody asks for explanations has no use for it.
#[derive(Debug, Default)]
pub(super) struct Outline {
    files: Vec<Arc<PolicyFile>>,
    policies: OnceLock<Vec<Outlined>>,
}

/// A policy, static or linked.
#[derive(Debug)]
pub(super) struct Outlined {
    pub(super) info: Arc<PolicyInfo>,
    pub(super) scope: ScopeParts,
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
    /// Of policies that compile.
    pub(super) fn of(policies: &Policies) -> Self {
        Self { files: policies.files.clone(), policies: OnceLock::new() }
    }

    /// All of them.
    pub(super) fn policies(&self) -> &[Outlined] {
        self.policies.get_or_init(|| self.outlined())
    }

    fn outlined(&self) -> Vec<Outlined> {
        let templates = self.files.iter().flat_map(|file| {
            file.templates.iter().map(|(info, _)| (&*info.id, Arc::new(Written::of(info, &file.source))))
        });
        let templates: HashMap<&str, Arc<Written>> = templates.collect();
        let of_file = |file: &PolicyFile| {
            let outlined = |info: &Arc<PolicyInfo>| {
                let written = match &info.template {
                    Some(template) => Arc::clone(templates.get(&**template)?),
                    None => Arc::new(Written::of(info, &file.source)),
                };
                Some(Outlined { info: Arc::clone(info), scope: (**info.scope.as_ref()?).clone(), written })
            };
            file.policies.iter().filter_map(outlined).collect::<Vec<_>>()
        };
        let mut outlined: Vec<_> = self.files.iter().flat_map(|file| of_file(file)).collect();
        outlined.sort_unstable_by(|left: &Outlined, right| left.order().cmp(&right.order()));
        outlined
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
    fn order(&self) -> (&str, usize, &str) {
        (&self.written.path, self.written.place.offset, &self.info.id)
    }

    /// Its conditions in the order of their evaluation; nothing before they are parsed.
    pub(super) fn conditions(&self) -> &[Condition] {
        self.written.conditions.get().map_or(&[], Vec::as_slice)
    }
}

impl Written {
    fn of(info: &PolicyInfo, source: &Source) -> Self {
        let (path, text) = (Arc::clone(&source.path), Arc::clone(&source.text));
        Self { path, text, place: info.place, conditions: OnceLock::new() }
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
