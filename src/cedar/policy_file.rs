//! One file of policies, compiled by itself: parsed, with stable ids and places, and validated.

use std::collections::HashMap;
use std::str::FromStr as _;
use std::sync::Arc;

use cedar_policy::{Effect, EntityUid, Policy, PolicyId, PolicySet, Template, Validator};

use super::Source;
use super::clauses::Clauses;
use super::findings;
use super::ids::{BadId, policy_id};
use super::level::{self, Level, Validated};
use super::policies::PolicyInfo;
use super::scope_parts::ScopeParts;
use super::statements::{self, ClauseKind, PolicyText};
use super::validation;
use crate::model::{Finding, Place, Places};

/// What a file of policies or of links came to.
#[derive(Debug)]
pub(super) struct PolicyFile {
    pub(super) source: Source,
    /// Static policies or links, in the order of the text.
    pub(super) policies: Vec<Arc<PolicyInfo>>,
    /// The same as Cedar reads them, where they are kept.
    pub(super) parsed: Vec<Policy>,
    pub(super) templates: Vec<(Arc<PolicyInfo>, Template)>,
    /// The templates of other files that links are to, as they were.
    pub(super) linked: Vec<Arc<PolicyInfo>>,
    /// Everything but what another file could have to do with.
    pub(super) found: Vec<Finding>,
}

/// What policies are compiled under.
#[derive(Debug)]
pub(super) struct Under {
    /// None where the schema is none.
    pub(super) validator: Option<Validator>,
    /// The full names of its types and actions.
    pub(super) known: Vec<String>,
    /// Whether policies are kept as Cedar reads them.
    pub(super) keep_parsed: bool,
}

impl PolicyFile {
    /// Nothing yet.
    pub(super) fn new(source: &Source) -> Self {
        Self {
            source: source.clone(),
            policies: Vec::new(),
            parsed: Vec::new(),
            templates: Vec::new(),
            linked: Vec::new(),
            found: Vec::new(),
        }
    }

    /// Compiles a file of policies. The stack must be large.
    pub(super) fn of(source: &Source, under: &Under) -> Self {
        let mut file = Self::new(source);
        match PolicySet::from_str(&source.text) {
            Ok(set) => file.read(source, &set, under),
            Err(errors) => file.found.extend(findings::from_diagnostic(source, "syntax", &errors)),
        }
        file
    }

    fn read(&mut self, source: &Source, set: &PolicySet, under: &Under) {
        let mut places = Places::of(&source.text);
        let texts: Vec<_> = statements::policies(&source.text)
            .into_iter()
            .map(|text| (places.at(text.span.start, text.span.len()), text))
            .collect();
        let is_usual = |id: &PolicyId| {
            let text = number(id).and_then(|number| texts.get(number));
            text.is_some_and(|(_, text)| level::is_usual(&source.text, text))
        };
        let validated = under.validator.as_ref().map(|validator| Validated::of(set, validator, is_usual));
        if let Some(validated) = &validated {
            let place = |id: &PolicyId| texts.get(number(id)?).map(|(place, _)| *place);
            self.found.extend(validation::findings(validated, source, place, &under.known));
        }
        let mut shared = Shared { text: &source.text, clauses: HashMap::new() };
        let statements = in_order(set);
        if statements.len() != texts.len() {
            let message = "the file has not as many policies as its text was taken for";
            self.found.push(Finding::error(&source.path, "internal", message));
        }
        for (number, written) in statements {
            let Some((place, text)) = number.and_then(|number| texts.get(number)) else {
                let message = "a policy could not be found again in its own text";
                self.found.push(Finding::error(&source.path, "internal", message));
                continue;
            };
            let ordinal = number.unwrap_or_default() + 1;
            let level = match &validated {
                Some(validated) => validated.level(written.id()),
                None => Level::Unbounded,
            };
            match info(source, ordinal, (*place, text), &written, &mut shared, level) {
                Ok(info) => self.add(Arc::new(info), &written, under),
                Err(finding) => self.found.push(finding.at(*place)),
            }
        }
    }

    fn add(&mut self, info: Arc<PolicyInfo>, written: &Written<'_>, under: &Under) {
        let id = PolicyId::new(&*info.id);
        match written {
            Written::Policy(policy) => {
                self.parsed.extend(under.keep_parsed.then(|| policy.new_id(id)));
                self.policies.push(info);
            }
            Written::Template(template) => self.templates.push((info, template.new_id(id))),
        }
    }
}

