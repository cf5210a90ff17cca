//! Fetching from endpoints that are down, slow, huge, redirecting or lying.

use super::super::canned::{Answer, Endpoint as Canned};
use super::super::issuer::SigningKey;
use super::*;

const QUICK: Bounds = Bounds { timeout: Duration::from_millis(200), bytes: 16 * 1024 };

fn document() -> String {
    format!(r#"{{"keys": [{}]}}"#, SigningKey::generate("a").unwrap().jwk())
}

async fn fetch(source: KeySource) -> Result<usize, FetchFault> {
    let patient = Bounds { timeout: Duration::from_secs(20), ..QUICK };
    fetch_within(source, patient).await
}

async fn fetch_within(source: KeySource, bounds: Bounds) -> Result<usize, FetchFault> {
    Fetcher::new([&source], bounds).unwrap().fetch(&source).await.map(|keys| keys.len())
}

fn url(text: &str) -> KeySource {
    KeySource::Url(Endpoint::parse(text).unwrap())
}

async fn answered(answer: Answer) -> Result<usize, FetchFault> {
    let server = Canned::start(answer).await;
    fetch(url(&server.url)).await
}

#[tokio::test]
async fn keys_are_fetched() {
    assert_eq!(answered(Answer::ok(&document())).await, Ok(1));
}

#[tokio::test]
async fn any_status_but_200_is_a_failure_whatever_the_body() {
    for status in ["201 Created", "404 Not Found", "500 Internal Server Error", "503 Busy"] {
        let fault = answered(Answer::status(status, &document())).await.unwrap_err();
        assert_eq!(fault.result(), "status", "{status}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Canned::start(Answer::ok(&document())).await;
    for status in ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"] {
        let head = format!("HTTP/1.1 {status}\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", elsewhere.url);
        assert_eq!(answered(Answer::Bytes(head.into_bytes())).await.unwrap_err().result(), "redirect");
    }
    assert_eq!(elsewhere.requests(), 0);
}

#[tokio::test]
async fn a_body_without_end_is_cut_off() {
    assert_eq!(answered(Answer::Endless).await.unwrap_err(), FetchFault::TooLarge(QUICK.bytes));
    let large = format!("{}{}", document(), " ".repeat(QUICK.bytes));
    assert_eq!(answered(Answer::ok(&large)).await.unwrap_err().result(), "too_large");
}

#[tokio::test]
async fn an_endpoint_that_says_nothing_is_left_in_time() {
    let server = Canned::start(Answer::Silence).await;
    let clock = crate::clock::Clock::machine();
    let fault = fetch_within(url(&server.url), QUICK).await.unwrap_err();
    assert_eq!(fault, AnswerFault::Timeout(QUICK.timeout).into());
    assert!(clock.now().monotonic < TIMEOUT, "{:?}", clock.now());
}

#[tokio::test]
async fn an_endpoint_that_lies_gives_no_keys() {
    for (body, result) in [
        ("<html>Sign in to this network</html>", "unparseable"),
        ("", "unparseable"),
        (r#"{"keys": []}"#, "empty"),
        (r#"{"keys": [{"kty": "oct", "kid": "a", "k": "AAAA"}]}"#, "empty"),
    ] {
        assert_eq!(answered(Answer::ok(body)).await.unwrap_err().result(), result, "{body}");
    }
    let document = document();
    let short = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{document}", document.len() + 1);
    assert_eq!(answered(Answer::Bytes(short.into_bytes())).await.unwrap_err().result(), "unreachable");
    assert_eq!(answered(Answer::Bytes(b"SSH-2.0-x\r\n".to_vec())).await.unwrap_err().result(), "unreachable");
}

#[tokio::test]
async fn an_endpoint_that_is_down_is_named_with_its_cause() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let fault = fetch(url(&format!("http://{address}/"))).await.unwrap_err();
    assert!(fault.to_string().contains("refused"), "{fault}");
}

#[tokio::test]
async fn keys_can_come_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    assert_eq!(fetch(KeySource::File(path.clone())).await.unwrap_err().result(), "unreachable");
    write(&path, &document());
    assert_eq!(fetch(KeySource::File(path.clone())).await, Ok(1));
    write(&path, &" ".repeat(QUICK.bytes + 1));
    assert_eq!(fetch(KeySource::File(path)).await.unwrap_err(), FetchFault::TooLarge(QUICK.bytes));
}

#[tokio::test]
async fn a_client_is_set_up_only_where_a_source_needs_one() {
    let given = KeySource::Given(Arc::from(document()));
    let fetcher = Fetcher::new([&given], QUICK).unwrap();
    assert!(fetcher.clients.is_empty());
    assert_eq!(fetcher.fetch(&given).await.unwrap().len(), 1);
    assert!(fetcher.fetch(&url("https://localhost/")).await.is_err());
}

#[expect(clippy::disallowed_methods, reason = "the test writes the file that the fetcher reads")]
fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}
