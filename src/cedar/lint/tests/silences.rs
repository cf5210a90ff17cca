//! Findings that somebody has answered for, with a reason.

use super::*;

#[test]
fn a_silence_wants_a_rule_a_reason_and_something_to_silence() {
    let silenced = |allow: &str| {
        let text =
            when("when { true }").replace("@id(\"a\")", &format!("@id(\"a\") @palisade_allow({allow:?})"));
        let checked = Shop::new(&text).check();
        let messages: Vec<_> =
            checked.findings.iter().map(|finding| format!("{}: {}", finding.code, finding.message)).collect();
        (checked.silenced.len(), messages.join("; "))
    };
    assert_eq!(silenced("constant-condition: a switch that is on"), (1, String::new()));
    assert_eq!(silenced("constant-condition"), (0, "bad-allow: `constant-condition` is silenced without a reason; constant-condition: this condition looks at nothing: it is the same for every request".to_owned()));
    assert_eq!(
        silenced("constant-condition: on; shadowed: no"),
        (1, "unused-allow: nothing here is `shadowed`, so there is nothing to silence".to_owned())
    );
    assert!(silenced("constant-conditions: on").1.starts_with(
        "bad-allow: there is no rule `constant-conditions`: did you mean `constant-condition`?"
    ));
    assert!(
        silenced("optional-attribute: it is there")
            .1
            .starts_with("bad-allow: `optional-attribute` cannot be silenced")
    );
    assert!(silenced("unused-allow: x").1.starts_with("bad-allow: `unused-allow` cannot be silenced"));
    assert!(silenced("").1.starts_with("bad-allow: there is no rule ``"));
}

#[test]
fn a_silence_of_the_configuration_is_not_for_policies_and_one_policy_does_not_answer_for_another() {
    let shop = Shop::new(&when("when { true }")).allow("constant-condition", "policies/a.cedar", "on");
    let codes: Vec<_> = shop.found().into_iter().map(|(code, _)| code).collect();
    assert_eq!(codes, ["unused-allow", "constant-condition"]);
    let two = format!(
        "{}\n{}",
        when("")
            .replace("@id(\"a\")", "@id(\"b\") @palisade_allow(\"constant-condition: on\")")
            .replace("update", "delete"),
        when("when { true }")
    );
    let codes: Vec<_> = found(&two).into_iter().map(|(code, _)| code).collect();
    assert_eq!(codes, ["unused-allow", "constant-condition"]);
}

#[test]
fn where_compiling_stops_early_no_silence_is_called_useless() {
    let text = when("").replace("@id(\"a\")", "@id(\"a\") @palisade_allow(\"shadowed: kept\")");
    assert_eq!(found(&text).len(), 1);
    assert_eq!(
        found(&format!("{text} @id(\"b\") permit (principal in Group::\"x\", action, resource);")),
        one("short-type-name", "Group")
    );
    let codes: Vec<_> = found(&format!("{text} permit (")).into_iter().map(|(code, _)| code).collect();
    assert!(codes.contains(&"syntax") && !codes.contains(&"unused-allow"), "{codes:?}");
}
