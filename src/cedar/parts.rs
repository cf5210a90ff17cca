//! The parts of a revision, read and judged: from texts, and from what is known of them.

use std::sync::Arc;

use cedar_policy::{SchemaFragment, Validator};

use super::compile::{Compiled, sorted};
use super::entities::{Store, StoredFiles};
use super::index::Index;
use super::lint::Rule;
use super::memory::{KnownSchema, KnownStore, Memory};
use super::outline::Outline;
use super::policies::Policies;
use super::policy_file::{PolicyFile, Under};
use super::principal::Plans;
use super::progress::{Progress, Work};
use super::scene::LastNow;
use super::schema::Schema;
use super::snapshot::Principals;
use super::sources::Digest;
use super::verification::Verification;
use super::workers::on_several;
use super::{Snapshot, Source, Sources, depth, findings, limits, resolved};
use crate::model::{Finding, Limits};

/// What a snapshot is made from.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) policies: Policies,
    pub(super) cedar: cedar_policy::Schema,
    pub(super) schema: Arc<Schema>,
    pub(super) plans: Plans,
    pub(super) store: Arc<Store>,
    /// The digest of the texts that the store is from.
    pub(super) entities: Digest,
    /// What was found on the way, errors too.
    pub(super) found: Vec<Finding>,
}

/// The reading of one revision.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    pub(super) sources: &'a Sources,
    pub(super) limits: &'a Limits,
    /// How many may work at it.
    pub(super) threads: usize,
    /// Whether policies are kept as Cedar reads them.
    pub(super) keep_parsed: bool,
    pub(super) known: Arc<Memory>,
    pub(super) progress: &'a Progress,
}

