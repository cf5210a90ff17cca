//! Hostile policy and schema files, through the real program on a small stack: findings, never a crash.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::harness::Setup;

/// How often every form is repeated.
const TIMES: usize = 100_000;
/// What a debug build on a busy machine may take for one file.
const SOON: Duration = Duration::from_secs(5);
/// The stack of every thread that asks for no other, and of the main one: a quarter of what it usually
/// has, and less than the engine wants for deep expressions.
const STACK: usize = 2 * 1024 * 1024;

/// `palisade check` of the shop with one more file, or one file changed.
fn check(name: &str, text: impl AsRef<[u8]>) -> Output {
    check_under(Setup::new(), name, text)
}

/// The same where files may be so large that their size does not stand for how they nest.
fn check_deep(name: &str, text: &str) -> Output {
    check_under(Setup::new().settings("[limits]\nfile = 16_777_216\n"), name, text)
}

fn check_under(setup: Setup, name: &str, text: impl AsRef<[u8]>) -> Output {
    std::fs::write(setup.path(name), text).unwrap();
    setup.configuration();
    let started = Instant::now();
    let mut command = on_small_stacks(&setup.command(&["check", "."]));
    let output = command.env("NO_COLOR", "1").output().unwrap();
    let took = started.elapsed();
    println!("    {took:?}, {} bytes of findings", output.stderr.len());
    assert!(took < SOON, "{took:?}");
    output
}

/// The same command, by way of a shell that limits the stacks.
fn on_small_stacks(command: &Command) -> Command {
    let mut limited = Command::new("/bin/sh");
    limited
        .args(["-c", &format!("ulimit -s {} && exec \"$0\" \"$@\"", STACK / 1024)])
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(command.get_current_dir().unwrap())
        .env_clear()
        .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .env("RUST_MIN_STACK", STACK.to_string());
    limited
}

/// The policy with this condition.
fn when(condition: &str) -> String {
    format!("@id(\"hostile\")\npermit (principal, action, resource)\nwhen {{ {condition} }};\n")
}

fn assert_found(what: &str, name: &str, output: &Output, placed: bool) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let start: String = stderr.chars().take(600).collect();
    assert_eq!(output.status.code(), Some(1), "{what}: {:?}\n{start}", output.status);
    assert!(stderr.contains(name), "{what} names no file: {start}");
    if placed {
        let place = stderr.split(&format!("{name}:")).nth(1).unwrap_or_default();
        let numbers: Vec<_> = place.split([':', ']', ' ']).take(2).map(str::parse::<usize>).collect();
        assert!(matches!(numbers.as_slice(), [Ok(1..), Ok(1..)]), "{what} has no line and column: {start}");
    }
    assert!(stderr.len() < 64 * 1024, "{what} floods the terminal with {} bytes", stderr.len());
}

#[test]
fn policies_that_nest_without_end_are_findings() {
    let around = |open: &str, middle: &str, close: &str| {
        when(&format!("{}{middle}{}", open.repeat(TIMES), close.repeat(TIMES)))
    };
    let cases = [
        ("parentheses", around("(", "true", ")")),
        ("parentheses that stay open", around("(", "", "")),
        ("parentheses that only close", around("", "", ")")),
        ("not", around("!", "true", "")),
        ("not in parentheses", around("!(", "true", ")")),
        ("minus", when(&format!("0 == {}1", "-".repeat(TIMES)))),
        ("minus with spaces", when(&format!("0 == {}1", "- ".repeat(TIMES)))),
        ("if in else", around("if true then true else ", "true", "")),
        ("if in then", around("if true then ", "true", " else true")),
        ("if in if", around("if ", "true", " then true else true")),
        ("attributes", when(&format!("resource{}", ".a".repeat(TIMES)))),
        ("attributes by index", when(&format!("resource{}", "[\"a\"]".repeat(TIMES)))),
        ("methods", when(&format!("resource{}", ".contains(1)".repeat(TIMES)))),
        ("methods in methods", around("[1].contains(", "1", ")")),
        ("functions in functions", around("ip(", "\"::1\"", ")")),
        ("sets", around("[", "1", "]")),
        ("sets that stay open", around("[", "", "")),
        ("sets side by side", when(&format!("[{}] == []", "[],".repeat(TIMES)))),
        ("records", when(&format!("{}1{} == {{}}", "{a:".repeat(TIMES), "}".repeat(TIMES)))),
        ("records that stay open", around("{a:", "", "")),
        ("and", around("true && ", "true", "")),
        ("or", around("true || ", "true", "")),
        ("plus", when(&format!("0 == {}1", "1 + ".repeat(TIMES)))),
        ("times", when(&format!("0 == {}1", "1 * ".repeat(TIMES)))),
        ("comparisons", around("1 == ", "1", "")),
        ("has", when(&format!("resource has a{}", ".a".repeat(TIMES)))),
        ("has in has", when(&format!("resource{}", " has a".repeat(TIMES)))),
        ("like in like", when(&format!("\"\"{}", " like \"*\"".repeat(TIMES)))),
        ("is in is", around("(", "resource", " is Shop::Product in resource)")),
        ("namespaces", when(&format!("{}a::\"x\" == resource", "a::".repeat(TIMES)))),
        (
            "actions in the scope",
            format!(
                "permit (principal, action in [{}Action::\"x\"], resource);",
                "Action::\"x\", ".repeat(TIMES)
            ),
        ),
        ("conditions", format!("permit (principal, action, resource){};", " when { true }".repeat(TIMES))),
        ("annotations", format!("{}permit (principal, action, resource);", "@a(\"\")\n".repeat(TIMES))),
        ("a string that stays open", when(&"\"".repeat(TIMES + 1))),
        ("backslashes", when(&format!("\"{}", "\\".repeat(TIMES)))),
        ("wildcards", when(&format!("\"a\" like \"{}b\"", "*".repeat(TIMES)))),
        ("nothing but semicolons", ";".repeat(TIMES)),
        ("marks of order", when(&"\u{202e}".repeat(TIMES))),
        ("zero bytes", "\0".repeat(TIMES)),
    ];
    for (what, text) in cases {
        println!("{what}");
        assert_found(what, "policies/hostile.cedar", &check_deep("policies/hostile.cedar", &text), true);
    }
}

