//! The index against Cedar's own authorizer over everything: random worlds, and in each random questions,
//! must come to the same decision, the same determining policies and the same errors.
//!
//! `PALISADE_TEST_CASES` says how many questions; 2,000 where it does not.

use std::collections::BTreeSet;
use std::sync::Arc;

use cedar_policy::{
    AuthorizationError, Authorizer, Context, Decision as CedarDecision, Entities, EntityUid, PolicyId,
    PolicySet, Request, SlotId,
};
use proptest::prelude::*;
use proptest::test_runner::{TestError, TestRunner};
use serde_json::{Value, json};

use palisade::cedar::{ForbidErrors, Settings, Snapshot, Source, Sources, compile};
use palisade::identity::identity_of;
use palisade::model::{Body, Decision, Evaluation, Issuer, Kind, Limits, Timestamp};

mod world;

use world::{Question, World, world};

/// Questions asked in each world.
const QUESTIONS: usize = 25;

/// What an evaluation came to: the decision, the determining policies, and what failed in which words.
type Outcome = (bool, BTreeSet<String>, BTreeSet<(String, String)>);

/// How many questions there were of each kind that must not be rare.
#[derive(Debug, Default)]
struct Kinds {
    all: usize,
    links: usize,
    errors: usize,
    is_in: usize,
    shared_ancestors: usize,
}

#[test]
fn the_index_decides_as_cedar_does_over_everything() {
    let cases = std::env::var("PALISADE_TEST_CASES").map_or(2_000, |cases| cases.parse().unwrap());
    let worlds = u32::try_from(cases / QUESTIONS).unwrap();
    let config = ProptestConfig { cases: worlds, failure_persistence: None, ..ProptestConfig::default() };
    let kinds = std::cell::RefCell::new(Kinds::default());
    let run = TestRunner::new(config).run(&world(QUESTIONS), |world| {
        let ours = snapshot(&world);
        let cedar = Cedar::of(&world);
        for question in &world.questions {
            let (evaluation, in_scope) = examine(&ours, question);
            let theirs = cedar.decide(&world, question);
            prop_assert_eq!(outcome(&evaluation), theirs, "{:?}\n{}", question, world.policies());
            kinds.borrow_mut().note(&world, question, &evaluation, &in_scope);
        }
        Ok(())
    });
    // A world is too long to be read: the question and the policies say enough.
    if let Err(TestError::Fail(reason, _) | TestError::Abort(reason)) = run {
        panic!("{reason}");
    }
    let kinds = kinds.into_inner();
    println!("{kinds:?}");
    for kind in [kinds.links, kinds.errors, kinds.is_in, kinds.shared_ancestors] {
        assert!(kind * 5 >= kinds.all, "{kinds:?}");
    }
}

impl Kinds {
    fn note(&mut self, world: &World, question: &Question, evaluation: &Evaluation, in_scope: &[Arc<str>]) {
        self.all += 1;
        self.links += usize::from(in_scope.iter().any(|id| id.starts_with("link")));
        self.errors += usize::from(!evaluation.errors.is_empty());
        self.is_in += usize::from(in_scope.iter().any(|id| world.is_in(id)));
        self.shared_ancestors += usize::from(world.shares_an_ancestor(question));
    }
}

fn snapshot(world: &World) -> Arc<Snapshot> {
    let file = |name: &str, text: String| Source { path: name.into(), name: name.into(), text: text.into() };
    let sources = Sources {
        policies: vec![file("p.cedar", world.policies())],
        links: vec![file("links.json", world.links().to_string())],
        schema: vec![file("s.cedarschema", world.schema())],
        entities: vec![file("e.json", world.stored().into_iter().collect::<Value>().to_string())],
        settings: Settings {
            issuers: vec![Issuer { machine_type: None, ..Issuer::unconfigured() }],
            forbid_errors: ForbidErrors::Skip,
            ..Settings::default()
        },
    };
    let compiled = compile(&sources, &Limits::default());
    compiled.unwrap_or_else(|findings| panic!("{findings:#?}\n{}", world.policies())).snapshot
}

fn examine(snapshot: &Snapshot, question: &Question) -> (Evaluation, Vec<Arc<str>>) {
    let groups = question.groups.iter().map(|group| format!("g{group}")).collect();
    let issuer = Issuer::unconfigured();
    let identity = identity_of(Kind::User, &question.principal(), groups, &issuer).unwrap();
    let body = Body::parse(question.body().to_string().as_bytes(), &Limits::default()).unwrap();
    let examined = snapshot.examine(&identity, &body.question, Timestamp::from_millis(0)).unwrap();
    (examined.evaluation, examined.in_scope)
}

fn outcome(evaluation: &Evaluation) -> Outcome {
    let errors = evaluation.errors.iter().map(|error| (error.policy.to_string(), error.text.clone()));
    let policies = evaluation.policies.iter().map(ToString::to_string).collect();
    (evaluation.decision == Decision::Allow, policies, errors.collect())
}

/// The same world in the engine's hands alone.
struct Cedar {
    policies: PolicySet,
    actions: Entities,
}

impl Cedar {
    fn of(world: &World) -> Self {
        let parsed: PolicySet = world.policies().parse().unwrap();
        let id = |id: Option<&str>| PolicyId::new(id.unwrap());
        let mut policies = PolicySet::new();
        for policy in parsed.policies() {
            policies.add(policy.new_id(id(policy.annotation("id")))).unwrap();
        }
        for template in parsed.templates() {
            policies.add_template(template.new_id(id(template.annotation("id")))).unwrap();
        }
        for link in world.links().as_array().unwrap() {
            let text = |name: &str| link[name].as_str().unwrap();
            let args = link["args"].as_object().unwrap().iter().map(|(slot, uid)| {
                let slot = if slot == "?principal" { SlotId::principal() } else { SlotId::resource() };
                (slot, uid.as_str().unwrap().parse().unwrap())
            });
            policies
                .link(PolicyId::new(text("template_id")), PolicyId::new(text("link_id")), args.collect())
                .unwrap();
        }
        let (schema, _) = cedar_policy::Schema::from_cedarschema_str(&world.schema()).unwrap();
        Self { policies, actions: schema.action_entities().unwrap() }
    }

    fn decide(&self, world: &World, question: &Question) -> Outcome {
        let uid = |type_name: &str, id: &str| format!("{type_name}::\"{id}\"").parse::<EntityUid>().unwrap();
        let mut entities = world.stored();
        if let Some(principal) =
            entities.iter_mut().find(|entity| entity["uid"]["id"] == question.principal())
        {
            let parents = principal["parents"].as_array_mut().unwrap();
            parents.extend(
                question.groups.iter().map(|group| json!({"type": "Group", "id": format!("g{group}")})),
            );
        }
        entities.extend(question.described());
        let entities = Entities::from_json_value(entities.into_iter().collect(), None).unwrap();
        let entities = entities.add_entities(self.actions.iter().cloned(), None).unwrap();
        let (type_name, id) = question.resource();
        let request = Request::new(
            uid("User", &question.principal()),
            uid("Action", &question.action()),
            uid(type_name, &id),
            Context::from_json_value(question.context(), None).unwrap(),
            None,
        );
        let response = Authorizer::new().is_authorized(&request.unwrap(), &self.policies, &entities);
        let failed = |error: &AuthorizationError| {
            let AuthorizationError::PolicyEvaluationError(error) = error;
            (error.policy_id().to_string(), error.inner().to_string())
        };
        (
            response.decision() == CedarDecision::Allow,
            response.diagnostics().reason().map(ToString::to_string).collect(),
            response.diagnostics().errors().map(failed).collect(),
        )
    }
}
