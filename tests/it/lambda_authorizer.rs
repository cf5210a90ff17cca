//! The Lambda authorizer as API Gateway meets it: the real program behind a Runtime API, asked with the events
//! that AWS documents.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use palisade::identity::issuer::Cognito;
use palisade::model::Timestamp;
use serde_json::{Value, json};

use crate::harness::{CLIENT, ProgramLog, Setup, now, send};
use crate::lambda_extension::{Call, Lambda};

const REST_TOKEN: &str = include_str!("../fixtures/gateway/rest-token.json");
const REST_REQUEST: &str = include_str!("../fixtures/gateway/rest-request.json");
const HTTP_1: &str = include_str!("../fixtures/gateway/http-1.0.json");
pub(crate) const HTTP_2: &str = include_str!("../fixtures/gateway/http-2.0.json");

const ROUTES: &str = include_str!("../../examples/authorizer/routes.toml");

/// The authorizer of the shop, waiting for an event.
pub(crate) struct Authorizer {
    pub(crate) setup: Setup,
    lambda: Lambda,
    waiting: Option<Call>,
    child: Child,
    log: ProgramLog,
}

/// The shop with an authorizer that answers in this form.
pub(crate) fn shop(answer: &str) -> Setup {
    let setup = Setup::new().settings(&format!("[authorizer]\nanswer = \"{answer}\"\n"));
    setup.write("routes.toml", ROUTES);
    setup
}