/// A statement as Cedar reads it.
enum Written<'a> {
    Policy(&'a Policy),
    Template(&'a Template),
}

impl Written<'_> {
    fn id(&self) -> &PolicyId {
        match self {
            Self::Policy(policy) => policy.id(),
            Self::Template(template) => template.id(),
        }
    }

    /// Whether Cedar's reading of a statement has the effect and the conditions that ours has. Decisions
    /// stand on both.
    fn is_as_read(&self, text: &PolicyText, source: &Source, has_clauses: bool) -> bool {
        let (effect, has_conditions, is_template) = match self {
            Self::Policy(policy) => (policy.effect(), policy.has_non_scope_constraint(), false),
            Self::Template(template) => (template.effect(), template.has_non_scope_constraint(), true),
        };
        let word = text.effect.clone().and_then(|span| source.text.get(span));
        let said = match effect {
            Effect::Permit => "permit",
            Effect::Forbid => "forbid",
        };
        word == Some(said) && has_conditions == has_clauses && text.is_template == is_template
    }
}

/// Cedar numbers static policies and templates together, in the order of the text.
fn in_order(set: &PolicySet) -> Vec<(Option<usize>, Written<'_>)> {
    let statements = set.policies().map(Written::Policy).chain(set.templates().map(Written::Template));
    let mut statements: Vec<_> = statements.map(|written| (number(written.id()), written)).collect();
    statements.sort_unstable_by_key(|(number, _)| *number);
    statements
}

/// What is known of one statement. A finding is of its place.
fn info(
    source: &Source,
    ordinal: usize,
    (place, text): (Place, &PolicyText),
    written: &Written<'_>,
    shared: &mut Shared<'_>,
    level: Level,
) -> Result<PolicyInfo, Finding> {
    let id = policy_id(&source.name, ordinal, text.annotation("id").map(|id| id.value.as_str()))
        .map_err(|bad| Finding::error(&source.path, BadId::CODE, bad.to_string()).help(BadId::HELP))?;
    let clauses = shared.clauses(text).map_err(|error| {
        let message = format!("its conditions could not be read a second time: {error}");
        Finding::error(&source.path, "internal", message)
    })?;
    if !written.is_as_read(text, source, clauses.is_some()) {
        let message = "the policy is not what its text was taken for";
        return Err(Finding::error(&source.path, "internal", message));
    }
    let level = if clauses.is_some() { level } else { Level::Bounded(0) };
    let (effect, scope, literals) = match written {
        Written::Policy(policy) => {
            (policy.effect(), Some(Box::new(ScopeParts::of(policy))), literals(policy, level))
        }
        Written::Template(template) => (template.effect(), None, Box::default()),
    };
    let annotations =
        text.annotations.iter().map(|one| (one.name.as_str().into(), one.value.as_str().into()));
    Ok(PolicyInfo {
        id: id.into(),
        effect,
        path: Arc::clone(&source.path),
        place,
        annotations: annotations.collect(),
        template: None,
        scope,
        clauses,
        level,
        literals,
    })
}

/// The entities that a policy names, where its conditions could look into those.
pub(super) fn literals(policy: &Policy, level: Level) -> Box<[EntityUid]> {
    if level == Level::Unbounded { policy.entity_literals().into() } else { Box::default() }
}

/// Conditions that are written alike are read once: policies that are generated differ in their scopes.
struct Shared<'text> {
    text: &'text str,
    clauses: HashMap<(ClauseKind, &'text str), Arc<Clauses>>,
}

impl Shared<'_> {
    fn clauses(&mut self, policy: &PolicyText) -> Result<Option<Arc<Clauses>>, String> {
        let (Some(first), Some(last)) = (policy.clauses.first(), policy.clauses.last()) else {
            return Ok(None);
        };
        let written = (first.kind, self.text.get(first.body.start..last.body.end).unwrap_or_default());
        if let Some(known) = self.clauses.get(&written) {
            return Ok(Some(Arc::clone(known)));
        }
        let clauses = Clauses::of(self.text, policy)?.map(Arc::new);
        if let Some(clauses) = &clauses {
            self.clauses.insert(written, Arc::clone(clauses));
        }
        Ok(clauses)
    }
}

/// The `n` of Cedar's `policy<n>`.
fn number(id: &PolicyId) -> Option<usize> {
    AsRef::<str>::as_ref(id).strip_prefix("policy")?.parse().ok()
}
