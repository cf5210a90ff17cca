//! Policies that are changed in one place: their tests notice every change that means something.

use std::path::Path;
use std::sync::Arc;

use palisade::cedar::{Source, Sources, compile};
use palisade::config::{Configuration, Environment};
use palisade::model::{Limits, Timestamp};
use palisade::store::ConfigurationFile;
use palisade::suite::{self, Plan, Suite, Terms};

/// Mutants that mean the same as the original, each with the reason.
const EQUIVALENT: &str = include_str!("../fixtures/equivalent-mutants.txt");

/// Of those that compile, equivalent ones may be one in so many.
const ONE_IN: usize = 20;

/// A file with one change.
struct Mutant {
    /// `policies/product.cedar:13: permit -> forbid`.
    name: String,
    file: usize,
    text: String,
}

/// What is between two changes: a word, a string, a number, an operator.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Token<'t> {
    text: &'t str,
    start: usize,
}

#[test]
fn every_change_of_the_shops_policies_is_noticed_by_its_tests() {
    every_mutant_is_killed("policies", "tests/policies", 25);
}

#[test]
fn every_change_of_policies_with_every_operator_is_noticed_by_their_tests() {
    every_mutant_is_killed("tests/fixtures/operators/policies", "tests/fixtures/operators/tests", 50);
}

fn every_mutant_is_killed(folder: &str, tests: &str, at_least: usize) {
    let policies = sources(folder, ".cedar");
    let schema = sources("schema", ".cedarschema");
    let suite = suite(tests);
    let configuration = configuration();
    let survives = |policies: Vec<Source>| {
        let settings = configuration.settings();
        let sources = Sources { policies, schema: schema.clone(), settings, ..Sources::default() };
        let limits = Limits::default();
        let snapshot = compile(&sources, &limits).ok()?.snapshot;
        let plan = Plan::of(&suite, &snapshot, &configuration.config.issuers, &limits);
        let terms = Terms { fail_fast: true, ..Terms::at(Timestamp::from_millis(1_795_426_200_000)) };
        // A test that names a policy which is gone is a finding, and fails the run too.
        Some(plan.findings().iter().all(|finding| !finding.is_error()) && suite::run(&plan, &terms).is_good())
    };
    assert_eq!(survives(policies.clone()), Some(true), "the tests pass on the policies as they are");

    let called_equivalent = |name: &str| {
        EQUIVALENT.lines().any(|line| line.strip_prefix(name).is_some_and(|why| why.starts_with(" # ")))
    };
    let (mut killed, mut invalid, mut equivalent, mut survivors) = (0, 0, 0, Vec::new());
    for mutant in policies.iter().enumerate().flat_map(|(index, source)| mutants(index, source)) {
        let mut changed = policies.clone();
        changed[mutant.file].text = mutant.text.into();
        match survives(changed) {
            None => invalid += 1,
            Some(false) if called_equivalent(&mutant.name) => panic!("not equivalent: {}", mutant.name),
            Some(false) => killed += 1,
            Some(true) if called_equivalent(&mutant.name) => equivalent += 1,
            Some(true) => survivors.push(mutant.name),
        }
    }
    println!("{folder}: {killed} mutants are killed, {equivalent} are equivalent, {invalid} do not compile");
    assert!(survivors.is_empty(), "no test notices:\n{}", survivors.join("\n"));
    assert!(killed >= at_least, "only {killed} mutants were made and killed");
    assert!(equivalent * ONE_IN <= killed + equivalent, "{equivalent} are too many");
}

#[test]
fn a_change_is_made_of_each_kind() {
    let source = Source {
        path: "p.cedar".into(),
        name: "p.cedar".into(),
        text: "// permit\n@id(\"a\")\npermit (principal in G::\"g\", action, resource)\nwhen { a == \"x\" && !(b < 3) };".into(),
    };
    let names: Vec<_> = mutants(0, &source).into_iter().map(|mutant| mutant.name).collect();
    insta::assert_snapshot!(names.join("\n"), @r#"
    p.cedar:3: permit -> forbid
    p.cedar:3: principal in G::"g" -> principal
    p.cedar:3: in -> ==
    p.cedar:3: "g" -> "g'"
    p.cedar:4: when { a == "x" && !(b < 3) } -> 
    p.cedar:4: == -> !=
    p.cedar:4: "x" -> "x'"
    p.cedar:4: && -> ||
    p.cedar:4: a == "x" && -> 
    p.cedar:4: && !(b < 3) -> 
    p.cedar:4: ! -> 
    p.cedar:4: < -> <=
    p.cedar:4: < -> >
    p.cedar:4: 3 -> 2
    p.cedar:4: 3 -> 4
    p.cedar:2: @id("a") permit (principal in G::"g", action, resource) when { a == "x" && !(b < 3) }; -> 
    "#);
}

fn sources(folder: &str, ending: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<_> = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.to_str().unwrap().ends_with(ending));
    files.sort();
    let source = |file: &std::path::PathBuf| {
        let name = file.file_name().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(file).unwrap().into();
        Source { path: format!("{folder}/{name}").into(), name: name.into(), text }
    };
    files.iter().map(source).collect()
}

