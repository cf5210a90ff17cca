//! Sources to a snapshot, or every finding that stands in the way.

use std::collections::HashSet;
use std::sync::Arc;

use cedar_policy::{SchemaFragment, ValidationResult, ValidationWarning, Validator};

use super::entities::Store;
use super::index::Index;
use super::level::Validated;
use super::limits::{self, COMPILE_STACK};
use super::lint::Rule;
use super::outline::Outline;
use super::policies::Policies;
use super::principal::Plans;
use super::scene::LastNow;
use super::schema::Schema;
use super::snapshot::Principals;
use super::verification::Verification;
use super::{Snapshot, Source, Sources, depth, findings, resolved};
use crate::model::{Finding, Limits, Severity};

/// A revision that may serve, with what somebody should look at all the same.
#[derive(Debug)]
pub struct Compiled {
    /// The snapshot.
    pub snapshot: Arc<Snapshot>,
    /// What stops nothing, sorted by place.
    pub warnings: Vec<Finding>,
}

/// Compiles on a thread with a stack large enough for every legal text. Blocks until it is done.
///
/// # Errors
/// All findings, errors and warnings, sorted by place; at least one is an error.
pub fn compile(sources: &Sources, limits: &Limits) -> Result<Compiled, Vec<Finding>> {
    within_limits(sources, limits)?;
    on_a_big_stack(|| Parts::read(sources, limits)?.compiled(sources, limits))
}

/// What a revision is made of, read and judged: what a snapshot is made from.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) policies: Policies,
    pub(super) cedar: cedar_policy::Schema,
    pub(super) schema: Schema,
    pub(super) plans: Plans,
    pub(super) store: Store,
    /// What was found on the way, errors too.
    pub(super) found: Vec<Finding>,
}

/// Runs something on a thread whose stack carries every text within the limits.
pub(super) fn on_a_big_stack<T: Send>(
    work: impl FnOnce() -> Result<T, Vec<Finding>> + Send,
) -> Result<T, Vec<Finding>> {
    let failed = |what: String| vec![Finding::error(&Arc::from("palisade"), "internal", what)];
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().name("compile".to_owned()).stack_size(COMPILE_STACK);
        let thread = builder
            .spawn_scoped(scope, work)
            .map_err(|error| failed(format!("no thread to compile on: {error}")))?;
        thread.join().unwrap_or_else(|_| Err(failed("the compiler stopped in the middle".to_owned())))
    })
}

/// Whether every text may be given to a parser.
///
/// # Errors
/// Where one may not.
pub(super) fn within_limits(sources: &Sources, limits: &Limits) -> Result<(), Vec<Finding>> {
    let mut found = Vec::new();
    found.extend(sources.policies.iter().flat_map(|source| limits::policy_text(source, limits)));
    found.extend(sources.schema.iter().flat_map(|source| limits::schema_text(source, limits)));
    let jsons = sources.links.iter().chain(&sources.entities);
    found.extend(jsons.flat_map(|source| limits::json_text(source, limits.file)));
    let total: usize = sources.policies.iter().map(|source| source.text.len()).sum();
    if total > limits.policies
        && let Some(source) = sources.policies.first()
    {
        let message = format!("the policy files have {total} bytes in all, more than {}", limits.policies);
        found.push(Finding::error(&source.path, "too-large", message).help("raise `limits.policies`"));
    }
    if found.iter().any(Finding::is_error) { Err(sorted(found)) } else { Ok(()) }
}

impl Parts {
    /// Reads and judges every text. The stack must be large.
    ///
    /// # Errors
    /// There is no schema to judge the rest by.
    pub(super) fn read(sources: &Sources, limits: &Limits) -> Result<Self, Vec<Finding>> {
        // First: what follows takes over the memory that this leaves behind.
        let too_deep = depth::beyond_the_stack();
        let (mut policies, mut found) = Policies::read(&sources.policies, &sources.links);
        let schema = read_schema(&sources.schema, &sources.settings.namespace).map_err(|of_schema| {
            found.extend(of_schema);
            sorted(std::mem::take(&mut found))
        });
        let (cedar, schema) = schema?;
        found.extend(too_deep);
        found.extend(reserved_context(&schema, &sources.schema));
        found.extend(validate(&mut policies, cedar.clone(), &schema, sources));
        let (plans, of_plans) = Plans::of(&sources.settings.issuers, &schema);
        found.extend(of_plans);
        let (store, of_store) = Store::read(&sources.entities, &schema, &plans.supplied(), limits);
        found.extend(of_store);
        Ok(Self { policies, cedar, schema, plans, store, found })
    }

    /// The snapshot, if nothing stands in its way.
    ///
    /// # Errors
    /// All findings; at least one is an error.
    pub(super) fn compiled(self, sources: &Sources, limits: &Limits) -> Result<Compiled, Vec<Finding>> {
        let Self { policies, cedar, schema, plans, store, found } = self;
        if found.iter().any(Finding::is_error) {
            return Err(sorted(found));
        }
        let index = Index::of(&policies, &schema).map_err(|error| {
            vec![Finding::error(
                &Arc::from("palisade"),
                "internal",
                format!("the policies could not be indexed: {error}"),
            )]
        })?;
        let snapshot = Snapshot {
            revision: sources.revision(),
            cedar,
            schema,
            plans,
            store,
            index,
            outline: Outline::of(&policies, &sources.policies),
            policies: policies.infos,
            forbid_errors: sources.settings.forbid_errors,
            limits: limits.clone(),
            principals: Principals::default(),
            last_now: LastNow::default(),
            verification: sources.settings.verify_index.then(|| Verification::of(policies.set)),
        };
        Ok(Compiled { snapshot: Arc::new(snapshot), warnings: sorted(found) })
    }
}

