//! The extension as Lambda meets it: in which order it does what, and what it says where it cannot serve.
//! Freezing, thawing and crashing are in `tests/lambda`.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::bundle::{ANYBODY, bundled, shop, unless_side_by_side};
use crate::harness::{PATIENCE, Service, Setup, update};
use crate::shelf::Shelf;

/// The APIs of an environment, each of whose calls a test answers itself.
pub(crate) struct Lambda {
    pub(crate) address: SocketAddr,
    calls: mpsc::UnboundedReceiver<Call>,
}

/// A call that waits for its answer.
pub(crate) struct Call {
    /// `POST register`
    pub(crate) line: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    answer: oneshot::Sender<Response>,
}

impl Lambda {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, calls) = mpsc::unbounded_channel();
        let router = Router::new().fallback(take).with_state(sender);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, calls }
    }

    /// The next call, which must be this one.
    pub(crate) async fn call(&mut self, line: &str) -> Call {
        let call = self.next().await;
        assert_eq!(call.line, line, "{}", call.body);
        call
    }

    /// The next call, whatever it is.
    pub(crate) async fn next(&mut self) -> Call {
        timeout(PATIENCE, self.calls.recv()).await.expect("no call came").unwrap()
    }

    /// Accepts the extension, and gives its next call.
    async fn register(&mut self, next: &str) -> Call {
        let call = self.call("POST register").await;
        assert_eq!(call.headers["lambda-extension-name"], "palisade");
        assert_eq!(call.body, json!({"events": ["SHUTDOWN"]}), "no invocation waits for it");
        let function = json!({"functionName": "f", "functionVersion": "$LATEST", "handler": "index.handler"});
        call.answer([("lambda-extension-identifier", "e-1")], function);
        let next = self.call(next).await;
        assert_eq!(next.headers["lambda-extension-identifier"], "e-1");
        next
    }

    /// Starts the extension in an environment of this API.
    fn run(&self, setup: Setup, variables: &[(&str, &str)]) -> Service {
        setup.start_as("lambda-extension", |command| {
            command.env("AWS_LAMBDA_RUNTIME_API", self.address.to_string()).envs(variables.iter().copied());
        })
    }

    /// What the extension reports that cannot start.
    async fn refusal(mut self, setup: &Setup, variables: &[(&str, &str)]) -> Value {
        let mut command = setup.command(&["lambda-extension"]);
        command.env("AWS_LAMBDA_RUNTIME_API", self.address.to_string()).envs(variables.iter().copied());
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let report = self.register("POST init/error").await;
        assert_eq!(
            report.headers["lambda-extension-function-error-type"],
            report.body["errorType"].as_str().unwrap()
        );
        let body = report.body.clone();
        report.accept();
        assert_eq!(child.wait().unwrap().code(), Some(2));
        body
    }
}

