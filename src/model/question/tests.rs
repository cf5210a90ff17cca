//! Questions as they are written, rightly and wrongly.

use super::*;

const GOOD: &str = r#"{"action": "updateProduct", "resource": {"type": "Product", "id": "p-42"}}"#;

fn refused(json: &str) -> String {
    Body::parse(json.as_bytes(), &Limits::default()).unwrap_err().detail
}

#[test]
fn the_least_question_has_an_action_and_a_resource() {
    let body = Body::parse(GOOD.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(body.question.action, "updateProduct");
    assert!(!body.question.resource.describes());
}

#[test]
fn a_wrong_shape_is_named() {
    assert!(refused("").contains("no body"));
    assert!(refused("{").contains("the text ends within an object"));
    assert!(refused(r#"{"action": "a"}"#).starts_with("missing member `resource`"));
    assert!(
        refused(r#"{"action": "a", "resource": {"type": "T", "id": 7}}"#)
            .contains("write the number as a string")
    );
    assert!(refused(r#"{"action": "a", "action": "b"}"#).starts_with("duplicate member `action`"));
    assert!(refused(&GOOD.replace('}', r#", "parent": []}"#)).starts_with("unknown member `parent`"));
    assert!(refused(&GOOD.replace("}}", r#"}, "id": "x"}"#)).starts_with("unknown member `id`"));
    assert!(
        refused(&GOOD.replace("}}", r#"}, "context": {"a": 1, "a": 2}}"#)).contains("`a` is given twice")
    );
    for member in ["context", "entities", "token"] {
        let json = GOOD.replace("}}", &format!(r#"}}, "{member}": null}}"#));
        assert!(refused(&json).contains("null"), "{member}");
    }
    assert!(refused(&format!("{GOOD} x")).contains("trailing"));
    assert!(refused(&"[".repeat(100_000)).contains("nests 100000 deep"));
}

/// How many brackets are around a value, and a text with it.
type Place<'a> = (usize, &'a dyn Fn(&str) -> String);

#[test]
fn what_nests_deeper_than_it_may_is_refused_wherever_it_stands() {
    let limits = Limits::default();
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let entity = |members: &str| format!(r#"{{"type": "T", "id": "i", {members}}}"#);
    let question = |resource: &str, more: &str| format!(r#"{{"action": "a", "resource": {resource}{more}}}"#);
    let places: [Place<'_>; 4] = [
        (3, &|value| question(&entity(&format!(r#""attributes": {{"a": {value}}}"#)), "")),
        (3, &|value| question(&entity(&format!(r#""tags": {{"a": {value}}}"#)), "")),
        (2, &|value| question(&entity(r#""parents": []"#), &format!(r#", "context": {{"a": {value}}}"#))),
        (4, &|value| {
            let described = entity(&format!(r#""attributes": {{"a": {value}}}"#));
            question(&entity(r#""parents": []"#), &format!(r#", "entities": [{described}]"#))
        }),
    ];
    for (around, text) in places {
        let deep = |depth: usize| text(&nested(depth - around));
        assert!(Body::parse(deep(limits.depth).as_bytes(), &limits).is_ok(), "{}", deep(1 + around));
        for depth in [limits.depth + 1, 120, 130, 100_000] {
            let refusal = Body::parse(deep(depth).as_bytes(), &limits).unwrap_err().detail;
            assert_eq!(refusal, format!("the JSON nests {depth} deep, more than 32"));
        }
        let batch = |depth: usize| format!(r#"{{"requests": [{}]}}"#, text(&nested(depth - around - 2)));
        let items = Batch::parse(batch(limits.depth).as_bytes(), &limits).unwrap().items;
        assert!(items[0].question.is_ok());
        let refusal = Batch::parse(batch(limits.depth + 1).as_bytes(), &limits).unwrap_err().detail;
        assert_eq!(refusal, "the JSON nests 33 deep, more than 32");
    }
    // What all items share.
    for (around, member) in
        [(2, r#""context": {"a": V}"#), (4, r#""entities": [{"type": "T", "id": "i", "tags": {"a": V}}]"#)]
    {
        let batch =
            |depth: usize| format!(r#"{{"requests": [], {member}}}"#).replace('V', &nested(depth - around));
        assert!(Batch::parse(batch(32).as_bytes(), &limits).is_ok(), "{member}");
        let refusal = Batch::parse(batch(33).as_bytes(), &limits).unwrap_err().detail;
        assert_eq!(refusal, "the JSON nests 33 deep, more than 32");
    }
    // A text can nest without a value that does.
    let parents = entity(r#""parents": [{"type": "T", "id": "i"}]"#);
    let batch = format!(
        r#"{{"requests": [{}]}}"#,
        question(&entity(r#""parents": []"#), &format!(r#", "entities": [{parents}]"#))
    );
    let allowing = |depth| Batch::parse(batch.as_bytes(), &Limits { depth, ..Limits::default() });
    assert!(allowing(7).is_ok());
    assert_eq!(allowing(6).unwrap_err().detail, "the JSON nests 7 deep, more than 6");
}

#[test]
fn a_token_in_the_wrong_place_is_not_repeated() {
    let detail = refused(r#"{"action": "a", "resource": "eyJhbGciOi\"JSUzI1NiJ9"}"#);
    assert!(!detail.contains("eyJ"), "{detail}");
    assert!(detail.contains("a string, expected an entity"), "{detail}");
}

#[test]
fn what_is_too_large_is_refused_with_its_limit() {
    let long = "x".repeat(16 * 1024 + 1);
    assert!(refused(&GOOD.replace("p-42", &long)).contains("more than 512"));
    let context = |value: &str| GOOD.replace("}}", &format!(r#"}}, "context": {{"a": {value}}}}}"#));
    assert!(refused(&context(&format!("\"{long}\""))).contains("more than 16384"));
    assert!(refused(&context(&format!("[{}1]", "1,".repeat(1_000)))).contains("1001 elements"));
    let entities = vec![r#"{"type": "T", "id": "i"}"#; 257].join(",");
    assert!(
        refused(&GOOD.replace("}}", &format!(r#"}}, "entities": [{entities}]}}"#))).contains("257 entities")
    );
}

#[test]
fn an_item_of_a_batch_that_is_wrong_spoils_no_neighbour() {
    let json =
        format!(r#"{{"requests": [{GOOD}, {{"id": "row-2", "action": 7}}], "context": {{"ip": "::1"}}}}"#);
    let batch = Batch::parse(json.as_bytes(), &Limits::default()).unwrap();
    let [first, second] = batch.items.as_slice() else { panic!("two items") };
    assert_eq!(first.question.as_ref().unwrap().context.len(), 1);
    assert_eq!(second.id.as_deref(), Some("row-2"));
    assert!(second.question.is_err());
}

#[test]
fn a_batch_names_each_item_once() {
    let item = GOOD.replace("}}", r#"}, "id": "row-1"}"#);
    let json = format!(r#"{{"requests": [{item}, {item}]}}"#);
    let refusal = Batch::parse(json.as_bytes(), &Limits::default()).unwrap_err();
    assert!(refusal.detail.contains("`row-1` is given to two items"));
}

#[test]
fn an_array_stands_for_no_object() {
    let wants = |json: &str, wanted: &str| {
        let detail = refused(json);
        assert!(detail.contains(&format!("invalid type: an array, expected {wanted}")), "{json}: {detail}");
    };
    wants(r#"["t", "i", "a", {"type": "T", "id": "i"}]"#, "an object with `action` and `resource`");
    wants(r#"{"action": "a", "resource": ["T", "i"]}"#, "an entity");
    wants(&GOOD.replace("}}", r#", "parents": [["T", "i"]]}}"#), "an entity");
    wants(&GOOD.replace("}}", r#"}, "entities": [["T", "i"]]}"#), "an entity");
    let items =
        Batch::parse(br#"{"requests": [["t", "i", "a", {"type": "T", "id": "i"}]]}"#, &Limits::default());
    assert!(items.unwrap().items[0].question.is_err());
    let batch = Batch::parse(br#"["t", []]"#, &Limits::default()).unwrap_err().detail;
    assert!(batch.contains("expected an object with `requests`"), "{batch}");
    let batch = Batch::parse(br#"{"requests": {}}"#, &Limits::default()).unwrap_err().detail;
    assert!(batch.starts_with("invalid type: an object, expected an array (line 1"), "{batch}");
}

#[test]
fn what_is_wrong_is_said_before_where() {
    let detail = refused(r#"{"action": "a", "resource": {"type": "T", "id": 7}}"#);
    assert_eq!(detail, "an id is a string: write the number as a string (line 1, column 50)");
}

#[test]
fn what_all_items_share_is_copied_within_bounds() {
    let limits = Limits::default();
    let item = |context: &str| GOOD.replace("}}", &format!(r#"}}, "context": {context}}}"#));
    let batch = |items: Vec<String>, shared: &str| {
        let json = format!(r#"{{"requests": [{}], {shared}}}"#, items.join(","));
        assert!(json.len() <= limits.batch_body);
        Batch::parse(json.as_bytes(), &limits).unwrap().items
    };
    let members: Vec<_> = (0..60_000).map(|number| format!(r#""a{number:05}":1"#)).collect();
    let shared = format!(r#""context": {{{}}}"#, members.join(","));
    // Those without a context of their own have it without a copy.
    let questions = batch(vec![GOOD.to_owned(); 1_000], &shared);
    let contexts: Vec<_> = questions.iter().map(|item| &item.question.as_ref().unwrap().context).collect();
    assert!(contexts.iter().all(|context| Arc::ptr_eq(context, contexts[0])));
    // The others have copies, and those are bounded.
    let questions = batch(vec![item(r#"{"z": 1}"#); 1_000], &shared);
    let refused = questions.iter().filter_map(|item| item.question.as_ref().err());
    assert!(refused.clone().all(|refusal| refusal.detail.ends_with("send several batches")));
    let copies = 1_000 - refused.count();
    assert!((1..=32).contains(&copies), "{copies}");
    // Two large ones are put together once, and not member by member.
    let own: Vec<_> = (0..60_000).map(|number| format!(r#""Z{number:05}":1"#)).collect();
    let questions = batch(vec![item(&format!("{{{}}}", own.join(",")))], &shared);
    assert_eq!(questions[0].question.as_ref().unwrap().context.len(), 120_000);
    let questions = batch(vec![item(r#"{"a00007": 1}"#)], &shared);
    let refusal = questions[0].question.as_ref().unwrap_err();
    assert_eq!(refusal.detail, "`context.a00007` is given by the batch and by the item");
    // Entities are never copied.
    let entities =
        vec![format!(r#"{{"type": "T", "id": "i", "attributes": {{"a": "{}"}}}}"#, "x".repeat(6_000)); 250];
    let questions = batch(vec![GOOD.to_owned(); 1_000], &format!(r#""entities": [{}]"#, entities.join(",")));
    let last = |number: usize| questions[number].question.as_ref().unwrap().entities.last().unwrap();
    assert!(Arc::ptr_eq(last(0), last(999)));
}