/// One schema from any number of files; several may speak of one namespace.
fn read_schema(sources: &[Source], namespace: &str) -> Result<(cedar_policy::Schema, Schema), Vec<Finding>> {
    let Some(first) = sources.first() else {
        let message = "there is no schema: a decision without one could not be checked";
        return Err(vec![
            Finding::error(&Arc::from("schema"), "no-schema", message).help("write a `.cedarschema` file"),
        ]);
    };
    let mut fragments = Vec::new();
    let mut found = Vec::new();
    for source in sources {
        match SchemaFragment::from_cedarschema_str(&source.text) {
            Ok((fragment, _)) => fragments.push(fragment),
            Err(error) => found.extend(findings::from_diagnostic(source, "schema", &error)),
        }
    }
    if !found.is_empty() {
        return Err(found);
    }
    let cedar = cedar_policy::Schema::from_schema_fragments(fragments.clone()).map_err(|error| {
        let source = sources.iter().find(|source| findings::is_about(source, &error)).unwrap_or(first);
        findings::from_diagnostic(source, "schema", &error)
    })?;
    let schema = resolved::resolve(fragments).and_then(|resolved| Schema::of(&cedar, &resolved, namespace));
    schema
        .map(|schema| (cedar, schema))
        .map_err(|message| vec![Finding::error(&first.path, "schema", message)])
}

/// Members of the context that are the server's, declared so that nobody can ever give them.
fn reserved_context(schema: &Schema, sources: &[Source]) -> Option<Finding> {
    let message = schema.actions().find_map(|action| super::case::reserved_context(action))?;
    let path = sources.first().map(|source| &source.path)?;
    Some(
        Finding::warning(path, Rule::ReservedContext.id(), message)
            .help("declare it as `now: datetime`, or rename it"),
    )
}

/// Strict validation, each finding in the file of its policy. Policies learn how deep they reach.
fn validate(
    policies: &mut Policies,
    cedar: cedar_policy::Schema,
    schema: &Schema,
    sources: &Sources,
) -> Vec<Finding> {
    let validated = Validated::of(&policies.set, &Validator::new(cedar));
    policies.set_levels(&validated);
    let known: Vec<String> =
        schema.type_names().chain(schema.actions().map(|action| action.name.to_string())).collect();
    let source_of = |id: &cedar_policy::PolicyId| {
        let info = policies.info(AsRef::<str>::as_ref(id))?;
        let mut files = sources.policies.iter().chain(&sources.links);
        files.find(|source| source.path == info.path).map(|source| (source, info.place))
    };
    let mut found = Vec::new();
    let mut wrong = HashSet::new();
    for error in &validated.errors {
        wrong.insert(error.policy_id().clone());
        if let Some((source, place)) = source_of(error.policy_id()) {
            found.extend(findings::of_policy(source, place, "validation", error, &known));
        } else {
            found.push(Finding::error(
                &Arc::from("policies"),
                "validation",
                findings::plain(&error.to_string()),
            ));
        }
    }
    let of_rule = |code, found: Vec<Finding>| {
        found.into_iter().map(move |finding| Finding { severity: Severity::Warning, code, ..finding })
    };
    for beyond in validated.unbounded.iter().filter(|beyond| !wrong.contains(beyond.policy_id())) {
        if let Some((source, place)) = source_of(beyond.policy_id()) {
            let code = Rule::UnboundedReach.id();
            found.extend(of_rule(code, findings::of_policy(source, place, code, beyond, &known)));
        }
    }
    // Cedar says twice of a policy with an impossible scope that it is impossible, the second time
    // without a reason; and that a policy with an error in it never applies goes without saying.
    let mut idle = wrong;
    for warning in sorted_warnings(&validated.result) {
        let rule = Rule::of_warning(warning);
        if rule == Some(Rule::NeverApplies) && !idle.insert(warning.policy_id().clone()) {
            continue;
        }
        if let Some((source, place)) = source_of(warning.policy_id()) {
            let code = rule.map_or("validation", Rule::id);
            found.extend(of_rule(code, findings::of_policy(source, place, code, warning, &known)));
        }
    }
    found
}

/// With those first that know more than that a policy is impossible.
fn sorted_warnings(result: &ValidationResult) -> Vec<&ValidationWarning> {
    let mut warnings: Vec<_> = result.validation_warnings().collect();
    warnings.sort_by_key(|warning| matches!(warning, ValidationWarning::ImpossiblePolicy(_)));
    warnings
}

pub(super) fn sorted(mut found: Vec<Finding>) -> Vec<Finding> {
    found.sort_by(|left, right| {
        let place = |finding: &Finding| finding.place.map(|place| place.offset);
        (&left.path, place(left)).cmp(&(&right.path, place(right)))
    });
    found.dedup();
    found
}
