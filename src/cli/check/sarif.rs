//! Findings as SARIF 2.1.0, for code scanning. Source: OASIS, "Static Analysis Results Interchange
//! Format (SARIF) Version 2.1.0", and GitHub's list of what its code scanning reads of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::super::render::Texts;
use super::super::repository::Repository;
use crate::cedar::lint::{Checked, Rule, Silenced, SilencedBy};
use crate::model::{Finding, Fix, Place, Severity};

/// The page that has a section for each rule.
const PAGE: &str = include_str!("../../../docs/lint.md");

/// Where the sources of this program are at home; empty where its package does not say.
const HOME: &str = env!("CARGO_PKG_REPOSITORY");

/// What a path keeps as it is in a URI: RFC 3986, unreserved characters and `/`.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// So many bytes of a text tell one place from another: a word alone would not, `permit` stands in
/// every file.
const RECOGNISED: usize = 160;

/// The whole log of one run.
pub(super) fn log(checked: &Checked, texts: &Texts, repository: &Repository) -> Value {
    let mut results =
        Results { texts, repository, rules: Rule::ALL.map(Described::from).into(), seen: BTreeMap::new() };
    let standing = checked.findings.iter().map(|finding| (finding, None));
    let silenced = checked.silenced.iter().map(|silenced| (&silenced.finding, Some(silenced)));
    let listed: Vec<_> =
        standing.chain(silenced).map(|(finding, silenced)| results.of(finding, silenced)).collect();
    let driver = Driver {
        name: "Palisade",
        semantic_version: env!("CARGO_PKG_VERSION"),
        information_uri: (!HOME.is_empty()).then_some(HOME),
        rules: results.rules,
    };
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": driver},
            "columnKind": "unicodeCodePoints",
            "originalUriBaseIds": {"%SRCROOT%": {"description": {"text": "The root of the repository."}}},
            "invocations": [{"executionSuccessful": true}],
            "results": listed,
        }],
    })
}

/// `toolComponent`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver {
    name: &'static str,
    semantic_version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    information_uri: Option<&'static str>,
    rules: Vec<Described>,
}

/// `reportingDescriptor`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Described {
    id: &'static str,
    short_description: Value,
    help: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    help_uri: Option<String>,
    default_configuration: Value,
}

/// `result`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    rule_id: &'static str,
    rule_index: usize,
    level: &'static str,
    message: Value,
    locations: Value,
    partial_fingerprints: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    fixes: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suppressions: Option<Value>,
}

/// `physicalLocation`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    artifact_location: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<Value>,
}

impl From<Rule> for Described {
    fn from(rule: Rule) -> Self {
        let markdown = section(rule.id()).trim();
        let text = markdown.split("```").next().unwrap_or_default().trim();
        let page = format!("{HOME}/blob/v{}/docs/lint.md#{}", env!("CARGO_PKG_VERSION"), rule.id());
        Self {
            id: rule.id(),
            short_description: json!({"text": sentence(rule.summary())}),
            help: json!({"text": text, "markdown": markdown}),
            help_uri: (!HOME.is_empty()).then_some(page),
            default_configuration: json!({"level": level(rule.severity())}),
        }
    }
}

impl Described {
    /// What is no rule and stops the revision: a syntax error, an unknown attribute, …
    fn of_error(code: &'static str) -> Self {
        Self {
            id: code,
            short_description: json!({"text": format!("An error that stops the revision: {code}.")}),
            help: json!({"text": "The message of each finding says what to do."}),
            help_uri: None,
            default_configuration: json!({"level": level(Severity::Error)}),
        }
    }
}

/// What the page says of a rule, without the heading.
fn section(id: &str) -> &'static str {
    let heading = format!("\n## `{id}`\n");
    let (_, rest) = PAGE.split_once(&heading).unwrap_or_default();
    rest.split("\n## ").next().unwrap_or_default()
}

/// As SARIF wants descriptions: with a capital and a full stop.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(characters).chain(['.']).collect()
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// Makes results, one after the other.
#[derive(Debug)]
struct Results<'a> {
    texts: &'a Texts,
    repository: &'a Repository,
    /// All rules, and the codes of errors that are no rule as they come up.
    rules: Vec<Described>,
    /// How often a fingerprint has come up.
    seen: BTreeMap<String, usize>,
}