async fn take(State(calls): State<mpsc::UnboundedSender<Call>>, request: Request) -> Response {
    let apis = ["/2020-01-01/extension/", "/2018-06-01/runtime/"];
    let path = apis.iter().find_map(|api| request.uri().path().strip_prefix(api)).unwrap_or("?");
    let line = format!("{} {path}", request.method());
    let headers = request.headers().clone();
    let body = to_bytes(request.into_body(), 100_000).await.unwrap();
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let (answer, answered) = oneshot::channel();
    let _the_test_is_over = calls.send(Call { line, headers, body, answer });
    answered.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

impl Call {
    pub(crate) fn answer<const N: usize>(self, headers: [(&'static str, &'static str); N], body: Value) {
        let _it_is_gone = self.answer.send((headers, body.to_string()).into_response());
    }

    pub(crate) fn accept(self) {
        let _it_is_gone = self.answer.send(StatusCode::ACCEPTED.into_response());
    }

    fn shut_down(self) {
        self.answer(
            [],
            json!({"eventType": "SHUTDOWN", "shutdownReason": "SPINDOWN", "deadlineMs": 676_051}),
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_answers_before_it_registers_and_asks_for_the_next_event_last() {
    let mut lambda = Lambda::start().await;
    let mut extension = lambda.run(Setup::new(), &[]);
    let alice = extension.token("alice", &["admin"]);
    let registering = lambda.call("POST register").await;
    assert_eq!(extension.authorize(&alice, update()).await.outcome(), "allow permitted");
    registering.answer([("lambda-extension-identifier", "e-1")], json!({}));
    let waiting = lambda.call("GET event/next").await;
    assert_eq!(extension.authorize(&alice, update()).await.outcome(), "allow permitted");
    waiting.shut_down();
    assert_eq!(extension.ended(), Some(0));
    assert_eq!(extension.records().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_waits_neither_for_the_drain_nor_for_a_request_that_never_comes() {
    let mut lambda = Lambda::start().await;
    let patient = [("PALISADE__SERVER__DRAIN", "1h"), ("PALISADE__LIMITS__REQUEST", "1h")];
    let mut extension = lambda.run(Setup::new(), &patient);
    let waiting = lambda.register("GET event/next").await;
    let mut half = TcpStream::connect(extension.decisions).unwrap();
    half.write_all(b"POST /authorize HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{").unwrap();
    waiting.shut_down();
    assert_eq!(extension.ended(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_cannot_be_reached_leaves_it_ready_and_refusing_until_it_can() {
    let mut lambda = Lambda::start().await;
    let setup = Setup::new();
    let keys = std::fs::read_to_string(setup.path("jwks.json")).unwrap();
    std::fs::remove_file(setup.path("jwks.json")).unwrap();
    let extension = lambda.run(setup, &[]);
    let alice = extension.token("alice", &["admin"]);
    let _waiting = lambda.register("GET event/next").await;
    assert_eq!(extension.authorize(&alice, update()).await.outcome(), "503 not_ready");
    extension.setup.write("jwks.json", &keys);
    extension.until(&alice, update(), |reply| reply.status == 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_freeze_the_first_request_gets_the_bundle_that_is_there_now() {
    let mut lambda = Lambda::start().await;
    let shelf = Shelf::new();
    let setup = shop(&shelf, "max_stale = \"2s\"\n");
    shelf.put(bundled(&setup));
    let extension = lambda.run(setup, &[]);
    let bob = extension.token("bob", &["user"]);
    let _waiting = lambda.register("GET event/next").await;
    assert_eq!(extension.authorize(&bob, update()).await.outcome(), "deny no_permit");
    extension.signal("STOP");
    extension.setup.write("policies/anybody.cedar", ANYBODY);
    shelf.put(bundled(&extension.setup));
    // Longer than `max_stale`: nothing but time makes it so.
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    extension.signal("CONT");
    assert_eq!(extension.authorize(&bob, update()).await.outcome(), "allow permitted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_down_leaves_it_ready_and_refusing_until_it_is_up() {
    let mut lambda = Lambda::start().await;
    let shelf = Shelf::new();
    let extension = lambda.run(shop(&shelf, ""), &[]);
    let bob = extension.token("bob", &["user"]);
    let _waiting = lambda.register("GET event/next").await;
    assert_eq!(extension.authorize(&bob, update()).await.outcome(), "503 not_ready");
    shelf.put(bundled(&extension.setup));
    extension.until(&bob, update(), |reply| reply.outcome() == "deny no_permit").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_waits_for_keys_and_bundle_side_by_side() {
    let mut lambda = Lambda::start().await;
    let shelf = Shelf::new();
    let _extension = lambda.run(unless_side_by_side(&shelf), &[]);
    let _waiting = lambda.register("GET event/next").await;
    assert_eq!(shelf.counts(), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_settings_are_reported_with_their_place() {
    let lambda = Lambda::start().await;
    let error = lambda.refusal(&Setup::new(), &[("PALISADE__ISSUERS__0__TOKEN_USE", "[\"acess\"]")]).await;
    assert_eq!(error["errorType"], "Extension.ConfigInvalid");
    assert!(error["errorMessage"].as_str().unwrap().contains("PALISADE__ISSUERS__0__TOKEN_USE"), "{error}");
    let lambda = Lambda::start().await;
    let setup = Setup::new().settings("leeway = \"1h\"\n");
    let error = lambda.refusal(&setup, &[]).await;
    assert_eq!(error["errorType"], "Extension.ConfigInvalid");
    let message = error["errorMessage"].as_str().unwrap();
    assert!(message.contains("palisade.toml:") && message.contains(":1: `issuers.0.leeway`"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_that_do_not_compile_are_reported_with_their_place() {
    let setup = Setup::new();
    setup.write("policies/one.cedar", "permit (principal);\n");
    let error = Lambda::start().await.refusal(&setup, &[]).await;
    assert_eq!(error["errorType"], "Extension.PoliciesInvalid");
    assert!(error["errorMessage"].as_str().unwrap().contains("policies/one.cedar:1:"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_another_extension_has_taken_is_reported() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let variables = [("PALISADE__SERVER__LISTEN", address.as_str())];
    let error = Lambda::start().await.refusal(&Setup::new(), &variables).await;
    assert_eq!(error["errorType"], "Extension.StartFailed");
    assert!(error["errorMessage"].as_str().unwrap().contains(&address), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_fails_ends_it_with_a_report() {
    let mut lambda = Lambda::start().await;
    let mut extension = lambda.run(Setup::new(), &[]);
    drop(lambda.register("GET event/next").await);
    let report = lambda.call("POST exit/error").await;
    assert_eq!(report.body["errorType"], "Extension.Broken");
    assert!(report.body["errorMessage"].as_str().unwrap().contains("`event/next` with the status 500"));
    report.accept();
    assert_eq!(extension.ended(), Some(2));
}

#[test]
fn elsewhere_than_in_lambda_it_says_so() {
    let output = Setup::new().command(&["lambda-extension"]).output().unwrap();
    let shown = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && shown.contains("AWS_LAMBDA_RUNTIME_API"), "{shown}");
}
