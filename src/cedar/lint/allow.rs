//! Silences: `@palisade_allow("rule-id: reason")` on a policy, and `[[check.allow]]` for what stands
//! outside policies. Each needs a reason, and each must silence something.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::rule::Rule;
use super::{Project, finding};
use crate::cedar::findings;
use crate::cedar::statements::{self, AnnotationText};
use crate::cedar::{Source, Sources};
use crate::model::suggestion::did_you_mean;
use crate::model::{Finding, Place};

/// The annotation that silences.
const ANNOTATION: &str = "palisade_allow";

/// A silence of the configuration: one rule in one file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allow {
    /// The id of the rule.
    pub rule: String,
    /// The file, as findings name it.
    pub path: String,
    /// Why it is right as it is.
    #[serde(default)]
    pub reason: String,
}

/// A finding that somebody has answered for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Silenced {
    /// What was found.
    #[serde(flatten)]
    pub finding: Finding,
    /// Why it is right as it is.
    pub reason: String,
    /// Where that is said.
    pub silenced_by: SilencedBy,
}

/// Where a silence stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SilencedBy {
    /// An annotation of the policy.
    Policy,
    /// The configuration.
    Configuration,
}

/// All silences of a project, good and bad.
#[derive(Debug, Default)]
pub(super) struct Allows {
    good: Vec<Silence>,
    bad: Vec<Finding>,
}

/// A silence that can be used.
#[derive(Debug)]
struct Silence {
    rule: Rule,
    reason: String,
    reach: Reach,
    /// What a complaint about the silence itself points at.
    written: (Arc<str>, Option<Place>),
    used: bool,
}

/// Which findings a silence may meet.
#[derive(Debug)]
enum Reach {
    /// Those in this statement of the file that the silence stands in.
    Statement(Range<usize>),
    /// Those of this file that stand in no policy.
    File(String),
}

impl Allows {
    /// Reads the annotations of every policy, and the settings.
    pub(super) fn read(sources: &Sources, project: &Project) -> Self {
        let mut allows = Self::default();
        for source in &sources.policies {
            for statement in statements::policies(&source.text) {
                for annotation in statement.annotations.iter().filter(|one| one.name == ANNOTATION) {
                    allows.add_annotation(source, &statement.span, annotation);
                }
            }
        }
        for (index, allow) in project.config.allow.iter().enumerate() {
            let place = project.allow_places.get(index).copied().flatten();
            let written = (Arc::clone(&project.configuration), place);
            allows.add(&allow.rule, &allow.reason, Reach::File(allow.path.clone()), written);
        }
        allows
    }

    /// Parts the findings into those that stand and those that are silenced. What is wrong with the
    /// silences is added; one that silences nothing only where `complete`: where compiling stopped
    /// early, what it is for may not have been looked for.
    pub(super) fn apply(
        mut self,
        found: Vec<Finding>,
        sources: &Sources,
        complete: bool,
    ) -> (Vec<Finding>, Vec<Silenced>) {
        let policies: HashSet<_> = sources.policies.iter().map(|source| &source.path).collect();
        let (mut standing, mut silenced) = (self.bad, Vec::new());
        for finding in found {
            let in_policies = policies.contains(&finding.path);
            match self.good.iter_mut().find(|silence| silence.meets(&finding, in_policies)) {
                Some(silence) => {
                    silence.used = true;
                    silenced.push(silence.of(finding));
                }
                None => standing.push(finding),
            }
        }
        let unused = self.good.iter().filter(|silence| complete && !silence.used);
        standing.extend(unused.map(Silence::unused));
        (standing, silenced)
    }

    /// `rule-id: reason`, several parted by `;`.
    fn add_annotation(&mut self, source: &Source, statement: &Range<usize>, annotation: &AnnotationText) {
        let place = findings::place(source, &annotation.span);
        for entry in annotation.value.split(';') {
            let written = (Arc::clone(&source.path), Some(place));
            let (rule, reason) = entry.split_once(':').unwrap_or((entry, ""));
            self.add(rule.trim(), reason.trim(), Reach::Statement(statement.clone()), written);
        }
    }

    fn add(&mut self, id: &str, reason: &str, reach: Reach, written: (Arc<str>, Option<Place>)) {
        let message = match Rule::of_id(id) {
            None => {
                let known = Rule::ALL.iter().filter(|rule| rule.can_be_silenced()).map(|rule| rule.id());
                format!("there is no rule `{}`{}", id.escape_debug(), did_you_mean(id, known))
            }
            Some(rule) if !rule.can_be_silenced() => format!("`{id}` cannot be silenced"),
            Some(_) if reason.trim().is_empty() => format!("`{id}` is silenced without a reason"),
            Some(rule) => {
                self.good.push(Silence { rule, reason: reason.to_owned(), reach, written, used: false });
                return;
            }
        };
        self.bad.push(complaint(Rule::BadAllow, &written, message).help(match reach {
            Reach::Statement(_) => "write `@palisade_allow(\"rule-id: why it is right as it is\")`",
            Reach::File(_) => "a `[[check.allow]]` has a `rule`, a `path` and a `reason`",
        }));
    }
}

impl Silence {
    fn meets(&self, finding: &Finding, in_policies: bool) -> bool {
        finding.code == self.rule.id()
            && match &self.reach {
                Reach::Statement(span) => {
                    finding.path == self.written.0
                        && finding.place.is_some_and(|place| span.contains(&place.offset))
                }
                Reach::File(path) => !in_policies && *finding.path == **path,
            }
    }

    fn of(&self, finding: Finding) -> Silenced {
        let silenced_by = match self.reach {
            Reach::Statement(_) => SilencedBy::Policy,
            Reach::File(_) => SilencedBy::Configuration,
        };
        Silenced { finding, reason: self.reason.clone(), silenced_by }
    }

    fn unused(&self) -> Finding {
        let id = self.rule.id();
        let (message, help) = match &self.reach {
            Reach::Statement(_) => {
                (format!("nothing here is `{id}`, so there is nothing to silence"), "take it out")
            }
            Reach::File(path) => (
                format!("nothing in `{}` is `{id}` outside of policies", path.escape_debug()),
                "take it out; what stands in a policy is silenced by `@palisade_allow` on the policy",
            ),
        };
        complaint(Rule::UnusedAllow, &self.written, message).help(help)
    }
}

fn complaint(rule: Rule, (path, place): &(Arc<str>, Option<Place>), message: String) -> Finding {
    Finding { place: *place, ..finding(rule, path, message) }
}
