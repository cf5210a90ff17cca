//! What is read out of a file and an environment, and what is said of mistakes.

use super::*;

const GOOD: &str = r#"namespace = "Shop"
[server]
listen = "127.0.0.1:9000"
[[issuers]]
issuer = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_EXAMPLE"
client_ids = ["a"]
token_use = ["access"]
[issuers.attributes]
department = "custom:department"
"#;

fn read(text: &str, environment: &[(&str, &str)]) -> Result<Configuration, Box<Finding>> {
    let file = ConfigurationFile { path: "palisade.toml".into(), text: text.into() };
    let environment =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Configuration::read(Some(file), "/etc/palisade".into(), &environment)
}

fn refused(text: &str, environment: &[(&str, &str)]) -> String {
    let finding = *read(text, environment)
        .map_or_else(|finding| finding, |configuration| configuration.check_for_serving().unwrap_err());
    format!("{finding} ({})", finding.help.as_deref().unwrap_or_default())
}

#[test]
fn the_environment_wins_over_the_file_and_paths_are_relative_to_it() {
    let set = [
        ("PALISADE__SERVER__OPS_LISTEN", "0.0.0.0:8181"),
        ("PALISADE__ISSUERS__0__CLIENT_IDS", r#"["b", "c"]"#),
        ("PALISADE__SERVER__EXPLAIN", "true"),
        ("PALISADE_PORT", "tcp://10.0.0.1:80"),
        ("HOME", "/root"),
    ];
    let Config { server, issuers, policies, audit, .. } = read(GOOD, &set).unwrap().config;
    assert_eq!(server.listen.to_string(), "127.0.0.1:9000");
    assert_eq!(server.ops_listen.to_string(), "0.0.0.0:8181");
    assert!(server.explain);
    assert_eq!(issuers[0].client_ids, ["b", "c"]);
    assert_eq!(policies.dir, Path::new("/etc/palisade/policies"));
    assert_eq!(audit.path, Path::new("/etc/palisade/decisions.jsonl"));
}

#[test]
fn a_whole_issuer_can_come_from_the_environment() {
    let set = [
        ("PALISADE__ISSUERS__0__ISSUER", "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_EXAMPLE"),
        ("PALISADE__ISSUERS__0__CLIENT_IDS", r#"["a"]"#),
        ("PALISADE__ISSUERS__0__TOKEN_USE", r#"["access"]"#),
        ("PALISADE__ISSUERS__0__ATTRIBUTES__DEPARTMENT", "custom:department"),
    ];
    let configuration = read("", &set).unwrap();
    configuration.check_for_serving().unwrap();
    assert_eq!(configuration.settings().issuers[0].attributes["department"].claim, "custom:department");
}

#[test]
fn a_mistake_in_the_file_is_shown_at_its_line() {
    assert!(refused("[server]\nlisen = \"x\"\n", &[]).starts_with("palisade.toml:2:1: unknown key `lisen`"));
    assert!(refused("[server]\nlisen = \"x\"\n", &[]).ends_with("(did you mean `listen`?)"));
    assert!(refused("[server]\nlisten = 7\n", &[]).starts_with("palisade.toml:2:10: "));
    assert!(refused("[server\n", &[]).starts_with("palisade.toml:1:"));
    assert!(
        refused("[audit]\nstall = \"5\"\n", &[]).contains("palisade.toml:2:9: `5` is not a length of time")
    );
    let empty = GOOD.replace("client_ids = [\"a\"]", "client_ids = []");
    assert!(
        refused(&empty, &[]).starts_with("palisade.toml:6:1: `issuers.0.client_ids`"),
        "{}",
        refused(&empty, &[])
    );
    let absent = GOOD.replace("client_ids = [\"a\"]\n", "");
    assert!(
        refused(&absent, &[]).starts_with("palisade.toml:4:1: `issuers.0.client_ids`"),
        "{}",
        refused(&absent, &[])
    );
}

#[test]
fn a_mistake_in_the_environment_names_its_variable() {
    let unknown = refused(GOOD, &[("PALISADE__SERVER__LISTNE", "x")]);
    assert!(unknown.starts_with("PALISADE__SERVER__LISTNE: unknown key `listne`"), "{unknown}");
    assert!(unknown.ends_with("(did you mean `PALISADE__SERVER__LISTEN`?)"), "{unknown}");
    assert!(
        refused(GOOD, &[("PALISADE__SERVER__EXPLAIN", "yes")]).starts_with("PALISADE__SERVER__EXPLAIN: ")
    );
    assert!(refused(GOOD, &[("PALISADE__ISSUERS__5__ISSUER", "x")]).contains("the next index is 1"));
    assert!(refused(GOOD, &[("PALISADE__NAMESPACE__X", "x")]).contains("holds no further keys"));
    assert!(refused(GOOD, &[("PALISADE__", "x")]).starts_with("PALISADE__: "));
    let exposed = refused(GOOD, &[("PALISADE__SERVER__LISTEN", "0.0.0.0:80")]);
    assert!(
        exposed.starts_with("PALISADE__SERVER__LISTEN: ") && exposed.contains("allow_anonymous"),
        "{exposed}"
    );
}

#[test]
fn serving_wants_an_issuer_that_is_not_the_one_of_dev() {
    assert!(refused("", &[]).contains("no issuer is configured"));
    let dev = GOOD.replace(
        "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_EXAMPLE",
        "https://dev.palisade.invalid/",
    );
    assert!(
        refused(&dev, &[]).starts_with("palisade.toml:5:1: `issuers.0.issuer`"),
        "{}",
        refused(&dev, &[])
    );
}

#[test]
fn variables_are_judged_together_because_one_may_need_another() {
    let copy = ("PALISADE__POLICIES__BUNDLE__COPY", "/tmp/bundle");
    let poll = ("PALISADE__POLICIES__BUNDLE__POLL", "1s");
    let url = ("PALISADE__POLICIES__BUNDLE__URL", "s3://shop/policies.tar.gz");
    assert!(read(GOOD, &[copy, poll, url]).unwrap().config.policies.bundle.is_some());
    // What is wrong is told of the variable that brings it about, what is missing of the first that needs it.
    assert!(refused(GOOD, &[copy, poll]).starts_with("PALISADE__POLICIES__BUNDLE__COPY: missing key `url`"));
    assert!(refused(GOOD, &[copy, (poll.0, "soon"), url]).starts_with("PALISADE__POLICIES__BUNDLE__POLL: "));
}
