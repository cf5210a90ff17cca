//! What is kept from one compilation to the next changes nothing of what comes out.

use proptest::prelude::*;

use super::super::{Settings, Source};
use super::*;

const SCHEMA: [&str; 2] = [
    "entity Group in [Group]; entity User in [Group] = { name: String };
     action view appliesTo { principal: User, resource: User };",
    "entity Group in [Group]; entity User in [Group] = { nick: String };
     action view appliesTo { principal: User, resource: User };",
];

/// What a file may hold: good, bad, with an id that another may have too.
const TEXTS: [&str; 10] = [
    "",
    "permit (principal, action, resource);",
    "@id(\"a\") permit (principal in Group::\"a\", action, resource) when { resource.name == \"a\" };",
    "@id(\"a\") forbid (principal, action, resource); @id(\"b\") permit (principal, action, resource);",
    "@id(\"t\") permit (principal == ?principal, action, resource) when { principal.name == \"a\" };",
    "\n@id(\"t\") forbid (principal, action, resource == ?resource);",
    "@id(\"u\") permit (principal, action, resource) when { User::\"u\".name == \"a\" && resource.name == \"b\" };",
    "permit (principal, action, resource) when { principal.nmae == \"a\" };",
    "permit (principal, action",
    "@id(\"p\u{430}y\") permit (principal in Group::\"p\u{430}ypal\", action, resource);",
];

const LINKS: [&str; 4] = [
    "[]",
    r#"[{"template_id": "t", "link_id": "l", "args": {"?principal": "User::\"a\""}}]"#,
    r#"[{"template_id": "t", "link_id": "l", "args": {"?resource": "User::\"a\""}},
        {"template_id": "t", "link_id": "l", "args": {"?resource": "User::\"b\""}}]"#,
    r#"[{"template_id": "x", "link_id": "a", "args": {}}]"#,
];

const ENTITIES: [&str; 3] = [
    "[]",
    r#"[{"uid": {"type": "User", "id": "u"}, "attrs": {"name": "a"}}]"#,
    r#"[{"uid": {"type": "Group", "id": "a"}, "parents": [{"type": "Group", "id": "a"}]}]"#,
];

/// Which text each file has: four of policies, two of links, the schema, the entities.
type Choice = (Vec<usize>, Vec<usize>, usize, usize);

fn choice() -> impl Strategy<Value = Choice> {
    let policies = prop::collection::vec(0..TEXTS.len(), 4);
    let links = prop::collection::vec(0..LINKS.len(), 2);
    // Edits of the schema are rare, or nothing would ever be known.
    (policies, links, prop::sample::select(vec![0, 0, 0, 1]), 0..ENTITIES.len())
}

fn sources((policies, links, schema, entities): &Choice) -> Sources {
    let file = |name: String, text: &str| Source {
        path: format!("policies/{name}").into(),
        name: name.into(),
        text: text.into(),
    };
    let files = |kind: &str, chosen: &[usize], texts: &[&str]| {
        chosen
            .iter()
            .enumerate()
            .map(|(number, text)| file(format!("{number}{kind}"), texts[*text]))
            .collect()
    };
    Sources {
        policies: files(".cedar", policies, &TEXTS),
        links: files("/links.json", links, &LINKS),
        schema: vec![file("s.cedarschema".to_owned(), SCHEMA[*schema])],
        entities: vec![file("e.json".to_owned(), ENTITIES[*entities])],
        settings: Settings::default(),
    }
}

/// Everything that a revision is judged by and decides by.
fn shown(
    compiled: Result<Compiled, Vec<Finding>>,
) -> Result<(String, Vec<String>, Vec<Finding>), Vec<Finding>> {
    let Compiled { snapshot, warnings } = compiled?;
    let mut policies: Vec<_> = snapshot.policies.values().map(|info| format!("{info:?}")).collect();
    policies.sort_unstable();
    Ok((snapshot.revision().to_string(), policies, warnings))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn one_edit_after_the_other_comes_to_what_each_comes_to_alone(
        edits in prop::collection::vec(choice(), 1..8),
    ) {
        let compiler = Compiler::default();
        for edit in &edits {
            let sources = sources(edit);
            let after_others = shown(compiler.compile(&sources, &Limits::default()));
            prop_assert_eq!(after_others, shown(compile(&sources, &Limits::default())));
        }
    }
}

#[test]
fn what_is_known_of_a_file_is_kept_and_what_is_edited_is_not() {
    let compiler = Compiler::default();
    let snapshot = |edit: &Choice| compiler.compile(&sources(edit), &Limits::default()).unwrap().snapshot;
    let (first, second) = ((vec![1, 2, 4, 6], vec![1, 0], 0, 1), (vec![1, 1, 4, 6], vec![1, 0], 0, 1));
    let (before, after) = (snapshot(&first), snapshot(&second));
    for id in ["u", "l", "0#1"] {
        assert!(Arc::ptr_eq(&before.policies[id], &after.policies[id]), "{id}");
    }
    assert!(Arc::ptr_eq(&before.store, &after.store));
    assert!(!after.policies.contains_key("a") && after.policies.contains_key("1#1"));
    let other_schema = (vec![1, 1, 1, 1], vec![0, 0], 1, 0);
    assert!(!Arc::ptr_eq(&after.policies["0#1"], &snapshot(&other_schema).policies["0#1"]));
}