fn spawn(lambda: &Lambda, mut command: Command) -> Child {
    command.env("AWS_LAMBDA_RUNTIME_API", lambda.address.to_string()).env("PALISADE__AUDIT__STALL", "5s");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

impl Authorizer {
    pub(crate) async fn start(setup: Setup) -> Self {
        let command = setup.command(&["lambda-authorizer"]);
        Self::start_as(setup, command).await
    }

    async fn start_as(setup: Setup, command: Command) -> Self {
        let mut lambda = Lambda::start().await;
        let mut child = spawn(&lambda, command);
        let log = ProgramLog::of(&mut child);
        let waiting = Some(lambda.call("GET invocation/next").await);
        Self { setup, lambda, waiting, child, log }
    }

    /// What the event is answered, or failed with.
    pub(crate) async fn ask(&mut self, event: &str) -> Result<Value, Value> {
        let event = serde_json::from_str(event).unwrap_or_else(|_| json!(event));
        self.waiting.take().unwrap().answer([("lambda-runtime-aws-request-id", "r-1")], event);
        let call = self.lambda.next().await;
        let (line, headers, body) = (call.line.clone(), call.headers.clone(), call.body.clone());
        call.accept();
        self.waiting = Some(self.lambda.call("GET invocation/next").await);
        match line.as_str() {
            "POST invocation/r-1/response" => Ok(body),
            "POST invocation/r-1/error" => {
                assert_eq!(
                    headers["lambda-runtime-function-error-type"],
                    body["errorType"].as_str().unwrap()
                );
                Err(body)
            }
            other => panic!("{other}"),
        }
    }

    pub(crate) fn token(&self, user: &str, group: &str) -> String {
        let claims = Cognito::access(user, &[group], CLIENT, Timestamp::from_millis(now() * 1_000));
        self.setup.issuer.issue(&claims).unwrap().expose().to_owned()
    }

    /// The next line of the program log with this message.
    pub(crate) fn said(&self, message: &str) -> Value {
        self.log.line(message)
    }

    pub(crate) fn signal(&self, signal: &str) {
        send(signal, &self.child);
    }

    /// The decision log.
    pub(crate) fn records(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.setup.path("decisions.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Authorizer {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _gone_already = self.child.wait();
    }
}

/// A documented event with this token in it.
pub(crate) fn with(event: &str, token: &str) -> String {
    event.replace("eyJh.eyJz.c2ln", token)
}

/// What a policy says: effect, resource, principal.
fn policy(answer: &Value) -> (&str, &str, &str) {
    let [statement] = answer["policyDocument"]["Statement"].as_array().unwrap().as_slice() else {
        panic!("one statement: {answer}")
    };
    assert_eq!(statement["Action"], "execute-api:Invoke");
    (
        statement["Effect"].as_str().unwrap(),
        statement["Resource"].as_str().unwrap(),
        answer["principalId"].as_str().unwrap(),
    )
}

fn arn(event: &str) -> String {
    let event: Value = serde_json::from_str(event).unwrap();
    event["methodArn"].as_str().or(event["routeArn"].as_str()).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_event_is_allowed_or_denied_by_the_policies_about_the_method_asked_for() {
    let mut authorizer = Authorizer::start(shop("iam")).await;
    let (alice, bob) = (authorizer.token("alice", "admin"), authorizer.token("bob", "user"));
    for event in [REST_TOKEN, REST_REQUEST, HTTP_1, HTTP_2] {
        let allowed = authorizer.ask(&with(event, &alice)).await.unwrap();
        assert_eq!(policy(&allowed), ("Allow", &*arn(event), "alice"));
        assert_eq!(allowed["context"]["reason"], "permitted");
        let record = authorizer.records().pop().unwrap();
        assert_eq!(record["decision_id"], allowed["context"]["decision_id"], "it is on record");
        assert_eq!(record["request_id"], "r-1");
        assert_eq!(record["resource"], "Shop::Product::\"p-42\"");

        let denied = authorizer.ask(&with(event, &bob)).await.unwrap();
        assert_eq!(policy(&denied), ("Deny", &*arn(event), "bob"));
        assert_eq!(denied["context"]["reason"], "no_permit");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_simple_answer_is_for_format_2_and_an_error_for_whoever_would_not_read_it() {
    let mut authorizer = Authorizer::start(shop("simple")).await;
    let (alice, bob) = (authorizer.token("alice", "admin"), authorizer.token("bob", "user"));
    let allowed = authorizer.ask(&with(HTTP_2, &alice)).await.unwrap();
    assert_eq!((&allowed["isAuthorized"], &allowed["context"]["sub"]), (&json!(true), &json!("alice")));
    assert_eq!(authorizer.ask(&with(HTTP_2, &bob)).await.unwrap()["isAuthorized"], false);
    for event in [REST_TOKEN, REST_REQUEST, HTTP_1] {
        let error = authorizer.ask(&with(event, &alice)).await.unwrap_err();
        assert_eq!(error["errorType"], "Authorizer.ConfigInvalid", "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_token_is_unauthorized_and_never_shown() {
    let mut authorizer = Authorizer::start(shop("iam")).await;
    let alice = authorizer.token("alice", "admin");
    let old = Cognito::access("alice", &["admin"], CLIENT, Timestamp::from_millis((now() - 7_200) * 1_000));
    let old = authorizer.setup.issuer.issue(&old).unwrap().expose().to_owned();
    let (head, tail) = alice.split_at(40);
    let broken = [format!("{head}\\r\\n{tail}"), format!("{alice}\\n"), format!("{alice}\\r\\nX-User: root")];
    let broken = broken.iter().map(String::as_str);
    for token in [&alice[..alice.len() - 4], old.as_str(), "x", "a b"].into_iter().chain(broken) {
        for event in [REST_TOKEN, REST_REQUEST] {
            let error = authorizer.ask(&with(event, token)).await.unwrap_err();
            assert_eq!(
                error,
                json!({"errorMessage": "Unauthorized", "errorType": "Unauthorized", "stackTrace": []})
            );
        }
        for event in [HTTP_1, HTTP_2] {
            let denied = authorizer.ask(&with(event, token)).await.unwrap();
            assert_eq!(policy(&denied), ("Deny", &*arn(event), "nobody"), "HTTP APIs know no such error");
        }
    }
    let none = REST_REQUEST.replace("Authorization", "X-Authorization");
    assert_eq!(authorizer.ask(&none).await.unwrap_err()["errorMessage"], "Unauthorized");
    assert_eq!(authorizer.records(), [] as [Value; 0], "of nobody there is nothing to record");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_map_does_not_know_and_what_could_be_read_in_two_ways_is_denied_on_record() {
    let mut authorizer = Authorizer::start(shop("iam")).await;
    let alice = authorizer.token("alice", "admin");
    let fixtures = [REST_TOKEN, REST_REQUEST, HTTP_1, HTTP_2];
    for (path, reason) in [
        ("nothing/p-42", "no_route"),
        ("Products/p-42", "no_route"),
        ("products/p-42/reviews", "no_route"),
        ("products/..", "malformed_request"),
        ("products//p-42", "malformed_request"),
        ("products/p%2542", "malformed_request"),
        ("products/p%2f42", "malformed_request"),
    ] {
        for event in fixtures {
            let event = with(&event.replace("products/p-42", path), &alice);
            let denied = authorizer.ask(&event).await.unwrap();
            assert_eq!(policy(&denied), ("Deny", &*arn(&event), "alice"), "{path}");
            assert_eq!(denied["context"]["reason"], reason, "{path}");
            let record = authorizer.records().pop().unwrap();
            assert_eq!((&record["outcome"], &record["code"]), (&json!("refused"), &json!(reason)), "{path}");
        }
    }
    let other_id = with(&HTTP_2.replace("\"id\": \"p-42\"", "\"id\": \"p-43\""), &alice);
    assert_eq!(
        policy(&authorizer.ask(&other_id).await.unwrap()).0,
        "Deny",
        "the handler would see another id"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_iam_reads_as_a_pattern_is_refused_on_record_once_the_token_is_accepted() {
    const PATTERNS: [&str; 4] = ["products/*", "products/p?", "products/${aws:username}", "products/p\\n"];
    let mut simple = Authorizer::start(shop("simple")).await;
    let mut iam = Authorizer::start(shop("iam")).await;
    for path in PATTERNS {
        let event = |event: &str, token: &str| with(&event.replace("products/p-42", path), token);
        let alice = simple.token("alice", "admin");
        assert_eq!(simple.ask(&event(HTTP_2, &alice)).await.unwrap()["isAuthorized"], false, "{path}");
        let record = simple.records().pop().unwrap();
        assert_eq!((&record["outcome"], &record["code"]), (&json!("refused"), &json!("malformed_request")));

        let alice = iam.token("alice", "admin");
        for documented in [REST_TOKEN, REST_REQUEST, HTTP_1, HTTP_2] {
            let before = iam.records().len();
            let error = iam.ask(&event(documented, &alice)).await.unwrap_err();
            assert_eq!(error["errorType"], "Authorizer.EventInvalid", "{path}: {error}");
            assert_eq!(iam.records().len(), before + 1, "{path}");
        }
        let error = iam.ask(&event(REST_REQUEST, "x")).await.unwrap_err();
        assert_eq!(error["errorType"], "Unauthorized", "the token comes first");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_event_of_an_authorizer_is_an_error() {
    let mut authorizer = Authorizer::start(shop("iam")).await;
    let alice = authorizer.token("alice", "admin");
    for event in [
        "{}".to_owned(),
        "no event".to_owned(),
        with(&HTTP_2.replace("\"2.0\"", "\"3.0\""), &alice),
        with(&REST_TOKEN.replace("/PUT/", "/*/"), &alice),
        with(&REST_REQUEST.replace("\"path\": \"/products/p-42\"", "\"path\": \"/products/p-43\""), &alice),
    ] {
        let error = authorizer.ask(&event).await.unwrap_err();
        assert_eq!(error["errorType"], "Authorizer.EventInvalid", "{event}");
        assert!(!error.to_string().contains(&alice[..20]), "{error}");
    }
    assert!(authorizer.ask(&with(REST_TOKEN, &alice)).await.is_ok(), "and the next event is answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_keys_or_without_a_record_nobody_passes() {
    let setup = shop("iam");
    std::fs::remove_file(setup.path("jwks.json")).unwrap();
    let mut authorizer = Authorizer::start(setup).await;
    let alice = authorizer.token("alice", "admin");
    for event in [REST_TOKEN, HTTP_2] {
        let error = authorizer.ask(&with(event, &alice)).await.unwrap_err();
        assert_eq!(error["errorType"], "Authorizer.KeysUnavailable", "{error}");
        assert_ne!(error["errorMessage"], "Unauthorized", "an outage logs nobody out");
    }
    let full = shop("iam").settings("[audit]\nsink = \"file\"\npath = \"/dev/full\"\n");
    let text = std::fs::read_to_string(full.configuration()).unwrap();
    full.write("full.toml", &text.replacen("[audit]\nsink = \"file\"\n", "", 1));
    let mut command = Command::new(env!("CARGO_BIN_EXE_palisade"));
    command.env_clear().current_dir(full.folder.path()).args(["--config", "full.toml", "lambda-authorizer"]);
    let mut authorizer = Authorizer::start_as(full, command).await;
    let alice = authorizer.token("alice", "admin");
    let error = authorizer.ask(&with(REST_TOKEN, &alice)).await.unwrap_err();
    assert_eq!(error["errorType"], "Authorizer.AuditUnavailable", "{error}");
}

/// What is reported to Lambda where the authorizer cannot start.
async fn refusal(setup: &Setup) -> Value {
    let mut lambda = Lambda::start().await;
    let mut child = spawn(&lambda, setup.command(&["lambda-authorizer"]));
    let report = lambda.call("POST init/error").await;
    let body = report.body.clone();
    assert_eq!(report.headers["lambda-runtime-function-error-type"], body["errorType"].as_str().unwrap());
    report.accept();
    assert_eq!(child.wait().unwrap().code(), Some(2));
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn why_it_cannot_start_is_reported() {
    let error = refusal(&Setup::new()).await;
    assert_eq!(error["errorType"], "Authorizer.ConfigInvalid");
    assert!(error["errorMessage"].as_str().unwrap().contains("there is no `[authorizer]`"), "{error}");

    let setup = shop("iam");
    setup.write("routes.toml", &ROUTES.replace("updateProduct", "updateProdukt"));
    let error = refusal(&setup).await;
    assert_eq!(error["errorType"], "Authorizer.ConfigInvalid");
    let message = error["errorMessage"].as_str().unwrap();
    assert!(message.contains("routes.toml:15:1: the schema has no action `updateProdukt`"), "{error}");

    let setup = shop("iam");
    setup.write("policies/one.cedar", "permit (principal);\n");
    assert_eq!(refusal(&setup).await["errorType"], "Authorizer.PoliciesInvalid");
}

/// Exit code, and each finding as `path:line: severity`, with its message.
fn check(setup: &Setup) -> (i32, Vec<String>) {
    let output = setup.command(&["check", "--format", "json"]).output().unwrap();
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = printed["findings"].as_array().unwrap().iter();
    let shown = findings.map(|finding| {
        let text = |name: &str| finding[name].as_str().unwrap_or_default().to_owned();
        format!("{}:{}: {}: {}", text("path"), finding["line"], text("severity"), text("message"))
    });
    (output.status.code().unwrap(), shown.collect())
}

#[test]
fn check_judges_the_route_map_where_it_is_configured() {
    let setup = shop("iam");
    assert_eq!(check(&setup), (0, vec![]), "the map that ships");

    let delete = "[[routes]]\nmethod = \"DELETE\"\npath = \"/categories/{id}\"\naction = \"deleteCategory\"\n\
                  resource = { type = \"Category\", parameter = \"id\" }\n";
    setup.write("routes.toml", &format!("{delete}{ROUTES}"));
    assert_eq!(
        check(&setup),
        (1, vec!["routes.toml:4: error: `deleteCategory` requires `context.productCount`, which neither method, path nor query gives".to_owned()])
    );

    setup.write("routes.toml", ROUTES);
    setup.write(
        "policies/owners.cedar",
        "@id(\"owners\") permit (principal is Shop::User, action == Shop::Action::\"updateProduct\", resource)\n\
         when { resource has owner && resource.owner == principal };\n",
    );
    assert_eq!(
        check(&setup),
        (0, vec!["routes.toml:15: warning: `owners` may apply and look into the resource, of which a path says nothing but its id".to_owned()])
    );

    std::fs::remove_file(setup.path("routes.toml")).unwrap();
    let (exit, findings) = check(&setup);
    assert!(exit == 1 && findings[0].contains("the route map `routes.toml` cannot be read"), "{findings:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_function_that_ships_is_started_by_its_bootstrap() {
    let setup = Setup::new();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/authorizer");
    for name in ["bootstrap", "palisade.toml", "routes.toml"] {
        std::fs::copy(shipped.join(name), setup.path(name)).unwrap();
    }
    symlink(env!("CARGO_BIN_EXE_palisade"), setup.path("palisade")).unwrap();
    let mut command = Command::new(setup.path("bootstrap"));
    command.env("LAMBDA_TASK_ROOT", setup.folder.path()).envs([
        ("PALISADE__ISSUERS__0__ISSUER", setup.issuer.issuer()),
        ("PALISADE__ISSUERS__0__CLIENT_IDS", &format!("[\"{CLIENT}\"]")),
        ("PALISADE__ISSUERS__0__TOKEN_USE", "[\"access\"]"),
        ("PALISADE__ISSUERS__0__JWKS_FILE", "jwks.json"),
    ]);
    let mut authorizer = Authorizer::start_as(setup, command).await;
    let alice = authorizer.token("alice", "admin");
    assert_eq!(authorizer.ask(&with(HTTP_2, &alice)).await.unwrap()["isAuthorized"], true);
}

#[test]
fn elsewhere_than_in_lambda_it_says_so() {
    let output = shop("iam").command(&["lambda-authorizer"]).output().unwrap();
    let shown = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && shown.contains("AWS_LAMBDA_RUNTIME_API"), "{shown}");
}
