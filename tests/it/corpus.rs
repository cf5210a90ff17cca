//! Cedar's own test corpus, through our snapshots with Cedar's own semantics: the same decision,
//! reasons and errors for every request.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use palisade::cedar::{ForbidErrors, Given, Settings, Snapshot, Source, Sources, compile};
use palisade::model::{Decision, Limits};
use serde_json::Value;

/// Where the corpus is: a folder of `*.jsonl`, one case a line.
const CORPUS: &str = "PALISADE_TEST_CEDAR_CORPUS";

#[test]
fn cedars_corpus_is_decided_as_cedar_decides_it() {
    let Some(folder) = std::env::var_os(CORPUS).map(PathBuf::from) else {
        println!("skipped: {CORPUS} does not name the folder of the corpus");
        return;
    };
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (mut requests, mut refused) = (0, Vec::new());
    for file in files.iter().filter(|file| file.extension().is_some_and(|ending| ending == "jsonl")) {
        for line in std::fs::read_to_string(file).unwrap().lines() {
            let case: Value = serde_json::from_str(line).unwrap();
            match snapshots(&case) {
                Ok((by_index, both_ways)) => {
                    requests += replay(&case, &by_index);
                    replay(&case, &both_ways);
                    assert_eq!(both_ways.take_differences(), 0, "{}", case["name"]);
                }
                Err(findings) => {
                    let findings: Vec<_> = findings.iter().map(ToString::to_string).collect();
                    assert_eq!(case["shouldValidate"], false, "{}: {findings:#?}", case["name"]);
                    refused.push(case["name"].clone());
                }
            }
        }
    }
    println!("{requests} requests replayed, {} sets refused by validation", refused.len());
    assert!(requests > 3_000, "{requests} requests only");
}

/// The snapshot of a case, and one that compares the index with Cedar's authorizer over everything.
fn snapshots(case: &Value) -> Result<(Arc<Snapshot>, Arc<Snapshot>), Vec<palisade::model::Finding>> {
    let source = |name: &str, text: &str| Source { path: name.into(), name: name.into(), text: text.into() };
    let links = case.get("template_links").filter(|links| !links.is_null());
    let (policies, links) = legal_ids(case["policies"].as_str().unwrap(), links.map(Value::to_string));
    let mut sources = Sources {
        policies: vec![source("p.cedar", &policies)],
        links: links.map(|links| source("links.json", &links)).into_iter().collect(),
        schema: vec![source("s.cedarschema", case["schema"].as_str().unwrap())],
        entities: vec![],
        settings: Settings { forbid_errors: ForbidErrors::Skip, ..Settings::default() },
    };
    let limits = Limits { policy: 1 << 20, ..Limits::default() };
    let by_index = compile(&sources, &limits)?.snapshot;
    sources.settings.verify_index = true;
    Ok((by_index, compile(&sources, &limits)?.snapshot))
}

/// Some of the examples have blanks in their `@id`s, which ours may not have.
fn legal_ids(policies: &str, links: Option<String>) -> (String, Option<String>) {
    let mut renamed = (policies.to_owned(), links);
    for id in policies.split("@id(\"").skip(1).filter_map(|rest| rest.split('"').next()) {
        let legal = id.replace(' ', "-");
        renamed.0 = renamed.0.replace(&format!("\"{id}\""), &format!("\"{legal}\""));
        renamed.1 = renamed.1.map(|links| links.replace(&format!("\"{id}\""), &format!("\"{legal}\"")));
    }
    renamed
}

fn replay(case: &Value, snapshot: &Snapshot) -> usize {
    let entities = case["entities"].to_string();
    let requests = case["requests"].as_array().unwrap();
    for request in requests {
        let (principal, action, resource) =
            (uid(&request["principal"]), uid(&request["action"]), uid(&request["resource"]));
        let given = Given {
            principal: &principal,
            action: &action,
            resource: &resource,
            context: &request["context"].to_string(),
            entities: &entities,
        };
        let at = format!("{} {}", case["name"], request["description"]);
        let evaluation = snapshot.evaluate_given(&given).unwrap_or_else(|error| panic!("{at}: {error}"));
        let expected = request["decision"].as_str().unwrap().to_lowercase();
        assert_eq!(evaluation.decision.as_str(), expected, "{at}");
        let errors: BTreeSet<_> = evaluation.errors.iter().map(|error| positional(&error.policy)).collect();
        if let Some(expected) = request["errors"].as_array() {
            assert_eq!(errors, ids(expected), "{at}");
        }
        if let Some(expected) = request["reason"].as_array() {
            let reason: BTreeSet<_> = evaluation.policies.iter().map(|id| positional(id)).collect();
            assert_eq!(reason, ids(expected), "{at}");
            let applied = evaluation.decision == Decision::Allow || !expected.is_empty();
            assert_eq!(applied, !evaluation.policies.is_empty(), "{at}");
        }
    }
    requests.len()
}

fn uid(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        _ => format!("{}::{}", value["type"].as_str().unwrap(), escaped(value["id"].as_str().unwrap())),
    }
}

/// As Cedar writes a string literal.
fn escaped(id: &str) -> String {
    let escaped: String = id.chars().flat_map(char::escape_debug).collect();
    format!("\"{escaped}\"")
}

fn ids(expected: &[Value]) -> BTreeSet<String> {
    expected.iter().map(|id| id.as_str().unwrap().to_owned()).collect()
}

/// Cedar counts from 0 and calls them `policy0`; we count from 1 and call them `p#1`.
fn positional(id: &str) -> String {
    match id.strip_prefix("p#") {
        Some(ordinal) => format!("policy{}", ordinal.parse::<usize>().unwrap() - 1),
        None => id.to_owned(),
    }
}