#[test]
fn schemas_that_nest_without_end_are_findings() {
    let attribute = |open: &str, middle: &str, close: &str| {
        format!("entity Hostile {{ a: {}{middle}{} }};", open.repeat(TIMES), close.repeat(TIMES))
    };
    let cases = [
        ("sets", attribute("Set<", "Long", ">")),
        ("sets that stay open", attribute("Set<", "", "")),
        ("records", attribute("{ a: ", "Long", "}")),
        ("records that stay open", attribute("{ a: ", "", "")),
        ("records that only close", attribute("", "Long", "}")),
        ("records in sets", attribute("Set<{ a: ", "Long", "}>")),
        ("namespaces in namespaces", "namespace A { ".repeat(TIMES)),
        ("long names", attribute("a::", "b", "")),
        ("parentheses", "(".repeat(TIMES)),
        ("brackets", format!("entity Hostile in {};", "[".repeat(TIMES))),
        ("a string that stays open", "\"".repeat(TIMES + 1)),
        ("zero bytes", "\0".repeat(TIMES)),
    ];
    for (what, text) in cases {
        println!("{what}");
        assert_found(
            what,
            "schema/hostile.cedarschema",
            &check_deep("schema/hostile.cedarschema", &text),
            true,
        );
    }
}

#[test]
fn entities_and_links_that_nest_without_end_are_findings() {
    for (what, text) in [
        ("arrays", "[".repeat(TIMES)),
        ("records", format!("[{}1{}]", "{\"a\":".repeat(TIMES), "}".repeat(TIMES))),
        ("a string that stays open", format!("[\"{}", "[".repeat(TIMES))),
        ("numbers without end", format!("[{}]", "1".repeat(TIMES))),
    ] {
        println!("{what}");
        let setup = Setup::new().settings("[policies]\nentities = \"entities\"\n");
        std::fs::create_dir(setup.path("entities")).unwrap();
        let name = "entities/hostile.json";
        assert_found(what, name, &check_under(setup, name, &text), false);
        let name = "policies/links.json";
        assert_found(what, name, &check_under(Setup::new(), name, &text), false);
    }
}

#[test]
fn settings_that_nest_without_end_stop_the_start_with_a_finding() {
    let arrays = format!("a = {}", "[".repeat(TIMES));
    let tables = format!("a = {}", "{ a = ".repeat(TIMES));
    let dotted = format!("a{} = 1", ".a".repeat(TIMES));
    for text in [arrays, tables, dotted, "[".repeat(TIMES), format!("namespace = \"{}", "\\".repeat(TIMES))] {
        let setup = Setup::new();
        setup.write("hostile.toml", &text);
        let file = setup.path("hostile.toml");
        let mut command = setup.command(&["serve"]);
        command.arg("--config").arg(file);
        let output = on_small_stacks(&command).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        let start: String = stderr.chars().take(600).collect();
        assert_eq!(output.status.code(), Some(2), "{:?}: {start}", output.status);
        assert!(stderr.contains("hostile.toml"), "{start}");
        assert!(stderr.len() < 64 * 1024, "{} bytes on the terminal: {start}", stderr.len());
    }
}

#[test]
fn files_that_are_too_large_or_no_text_are_findings() {
    let large = when("true").repeat(10 * 1024 * 1024 / when("true").len());
    for name in ["policies/hostile.cedar", "schema/hostile.cedarschema"] {
        println!("{name}");
        assert_found("10 MB", name, &check(name, &large), false);
        assert_found("10 MB of one line", name, &check(name, " ".repeat(10 * 1024 * 1024)), false);
        assert_found("no UTF-8", name, &check(name, b"permit (principal, \xff\xfe, resource);"), false);
        assert_found("half a character", name, &check(name, b"// \xe2\x82"), false);
    }
}

#[test]
fn brackets_in_strings_and_comments_do_not_nest() {
    let comments = format!("// {}\n", "([{!-".repeat(200)).repeat(TIMES / 1_000 + 1);
    let strings = when(&format!("resource has \"{}\"", "([{<".repeat(1_000)));
    let strings = format!("{comments}{strings}{comments}");
    let output = check("policies/brackets.cedar", strings.replace("permit (", "forbid ("));
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));

    let comments = format!("// {}\n", "([{<".repeat(250)).repeat(TIMES / 1_000);
    let output = check("schema/brackets.cedarschema", format!("{comments}entity Bracket;\n{comments}"));
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn what_nests_as_people_write_it_is_no_finding() {
    let nested = format!("{}principal == principal{}", "(".repeat(10), ")".repeat(10));
    let output = check("policies/nested.cedar", when(&nested));
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}
