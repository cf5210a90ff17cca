//! The command line as people meet it: what every verb prints, and its exit code.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;

use insta::assert_snapshot;
use palisade::identity::issuer::Cognito;
use palisade::model::Timestamp;
use serde_json::{Value, json};

use crate::harness::{CLIENT, ISSUER, PATIENCE, Setup, now};

/// A question that the shop's admins may ask.
const DELETE_EMPTY: &str = r#"{"action": "deleteCategory", "resource": {"type": "Category", "id": "c-7"}, "context": {"productCount": 0}}"#;

/// Runs a verb with this standard input.
fn run(setup: &Setup, verb: &[&str], input: &str) -> Output {
    finish(setup.command(verb), input)
}

fn finish(mut command: Command, input: &str) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _not_all_verbs_read = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// Exit code, standard output and standard error, without what differs from run to run.
fn shown(setup: &Setup, output: &Output) -> String {
    let folder = setup.folder.path().display().to_string();
    let text = |bytes: &[u8]| {
        let text = String::from_utf8(bytes.to_vec()).unwrap().replace(&folder, "<folder>");
        text.lines().map(without_time).collect::<Vec<_>>().join("\n").trim_end().to_owned()
    };
    let code = output.status.code().map_or("killed".to_owned(), |code| code.to_string());
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    format!("exit {code}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
}

/// A line of `palisade token` without the seconds that it counts.
fn without_time(line: &str) -> &str {
    let counted = [": `exp` in ", ": `iat` "].iter().find_map(|start| line.find(start));
    counted.map_or(line.trim_end(), |end| &line[..end])
}

/// A token with changed claims.
fn token(setup: &Setup, claims: &Value) -> String {
    setup.issuer.mint(claims).unwrap().expose().to_owned()
}

fn good_token(setup: &Setup) -> String {
    let claims = Cognito::access("alice", &["admin"], CLIENT, Timestamp::from_millis(now() * 1_000));
    setup.issuer.issue(&claims).unwrap().expose().to_owned()
}

#[test]
fn check_of_a_good_shop_says_how_many_policies_there_are() {
    let setup = Setup::new();
    assert_snapshot!(shown(&setup, &run(&setup, &["check"], "")), @r#"
    exit 0
    --- stdout
    5 policies, no findings
    --- stderr
    "#);
}

#[test]
fn check_points_at_a_syntax_error() {
    let setup = Setup::new();
    setup.write("policies/broken.cedar", "@id(\"broken\")\npermit (principal, action resource);\n");
    assert_snapshot!(shown(&setup, &run(&setup, &["check"], "")), @r#"
    exit 1
    --- stdout
    1 error
    --- stderr
    syntax

      × unexpected `resource`
       ╭─[policies/broken.cedar:2:27]
     1 │ @id("broken")
     2 │ permit (principal, action resource);
       ·                           ────────
       ╰────
    "#);
}

#[test]
fn check_points_at_a_type_that_the_schema_does_not_know() {
    let setup = Setup::new();
    setup.write(
        "policies/unknown.cedar",
        "@id(\"unknown\")\npermit (\n  principal is Shop::Usr,\n  action,\n  resource\n);\n",
    );
    assert_snapshot!(shown(&setup, &run(&setup, &["check"], "")), @r#"
    exit 1
    --- stdout
    1 error
    --- stderr
    validation

      × there is no entity type `Shop::Usr`
       ╭─[policies/unknown.cedar:3:16]
     2 │ permit (
     3 │   principal is Shop::Usr,
       ·                ─────────
     4 │   action,
       ╰────
      help: did you mean `Shop::User`?
    "#);
}

#[test]
fn check_points_at_an_attribute_that_the_schema_does_not_know() {
    let setup = Setup::new();
    setup.write(
        "policies/unknown.cedar",
        "@id(\"unknown\")\npermit (\n  principal is Shop::User,\n  action == Shop::Action::\"updateProduct\",\n  resource\n)\nwhen { resource.stauts == \"draft\" };\n",
    );
    assert_snapshot!(shown(&setup, &run(&setup, &["check"], "")), @r#"
    exit 1
    --- stdout
    1 error
    --- stderr
    validation

      × `Shop::Product` has no attribute `stauts`
       ╭─[policies/unknown.cedar:7:8]
     6 │ )
     7 │ when { resource.stauts == "draft" };
       ·        ───────────────
       ╰────
      help: did you mean `status`?
    "#);
}

#[test]
fn check_for_programs_is_json() {
    let setup = Setup::new();
    setup.write("policies/broken.cedar", "@id(\"broken\")\npermit (principal, action resource);\n");
    assert_snapshot!(shown(&setup, &run(&setup, &["check", "--format", "json"], "")), @r#"
    exit 1
    --- stdout
    {
      "findings": [
        {
          "path": "policies/broken.cedar",
          "line": 2,
          "column": 27,
          "offset": 40,
          "length": 8,
          "severity": "error",
          "code": "syntax",
          "message": "unexpected `resource`"
        }
      ],
      "silenced": [],
      "policies": null,
      "revision": null
    }
    --- stderr
    "#);
}

#[test]
fn check_of_no_folder_could_not_run() {
    let setup = Setup::new();
    assert_snapshot!(shown(&setup, &run(&setup, &["check", "nowhere"], "")), @r#"
    exit 2
    --- stdout

    --- stderr
      × there is no `nowhere`
    "#);
}

#[test]
fn fmt_says_what_it_would_format_and_formats_it_once() {
    let setup = Setup::new();
    setup.write("policies/ugly.cedar", "// kept\n@id(\"ugly\") permit(principal,\naction,resource);\n");
    assert_snapshot!(shown(&setup, &run(&setup, &["fmt", "--check"], "")), @r#"
    exit 1
    --- stdout
    policies/ugly.cedar: would be formatted
    --- stderr
    "#);
    assert_snapshot!(shown(&setup, &run(&setup, &["fmt"], "")), @r#"
    exit 0
    --- stdout
    policies/ugly.cedar: formatted
    --- stderr
    "#);
    assert_snapshot!(std::fs::read_to_string(setup.path("policies/ugly.cedar")).unwrap(), @r#"
    // kept
    @id("ugly")
    permit (principal, action, resource);
    "#);
    assert_snapshot!(shown(&setup, &run(&setup, &["fmt", "--check"], "")), @r#"
    exit 0
    --- stdout

    --- stderr
    "#);
}

#[test]
fn decide_explains_an_allow() {
    let setup = Setup::new();
    let output = run(&setup, &["decide", "--principal", "alice", "--group", "admin"], DELETE_EMPTY);
    assert_snapshot!(shown(&setup, &output), @r#"
    exit 0
    --- stdout
    allow: permitted
    principal Shop::User::"alice" (access token)
      in Shop::Group::"admin" (token)
      groups = ["admin"]
    permit admins-manage-categories at policies/category.cedar:5:1
      ☞ forbid filled-categories-stay did not apply: a condition does not hold
        ╭─[policies/category.cedar:28:8]
     27 │ )
     28 │ when { context.productCount > 0 };
        ·        ────────────┬───────────
        ·                    ╰── `context.productCount` is 0
        ╰────
    --- stderr
    "#);
}

#[test]
fn decide_explains_a_deny() {
    let setup = Setup::new();
    let output = run(&setup, &["decide", "--principal", "bob", "--group", "user"], DELETE_EMPTY);
    assert_snapshot!(shown(&setup, &output), @r#"
    exit 0
    --- stdout
    deny: no_permit
    principal Shop::User::"bob" (access token)
      in Shop::Group::"user" (token)
      groups = ["user"]
      ☞ permit admins-manage-categories did not apply: a condition does not hold
        ╭─[policies/category.cedar:11:8]
     10 │ )
     11 │ when { principal.groups.contains("admin") };
        ·        ─────────────────┬────────────────
        ·                         ╰── `principal.groups` is ["user"]
     12 │
        ╰────
    --- stderr
    "#);
}

#[test]
fn decide_names_the_forbid() {
    let setup = Setup::new();
    let request = DELETE_EMPTY.replace(": 0", ": 3");
    let output = run(&setup, &["decide", "--principal", "alice", "--group", "admin"], &request);
    assert_snapshot!(shown(&setup, &output), @r#"
    exit 0
    --- stdout
    deny: forbidden
    principal Shop::User::"alice" (access token)
      in Shop::Group::"admin" (token)
      groups = ["admin"]
    forbid filled-categories-stay at policies/category.cedar:22:1
    --- stderr
    "#);
}

#[test]
fn decide_refuses_what_the_service_would_refuse() {
    let setup = Setup::new();
    let request = DELETE_EMPTY.replace("deleteCategory", "deleteCategry");
    let output = run(&setup, &["decide", "--principal", "alice"], &request);
    assert_snapshot!(shown(&setup, &output), @r#"
    exit 1
    --- stdout
    refused: unknown_action: the schema has no action `deleteCategry`: did you mean `deleteCategory`?
    --- stderr
    "#);
    let request = DELETE_EMPTY.replace(": 0", ": \"none\"");
    let output = run(&setup, &["decide", "--principal", "alice"], &request);
    assert_snapshot!(shown(&setup, &output), @r#"
    exit 1
    --- stdout
    refused: schema_mismatch: `context.productCount` is a string, and the schema wants an integer
    --- stderr
    "#);
    let output = run(&setup, &["decide", "--principal", "alice"], "{\"action\": ");
    assert_snapshot!(shown(&setup, &output), @r#"
    exit 2
    --- stdout

    --- stderr
      × malformed_request: the text ends within a value (line 1, column 11)
    "#);
    let output = run(&setup, &["decide"], DELETE_EMPTY);
    assert_snapshot!(shown(&setup, &output), @r#"
    exit 2
    --- stdout

    --- stderr
    error: the following required arguments were not provided:
      <--token <FILE>|--claims <FILE>|--principal <SUB>|--machine <CLIENT_ID>>

    Usage: palisade decide <--token <FILE>|--claims <FILE>|--principal <SUB>|--machine <CLIENT_ID>>

    For more information, try '--help'.
    "#);
}

#[test]
fn decide_takes_the_claims_of_a_token() {
    let setup = Setup::new();
    let claims = json!({
        "sub": "alice", "iss": ISSUER, "client_id": CLIENT, "token_use": "access", "username": "alice",
        "cognito:groups": ["admin"],
    });
    setup.write("claims.json", &claims.to_string());
    let output = run(&setup, &["decide", "--claims", "claims.json"], DELETE_EMPTY);
    assert_snapshot!(shown(&setup, &output), @r#"
    exit 0
    --- stdout
    allow: permitted
    principal Shop::User::"alice" (access token)
      in Shop::Group::"admin" (token)
      groups = ["admin"]
      username = "alice"
    permit admins-manage-categories at policies/category.cedar:5:1
      ☞ forbid filled-categories-stay did not apply: a condition does not hold
        ╭─[policies/category.cedar:28:8]
     27 │ )
     28 │ when { context.productCount > 0 };
        ·        ────────────┬───────────
        ·                    ╰── `context.productCount` is 0
        ╰────
    --- stderr
    "#);
}

#[test]
fn decide_takes_a_token() {
    let setup = Setup::new();
    setup.write("token.txt", &good_token(&setup));
    let output = run(&setup, &["decide", "--token", "token.txt"], DELETE_EMPTY);
    assert!(shown(&setup, &output).starts_with("exit 0\n--- stdout\nallow: permitted\n"), "{output:?}");
}

#[test]
fn decide_fails_where_another_decision_was_expected() {
    let setup = Setup::new();
    let decide = ["decide", "--principal", "bob", "--group", "user", "--expect"];
    let expecting = |decision| run(&setup, &[decide.as_slice(), &[decision]].concat(), DELETE_EMPTY);
    assert_eq!(expecting("deny").status.code(), Some(0));
    assert_snapshot!(shown(&setup, &expecting("allow")), @r#"
    exit 1
    --- stdout
    deny: no_permit
    principal Shop::User::"bob" (access token)
      in Shop::Group::"user" (token)
      groups = ["user"]
      ☞ permit admins-manage-categories did not apply: a condition does not hold
        ╭─[policies/category.cedar:11:8]
     10 │ )
     11 │ when { principal.groups.contains("admin") };
        ·        ─────────────────┬────────────────
        ·                         ╰── `principal.groups` is ["user"]
     12 │
        ╰────
    --- stderr
      × another decision was expected than `deny`
    "#);
}

#[test]
fn token_says_of_every_rule_that_it_is_kept() {
    let setup = Setup::new();
    assert_snapshot!(shown(&setup, &run(&setup, &["token"], &good_token(&setup))), @r#"
    exit 0
    --- stdout
    ✓ three parts of base64url that hold JSON
    ✓ signed with RS256, by a key that it names
    ✓ `iss` is configured
    ✓ `kid` is one of the issuer's keys
    ✓ the signature is that key's
    ✓ the claims of every token, each of its type
    ✓ `sub` has 1 to 256 bytes
    ✓ `exp` has not passed
    ✓ `iat` is not in the future
    ✓ no older than `max_token_age`, and never will be
    ✓ `nbf`, if there is one, has passed
    ✓ `token_use` is accepted: `access`
    ✓ its client is accepted: `test-client`
    ✓ `aud` of an access token, if there is one, is accepted
    ✓ clearly a user's, or a machine's where those are accepted: a user's
    ✓ groups are an array of names: admin
    ✓ mapped claims can be values
    --- stderr
    "#);
}

#[test]
fn token_names_the_setting_that_an_id_token_would_need() {
    let setup = Setup::new();
    let claims = json!({
        "sub": "alice", "iss": ISSUER, "aud": CLIENT, "token_use": "id", "cognito:username": "alice",
        "jti": "j-1", "iat": now(), "auth_time": now(), "exp": now() + 600,
    });
    let mut command = setup.command(&["token"]);
    let only_access = std::fs::read_to_string(setup.path("palisade.toml"))
        .unwrap()
        .replace("[\"access\", \"id\"]", "[\"access\"]");
    setup.write("palisade.toml", &only_access);
    command.env("NO_COLOR", "1");
    assert_snapshot!(shown(&setup, &finish(command, &token(&setup, &claims))), @r#"
    exit 1
    --- stdout
    this is an ID token, and `issuers.0.token_use` expects the access token
        send the access token of the same sign-in, or change `issuers.0.token_use`

    ✓ three parts of base64url that hold JSON
    ✓ signed with RS256, by a key that it names
    ✓ `iss` is configured
    ✓ `kid` is one of the issuer's keys
    ✓ the signature is that key's
    ✓ the claims of every token, each of its type
    ✓ `sub` has 1 to 256 bytes
    ✓ `exp` has not passed
    ✓ `iat` is not in the future
    ✓ no older than `max_token_age`, and never will be
    ✓ `nbf`, if there is one, has passed
    ✗ `token_use` is accepted: `token_use` is not among the issuer's; `id`
        `issuers.0.token_use` would have to change (<folder>/palisade.toml:14)
    ✓ its client is accepted: `test-client`
    ✓ `aud` of an access token, if there is one, is accepted
    ✓ clearly a user's, or a machine's where those are accepted: a user's
    ✓ groups are an array of names
    ✓ mapped claims can be values
    --- stderr
    "#);
}

#[test]
fn token_knows_what_people_paste() {
    let setup = Setup::new();
    let pasted = format!("Bearer {}\n", good_token(&setup));
    assert_snapshot!(shown(&setup, &run(&setup, &["token"], &pasted)), @r#"
    exit 0
    --- stdout
    ✓ three parts of base64url that hold JSON
    ✓ signed with RS256, by a key that it names
    ✓ `iss` is configured
    ✓ `kid` is one of the issuer's keys
    ✓ the signature is that key's
    ✓ the claims of every token, each of its type
    ✓ `sub` has 1 to 256 bytes
    ✓ `exp` has not passed
    ✓ `iat` is not in the future
    ✓ no older than `max_token_age`, and never will be
    ✓ `nbf`, if there is one, has passed
    ✓ `token_use` is accepted: `access`
    ✓ its client is accepted: `test-client`
    ✓ `aud` of an access token, if there is one, is accepted
    ✓ clearly a user's, or a machine's where those are accepted: a user's
    ✓ groups are an array of names: admin
    ✓ mapped claims can be values
    --- stderr
    "#);
    assert_snapshot!(shown(&setup, &run(&setup, &["token"], "garbage")), @r#"
    exit 1
    --- stdout
    ✗ three parts of base64url that hold JSON: it does not consist of three non-empty parts with dots between them
    · signed with RS256, by a key that it names
    · `iss` is configured
    · `kid` is one of the issuer's keys
    · the signature is that key's
    · the claims of every token, each of its type
    · `sub` has 1 to 256 bytes
    · `exp` has not passed
    · `iat` is not in the future
    · no older than `max_token_age`, and never will be
    · `nbf`, if there is one, has passed
    · `token_use` is accepted
    · its client is accepted
    · `aud` of an access token, if there is one, is accepted
    · clearly a user's, or a machine's where those are accepted
    · groups are an array of names
    · mapped claims can be values
    --- stderr
    "#);
    assert_snapshot!(shown(&setup, &run(&setup, &["token"], "")), @r#"
    exit 2
    --- stdout

    --- stderr
      × no token came on standard input: write `palisade token < token.txt`
    "#);
}

#[test]
fn token_never_shows_any_part_of_it() {
    let setup = Setup::new();
    let token = good_token(&setup);
    let signature = token.rsplit('.').next().unwrap();
    for input in [token.clone(), format!("Bearer {token}"), token.replace('.', "")] {
        let output = shown(&setup, &run(&setup, &["token"], &input));
        assert!(!output.contains(&signature[..16]) && !output.contains("eyJ"), "{output}");
    }
}

#[test]
fn health_says_where_nobody_answers() {
    let setup = Setup::new();
    let mut command = setup.command(&["health"]);
    command.env("PALISADE__SERVER__OPS_LISTEN", "127.0.0.1:1");
    assert_snapshot!(shown(&setup, &finish(command, "")), @r#"
    exit 1
    --- stdout

    --- stderr
      × nobody answers at `127.0.0.1:1`: Connection refused (os error 111)
      help: `server.ops_listen` says where the service listens
    "#);
}

#[test]
fn a_key_that_palisade_does_not_know_is_shown_at_its_line() {
    let setup = Setup::new().settings("[policis]\ndir = \"policies\"\n");
    assert_snapshot!(shown(&setup, &run(&setup, &["check"], "")), @r#"
    exit 2
    --- stdout

    --- stderr
    configuration

      × unknown key `policis`, expected one of `namespace`, `server`, `policies`, `issuers`, `check`, `audit`, `authorizer`, `limits`, `log`
        ╭─[<folder>/palisade.toml:17:2]
     16 │ machine_type = "Machine"
     17 │ [policis]
        ·  ───────
     18 │ dir = "policies"
        ╰────
      help: did you mean `policies`?
    "#);
    let setup = Setup::new();
    let mut command = setup.command(&["check"]);
    command.env("PALISADE__SERVER__LISTN", "127.0.0.1:0");
    assert_snapshot!(shown(&setup, &finish(command, "")), @r#"
    exit 2
    --- stdout

    --- stderr
    configuration

      × PALISADE__SERVER__LISTN: unknown key `listn`, expected one of `listen`, `ops_listen`, `socket_mode`, `allow_anonymous`, `explain`, `drain`, `workers`
      help: did you mean `PALISADE__SERVER__LISTEN`?
    "#);
}

#[test]
fn no_verb_is_told_which_there_are() {
    let setup = Setup::new();
    assert_snapshot!(shown(&setup, &run(&setup, &[], "")), @r#"
    exit 2
    --- stdout

    --- stderr
    error: 'palisade' requires a subcommand but one was not provided
      [subcommands: serve, lambda-extension, lambda-authorizer, dev, init, check, test, diff, bundle, fmt, decide, token, health, help]

    Usage: palisade [OPTIONS] <COMMAND>

    For more information, try '--help'.
    "#);
}

#[test]
fn the_commands_of_the_readme_work() {
    let root = env!("CARGO_MANIFEST_DIR");
    let readme = std::fs::read_to_string(format!("{root}/README.md")).unwrap();
    let blocks = readme.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let commands: Vec<_> = blocks
        .map(|block| block.replace("|\n", "| "))
        .flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>())
        .filter(|line| {
            ["check", "fmt", "decide", "test"].iter().any(|verb| line.contains(&format!("release -- {verb}")))
        })
        .collect();
    assert_eq!(commands.len(), 5, "{commands:#?}");
    for command in commands {
        let line = command.replace("cargo run --release --", env!("CARGO_BIN_EXE_palisade"));
        let output = Command::new("sh").args(["-c", &line]).current_dir(root).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{command}: {output:?}");
    }
}

/// `palisade dev` in an empty folder.
pub(crate) struct Dev {
    child: Child,
    lines: mpsc::Receiver<String>,
    _folder: tempfile::TempDir,
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _gone_already = self.child.wait();
    }
}

impl Dev {
    fn command(folder: &tempfile::TempDir) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_palisade"));
        command
            .env_clear()
            .env("PALISADE__SERVER__LISTEN", "127.0.0.1:0")
            .env("PALISADE__SERVER__OPS_LISTEN", "127.0.0.1:0")
            .current_dir(folder.path())
            .arg("dev");
        command
    }

    pub(crate) fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap())
    }

    pub(crate) fn start_in(folder: tempfile::TempDir) -> Self {
        let mut command = Self::command(&folder);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let _nobody_listens = sender.send(line);
            }
        });
        Self { child, lines, _folder: folder }
    }

    /// The next line that begins so.
    pub(crate) fn line(&self, start: &str) -> String {
        loop {
            let line =
                self.lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no line `{start}…` came"));
            if line.starts_with(start) {
                return line;
            }
        }
    }
}

/// What a shell prints for a line.
fn pasted(line: &str) -> Value {
    let output = Command::new("sh").args(["-c", line]).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {line}: {output:?}"))
}

#[test]
fn the_lines_that_dev_prints_work_as_they_are() {
    let dev = Dev::start();
    let update = pasted(&dev.line("curl"));
    assert_eq!((&update["decision"], &update["reason"]), (&json!("allow"), &json!("permitted")), "{update}");
    let refused = pasted(&dev.line("curl"));
    assert_eq!(
        (&refused["decision"], &refused["reason"]),
        (&json!("deny"), &json!("no_permit")),
        "{refused}"
    );
    let filled = pasted(&dev.line("curl"));
    assert_eq!((&filled["decision"], &filled["reason"]), (&json!("deny"), &json!("forbidden")), "{filled}");
    assert_eq!(filled["policies"], json!(["filled-categories-stay"]));
    assert_eq!(filled["explain"]["policies"][0]["path"], "policies/category.cedar", "{filled}");

    let mint = dev.line("curl");
    assert!(pasted(&mint)["token"].as_str().unwrap().starts_with("eyJ"));
    let status = |more: &str| pasted(&format!("{mint} {more}"))["status"].clone();
    assert_eq!(status("-H 'origin: http://localhost:3000'"), 403);
    assert_eq!(status("-H 'origin: null'"), 403);
    assert_eq!(status("-H 'host: rebound.example.com'"), 403);
    let as_text = mint.replace("application/json", "text/plain");
    assert_eq!(pasted(&as_text)["status"], 415);
}

#[test]
fn dev_does_not_mint_tokens_for_other_machines() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["PALISADE__SERVER__LISTEN", "PALISADE__SERVER__OPS_LISTEN"] {
        let output = Dev::command(&folder).env(name, "0.0.0.0:0").output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(name) && stderr.contains("listen on loopback"), "{stderr}");
    }
}