impl Reading<'_> {
    /// Reads and judges every text. The stack must be large. `remember` is told what is known then.
    ///
    /// # Errors
    /// A text may not be parsed, or there is no schema to judge the rest by.
    pub(super) fn parts(&self, remember: impl FnOnce(Memory)) -> Result<Parts, Vec<Finding>> {
        self.within_limits()?;
        // First: what follows takes over the memory that this leaves behind.
        let too_deep = depth::beyond_the_stack();
        let schema = self.schema();
        let (policies, mut found) = self.policies(schema.as_ref().ok())?;
        let schema = match schema {
            Ok(schema) => schema,
            Err(of_schema) => {
                found.extend(of_schema);
                return Err(sorted(found));
            }
        };
        found.extend(too_deep);
        found.extend(reserved_context(&schema.schema, &self.sources.schema));
        let (plans, of_plans) = Plans::of(&self.sources.settings.issuers, &schema.schema);
        found.extend(of_plans);
        let (store, of_store) = self.store(&schema, &plans)?;
        let is_good = of_store.is_empty();
        found.extend(of_store);
        remember(Memory {
            limits: self.limits.clone(),
            keep_parsed: self.keep_parsed,
            files: policies
                .files
                .iter()
                .map(|file| (Arc::clone(&file.source.path), Arc::clone(file)))
                .collect(),
            store: is_good.then(|| store.clone()),
            schema: Some(Arc::clone(&schema)),
        });
        let (cedar, schema) = (schema.cedar.clone(), Arc::clone(&schema.schema));
        let (entities, store) = (store.digest, store.store);
        Ok(Parts { policies, cedar, schema, plans, store, entities, found })
    }

    /// Whether every text may be given to a parser.
    fn within_limits(&self) -> Result<(), Vec<Finding>> {
        let Self { sources, limits, .. } = self;
        let unknown: Vec<_> =
            sources.policies.iter().filter(|source| self.known.file(source, limits).is_none()).collect();
        let judged = on_several(self.threads, &unknown, |source| limits::policy_text(source, limits))?;
        let mut found: Vec<_> = judged.into_iter().flatten().collect();
        found.extend(sources.schema.iter().flat_map(|source| limits::schema_text(source, limits)));
        let jsons: Vec<_> = sources.links.iter().chain(&sources.entities).collect();
        let judged = on_several(self.threads, &jsons, |source| limits::json_text(source, limits.file))?;
        found.extend(judged.into_iter().flatten());
        let total: usize = sources.policies.iter().map(|source| source.text.len()).sum();
        if total > limits.policies
            && let Some(source) = sources.policies.first()
        {
            let message =
                format!("the policy files have {total} bytes in all, more than {}", limits.policies);
            found.push(Finding::error(&source.path, "too-large", message).help("raise `limits.policies`"));
        }
        if found.iter().any(Finding::is_error) { Err(sorted(found)) } else { Ok(()) }
    }

    fn schema(&self) -> Result<Arc<KnownSchema>, Vec<Finding>> {
        let (sources, namespace) = (&self.sources.schema, &self.sources.settings.namespace);
        if let Some(known) = &self.known.schema
            && (&known.sources, &known.namespace) == (sources, namespace)
        {
            return Ok(Arc::clone(known));
        }
        let (cedar, schema) = read_schema(sources, namespace)?;
        let (sources, namespace) = (sources.clone(), namespace.clone());
        Ok(Arc::new(KnownSchema { sources, namespace, cedar, schema: Arc::new(schema) }))
    }

    /// Each file by itself, and then all together.
    fn policies(&self, schema: Option<&Arc<KnownSchema>>) -> Result<(Policies, Vec<Finding>), Vec<Finding>> {
        let Self { sources, limits, threads, known, progress, .. } = self;
        let under = Under {
            validator: schema.map(|schema| Validator::new(schema.cedar.clone())),
            known: schema.map(|schema| schema.schema.names()).unwrap_or_default(),
            keep_parsed: self.keep_parsed,
        };
        let same = |known: &Arc<KnownSchema>| schema.is_some_and(|schema| Arc::ptr_eq(known, schema));
        let is_known = known.schema.as_ref().is_some_and(same) && known.keep_parsed == self.keep_parsed;
        let of_memory = |source: &Source| known.file(source, limits).filter(|_| is_known).map(Arc::clone);
        progress.begin(Work::Policies, sources.policies.len() + sources.links.len());
        let (mut policies, mut found) = (Policies::default(), Vec::new());
        let files = on_several(*threads, &sources.policies, |source| {
            let file = of_memory(source).unwrap_or_else(|| Arc::new(PolicyFile::of(source, &under)));
            progress.one_more();
            file
        });
        for file in files? {
            policies.add(file, &mut found);
        }
        let templates = policies.templates();
        let files = on_several(*threads, &sources.links, |source| {
            let file = of_memory(source).filter(|file| file.is_linked_to(&templates));
            let file = file.unwrap_or_else(|| Arc::new(PolicyFile::of_links(source, &templates, &under)));
            progress.one_more();
            file
        });
        drop(templates);
        for file in files? {
            policies.add(file, &mut found);
        }
        Ok((policies, found))
    }

    fn store(
        &self,
        schema: &Arc<KnownSchema>,
        plans: &Plans,
    ) -> Result<(KnownStore, Vec<Finding>), Vec<Finding>> {
        let (digest, supplied) = (self.sources.entities_digest(), plans.supplied());
        let is_known = |known: &&KnownStore| {
            known.digest == digest && known.supplied == supplied && Arc::ptr_eq(&known.schema, schema)
        };
        if let Some(known) =
            self.known.store.as_ref().filter(is_known).filter(|_| self.known.limits == *self.limits)
        {
            return Ok((known.clone(), Vec::new()));
        }
        let files = StoredFiles { schema: &schema.schema, supplied: &supplied, limits: self.limits };
        let (store, found) = files.read(&self.sources.entities, self.threads, self.progress)?;
        Ok((KnownStore { digest, supplied, schema: Arc::clone(schema), store: Arc::new(store) }, found))
    }
}

impl Parts {
    /// The snapshot, if nothing stands in its way.
    ///
    /// # Errors
    /// All findings; at least one is an error.
    pub(super) fn compiled(
        self,
        sources: &Sources,
        limits: &Limits,
        progress: &Progress,
    ) -> Result<Compiled, Vec<Finding>> {
        let Self { policies, cedar, schema, plans, store, entities, found } = self;
        if found.iter().any(Finding::is_error) {
            return Err(sorted(found));
        }
        let internal = |error: &dyn std::fmt::Display| {
            let message = format!("the policies could not be indexed: {error}");
            vec![Finding::error(&Arc::from("palisade"), "internal", message)]
        };
        progress.begin(Work::Index, policies.infos.len());
        let index = Index::of(&policies, &schema).map_err(|error| internal(&error))?;
        let verification = if sources.settings.verify_index {
            Some(Verification::of(policies.whole_set().map_err(|error| internal(&error))?))
        } else {
            None
        };
        let snapshot = Snapshot {
            revision: sources.revision_with(&entities),
            cedar,
            schema,
            plans,
            store,
            index,
            outline: Outline::of(&policies),
            policies: policies.infos,
            forbid_errors: sources.settings.forbid_errors,
            limits: limits.clone(),
            principals: Principals::default(),
            last_now: LastNow::default(),
            verification,
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
    let message = schema.actions().find_map(|action| action.reserved_context())?;
    let path = sources.first().map(|source| &source.path)?;
    Some(
        Finding::warning(path, Rule::ReservedContext.id(), message)
            .help("declare it as `now: datetime`, or rename it"),
    )
}
