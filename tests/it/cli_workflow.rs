//! What the runner of a GitHub workflow reads: nothing out of a file is a command to it.

use std::process::Output;

use crate::harness::Setup;

/// A name that would end its line and start a command on the next one, and its text, to be formatted.
const COMMANDING: &str = "policies/q\n::error::owned ##[error]x.cedar";

fn run(setup: &Setup, arguments: &[&str]) -> Output {
    setup.command(arguments).output().unwrap()
}

/// Everything that a run prints, with no command to the runner but those of `allowed`.
fn harmless(output: &Output, allowed: &[&str]) -> String {
    let both = [&*output.stdout, &*output.stderr].concat();
    let text = String::from_utf8(both).unwrap();
    assert!(!text.contains("##["), "{text}");
    for line in text.lines().filter(|line| line.trim_start().starts_with("::")) {
        assert!(allowed.iter().any(|command| line.starts_with(command)), "{line}");
    }
    text
}

#[test]
fn a_file_name_commands_nothing() {
    let setup = Setup::new();
    setup.write(COMMANDING, "@id(\"ugly\") permit(principal,action,resource) when { true && true };\n");
    let shown = "q\\n\\u{3a}:error::owned \\u{23}#[error]x.cedar";
    let check = harmless(&run(&setup, &["fmt", "--check"]), &[]);
    assert!(check.contains(&format!("{shown}: would be formatted")), "{check}");
    let formatted = harmless(&run(&setup, &["fmt"]), &[]);
    assert!(formatted.contains(&format!("{shown}: formatted")), "{formatted}");
    assert!(harmless(&run(&setup, &["check"]), &[]).contains(shown));
    setup.write(COMMANDING, "@id(\"short\") permit (principal in Group::\"admin\", action, resource);\n");
    let mended = harmless(&run(&setup, &["check", "--fix"]), &[]);
    assert!(mended.contains(&format!("{shown}: mended in")), "{mended}");
    setup.write(COMMANDING, "permit (principal, ##[error]owned\n::error::owned");
    for verb in [&["fmt"] as &[_], &["fmt", "--check"], &["check"], &["test"]] {
        harmless(&run(&setup, verb), &[]);
    }
}

#[test]
fn findings_are_annotations_and_command_nothing_else() {
    let setup = Setup::new();
    setup.write(
        COMMANDING,
        "@id(\"x\") permit (principal, action == Shop::Action::\"##[error]x\", resource);\n",
    );
    for verb in ["check", "test"] {
        let output = run(&setup, &[verb, "--format", "github"]);
        let text = harmless(
            &output,
            &["::error file=policies/q%0A%3A%3Aerror", "::warning file=policies/q%0A%3A%3Aerror"],
        );
        assert!(text.contains("# #[error]x"), "{text}");
    }
}

#[test]
fn a_complaint_about_the_settings_is_an_annotation() {
    let setup = Setup::new();
    let broken = |arguments: &[&str]| {
        let mut command = setup.command(arguments);
        setup.write("palisade.toml", "[policies]\n\"##[error]owned\\n::error::x\" = 1\n");
        command.output().unwrap()
    };
    for verb in ["check", "test"] {
        let output = broken(&[verb, "--format", "github"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stderr.is_empty());
        let text = harmless(&output, &["::error file="]);
        assert!(text.contains("palisade.toml,line=2,") && text.contains("# #[error]owned"), "{text}");
    }
    for verb in ["fmt", "check", "test"] {
        assert!(harmless(&broken(&[verb]), &[]).contains("#[error]owned"));
    }
}