impl Results<'_> {
    fn of(&mut self, finding: &Finding, silenced: Option<&Silenced>) -> Listed {
        let message = match &finding.help {
            Some(help) => format!("{}\n{help}", finding.message),
            None => finding.message.clone(),
        };
        let location = Location {
            artifact_location: self.artifact(&finding.path),
            region: finding.place.map(|place| self.region(&finding.path, place)),
        };
        Listed {
            rule_id: finding.code,
            rule_index: self.rule_index(finding.code),
            level: level(finding.severity),
            message: json!({"text": message}),
            locations: json!([{"physicalLocation": location}]),
            partial_fingerprints: json!({"palisade/v1": self.fingerprint(finding)}),
            fixes: finding.fix.as_ref().map(|fix| self.fixes(finding, fix)),
            suppressions: silenced.map(suppressions),
        }
    }

    fn fixes(&self, finding: &Finding, fix: &Fix) -> Value {
        json!([{
            "description": {"text": finding.help},
            "artifactChanges": [{
                "artifactLocation": self.artifact(&finding.path),
                "replacements": [{
                    "deletedRegion": self.region(&finding.path, fix.place),
                    "insertedContent": {"text": fix.replacement},
                }],
            }],
        }])
    }

    fn rule_index(&mut self, code: &'static str) -> usize {
        self.rules.iter().position(|rule| rule.id == code).unwrap_or_else(|| {
            self.rules.push(Described::of_error(code));
            self.rules.len() - 1
        })
    }

    fn artifact(&self, path: &str) -> Value {
        match self.repository.path(path) {
            Some(path) => {
                json!({"uri": utf8_percent_encode(&path, ESCAPED).to_string(), "uriBaseId": "%SRCROOT%"})
            }
            None => json!({"uri": format!("file://{}", utf8_percent_encode(path, ESCAPED))}),
        }
    }

    /// Lines and columns are counted from 1, columns in characters; the end is behind the last one.
    fn region(&self, path: &str, place: Place) -> Value {
        let end = match self.texts.get(path) {
            Some(text) => Place::of(text, place.offset.saturating_add(place.length), 0),
            None => place,
        };
        json!({
            "startLine": place.line,
            "startColumn": place.column,
            "endLine": end.line,
            "endColumn": end.column,
        })
    }

    /// The same for the same finding after lines have been put before it: it goes by what stands at
    /// its place and behind it, and by how many alike stand before.
    fn fingerprint(&mut self, finding: &Finding) -> String {
        let there = finding.place.and_then(|place| {
            let text = self.texts.get(&finding.path)?;
            let end = place.offset.saturating_add(place.length.max(RECOGNISED)).min(text.len());
            text.get(place.offset..text.floor_char_boundary(end))
        });
        let mut digest = Sha256::new();
        for part in [finding.code, &finding.path, there.unwrap_or(&finding.message)] {
            digest.update(part.as_bytes());
            digest.update([0]);
        }
        let mut fingerprint = String::new();
        for byte in digest.finalize().iter().take(16) {
            let _infallible = write!(fingerprint, "{byte:02x}");
        }
        let alike = self.seen.entry(fingerprint.clone()).or_default();
        *alike += 1;
        format!("{fingerprint}:{alike}")
    }
}

fn suppressions(silenced: &Silenced) -> Value {
    let kind = match silenced.silenced_by {
        SilencedBy::Policy => "inSource",
        SilencedBy::Configuration => "external",
    };
    json!([{"kind": kind, "status": "accepted", "justification": silenced.reason}])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_of_a_rule_is_its_section() {
        let rule = json!(Described::from(Rule::MissingId));
        assert_eq!(rule["shortDescription"]["text"], "A policy has no `@id`.");
        let help = &rule["help"];
        assert!(help["text"].as_str().unwrap().starts_with("*Warning.* A policy has no `@id`."));
        assert!(!help["text"].as_str().unwrap().contains("permit"));
        assert!(help["markdown"].as_str().unwrap().contains("@id(\"users-read-products\")"));
        assert!(!help["markdown"].as_str().unwrap().contains("never-applies"));
    }
}
