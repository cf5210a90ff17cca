//! What the linter's page says of each rule is so: its examples fire, are mended, and are silenced.

use std::collections::BTreeMap;
use std::process::Command;

use palisade::cedar::lint::Rule;
use serde_json::Value;

use crate::page::{Page, blocks};

const SCHEMA: &str = include_str!("../../schema/shop.cedarschema");

/// The code blocks of a rule's section, by `language use`: `cedar fires`.
type Examples = BTreeMap<String, String>;

/// The examples of each rule, by its id.
fn sections() -> BTreeMap<String, Examples> {
    let sections = Page::read("docs/lint.md").sections().into_iter();
    let examples = |text: &str| {
        let blocks = blocks(text).into_iter();
        blocks.map(|block| (format!("{} {}", block.language, block.note), block.text)).collect()
    };
    let of_rules = sections.filter_map(|section| {
        let id = section.heading.strip_prefix('`')?.strip_suffix('`')?;
        Some((id.to_owned(), examples(&section.text)))
    });
    of_rules.collect()
}

/// The codes of what `palisade check` finds in a folder that holds the examples for this use.
fn check(examples: &Examples, what: &str) -> (Vec<String>, Vec<String>) {
    let of = |language: &str| {
        let uses = [what, "settings", "fires"];
        uses.iter().find_map(|what| examples.get(&format!("{language} {what}")).map(String::as_str))
    };
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("policies/example.cedar", of("cedar").unwrap_or_default()),
        ("schema/shop.cedarschema", of("cedarschema").unwrap_or(SCHEMA)),
        ("palisade.toml", of("toml").unwrap_or("namespace = \"Shop\"\n")),
    ] {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_palisade"));
    let output =
        command.env_clear().current_dir(folder.path()).args(["check", "--format", "json"]).output().unwrap();
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    let codes = |of: &str| {
        let mut codes: Vec<_> = result[of]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["code"].as_str().unwrap().to_owned())
            .collect();
        codes.dedup();
        codes
    };
    (codes("findings"), codes("silenced"))
}

#[test]
fn every_rule_has_a_section_and_no_section_is_of_no_rule() {
    let mut ids: Vec<_> = Rule::ALL.iter().map(|rule| rule.id()).collect();
    ids.sort_unstable();
    assert_eq!(sections().into_keys().collect::<Vec<_>>(), ids);
}

#[test]
fn the_examples_of_every_rule_do_what_the_page_says() {
    for (id, examples) in sections() {
        let none: [String; 0] = [];
        assert_eq!(check(&examples, "fires").0, std::slice::from_ref(&id), "{id} does not fire alone");
        assert_eq!(check(&examples, "mended"), (none.to_vec(), none.to_vec()), "{id} is not mended");
        let silenced = examples.keys().any(|key| key.ends_with(" silenced"));
        assert_eq!(silenced, Rule::of_id(&id).unwrap().can_be_silenced(), "{id}");
        if silenced {
            assert_eq!(
                check(&examples, "silenced"),
                (none.to_vec(), vec![id.clone()]),
                "{id} is not silenced"
            );
        }
    }
}