/// The settings that ship with the shop.
fn configuration() -> Configuration {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/palisade.toml")).unwrap();
    let file = ConfigurationFile { path: "palisade.toml".into(), text: text.into() };
    Configuration::read(Some(file), "".into(), &Environment::new()).unwrap()
}

fn suite(folder: &str) -> Suite {
    let suite = Suite::read(&sources(folder, "fixtures.yaml"), &sources(folder, ".test.yaml"));
    assert!(suite.findings().is_empty(), "{:?}", suite.findings());
    suite
}

fn mutants(file: usize, source: &Source) -> Vec<Mutant> {
    let text: &Arc<str> = &source.text;
    let tokens = tokens(text);
    let mut mutants = Vec::new();
    let mut change = |start: usize, end: usize, new: &str| {
        let line = text[..start].matches('\n').count() + 1;
        let old: Vec<_> = text[start..end].split_whitespace().collect();
        let name = format!("{}:{line}: {} -> {new}", source.path, old.join(" "));
        let text = format!("{}{new}{}", &text[..start], &text[end..]);
        mutants.push(Mutant { name, file, text });
    };
    let mut first = None;
    for (index, token) in tokens.iter().enumerate() {
        let end = token.start + token.text.len();
        let before = |back: usize| index.checked_sub(back).map_or("", |at| tokens[at].text);
        first.get_or_insert(token.start);
        let replacements: &[&str] = match token.text {
            "permit" => &["forbid"],
            "forbid" => &["permit"],
            "==" => &["!="],
            "!=" => &["=="],
            "<" => &["<=", ">"],
            ">" => &[">=", "<"],
            "<=" => &["<", ">="],
            ">=" => &[">", "<="],
            "&&" => &["||"],
            "||" => &["&&"],
            "!" => &[""],
            "true" => &["false"],
            "false" => &["true"],
            "in" => &["=="],
            _ => &[],
        };
        for new in replacements {
            // A scope takes no `!=`, and a list no `==`: those do not compile, and do not count.
            change(token.start, end, new);
        }
        if ["&&", "||"].contains(&token.text) {
            let (left, right) = operands(&tokens, index);
            change(left, tokens[index + 1].start, "");
            change(token.start, right, "");
        }
        if token.text == "is" {
            let name = &tokens[index + 1..=index + 3];
            let other = if name[2].text == "User" { "Machine" } else { "User" };
            change(name[2].start, name[2].start + name[2].text.len(), other);
        }
        if token.text.starts_with('"') && before(3) != "@" {
            change(token.start, end, &format!("{}'\"", &token.text[..token.text.len() - 1]));
        }
        if let Ok(number) = token.text.parse::<i64>() {
            change(token.start, end, &(number - 1).to_string());
            change(token.start, end, &(number + 1).to_string());
        }
        if ["principal", "action", "resource"].contains(&token.text) && ["(", ","].contains(&before(1)) {
            let constraint = &tokens[index + 1..];
            let mut depth = 0;
            let stop = constraint.iter().position(|next| {
                depth += i32::from(next.text == "[") - i32::from(next.text == "]");
                depth == 0 && [",", ")"].contains(&next.text)
            });
            if let Some(stop @ 1..) = stop {
                let last = constraint[stop - 1];
                change(token.start, last.start + last.text.len(), token.text);
            }
        }
        if ["when", "unless"].contains(&token.text) {
            let mut depth = 0;
            let closing = tokens[index + 1..].iter().find(|next| {
                depth += i32::from(next.text == "{") - i32::from(next.text == "}");
                depth == 0
            });
            change(token.start, closing.unwrap().start + 1, "");
        }
        if token.text == ";" {
            change(first.take().unwrap(), end, "");
        }
    }
    mutants
}

/// Where the left operand of a logical operator begins, and where its right one ends.
fn operands(tokens: &[Token<'_>], operator: usize) -> (usize, usize) {
    let ends = |depth: i32, text: &str| depth < 0 || depth == 0 && ["&&", "||"].contains(&text);
    let mut depth = 0;
    let left = tokens[..operator].iter().rposition(|token| {
        depth += i32::from([")", "]", "}"].contains(&token.text))
            - i32::from(["(", "[", "{"].contains(&token.text));
        ends(depth, token.text)
    });
    let mut depth = 0;
    let right = tokens[operator + 1..].iter().position(|token| {
        depth += i32::from(["(", "[", "{"].contains(&token.text))
            - i32::from([")", "]", "}"].contains(&token.text));
        ends(depth, token.text)
    });
    let last = tokens[operator + right.unwrap()];
    (tokens[left.unwrap() + 1].start, last.start + last.text.len())
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let length = match character {
            _ if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '"' => 2 + rest[1..].find('"').unwrap(),
            c if word(c) => rest.find(|c| !word(c)).unwrap_or(rest.len()),
            _ if ["==", "!=", "<=", ">=", "&&", "||", "::"].iter().any(|symbol| rest.starts_with(symbol)) => {
                2
            }
            c => c.len_utf8(),
        };
        let start = text.len() - rest.len();
        let (token, after) = rest.split_at(length);
        if !character.is_whitespace() && !token.starts_with("//") {
            tokens.push(Token { text: token, start });
        }
        rest = after;
    }
    tokens
}
