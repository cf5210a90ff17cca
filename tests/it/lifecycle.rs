//! Starting, listening and stopping.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Stdio;

use crate::harness::{Setup, update};

#[tokio::test]
async fn a_service_that_is_told_to_stop_says_so_finishes_and_exits_with_zero() {
    let mut service = Setup::new().start_with(|command| {
        command.env("PALISADE__SERVER__DRAIN", "1s");
    });
    let alice = service.token("alice", &["admin"]);
    while service.operations("/readyz").await.status != 200 {
        tokio::task::yield_now().await;
    }
    assert_eq!(service.operations("/livez").await.status, 200);
    service.signal("TERM");
    service.line("draining");
    assert_eq!(service.operations("/readyz").await.status, 503);
    assert_eq!(
        service.authorize(&alice, update()).await.outcome(),
        "allow permitted",
        "still accepted while draining"
    );
    assert_eq!(service.ended(), Some(0));
    assert_eq!(service.records().len(), 1);
}

#[test]
fn a_unix_socket_is_private_and_a_stale_one_is_replaced() {
    let setup = Setup::new();
    let socket = setup.path("palisade.sock");
    drop(UnixListener::bind(&socket).unwrap());
    let address = format!("unix:{}", socket.display());
    let service = setup.start_with(|command| {
        command.env("PALISADE__SERVER__LISTEN", &address);
    });
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let mut stream = UnixStream::connect(&socket).unwrap();
    let (token, body) = (service.token("alice", &["admin"]), update().to_string());
    write!(
        stream,
        "POST /authorize HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"decision\":\"allow\""), "{answer}");
}

#[test]
fn another_services_socket_and_other_files_are_left_alone() {
    for occupied in ["live.sock", "file"] {
        let setup = Setup::new();
        let path = setup.path(occupied);
        let _listener = (occupied == "live.sock").then(|| UnixListener::bind(&path).unwrap());
        if occupied == "file" {
            std::fs::write(&path, "precious").unwrap();
        }
        let output = setup
            .command(&["serve"])
            .env("PALISADE__SERVER__LISTEN", format!("unix:{}", path.display()))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(path.exists());
    }
}

#[test]
fn a_port_in_use_a_bad_set_and_bad_settings_stop_the_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let start = |setup: &Setup, name: &str, value: &str| {
        let output = setup.command(&["serve"]).env(name, value).stdin(Stdio::null()).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, text) = start(&Setup::new(), "PALISADE__SERVER__LISTEN", &address);
    assert!(code == Some(2) && text.contains(&address), "{text}");
    let (code, text) = start(&Setup::new(), "PALISADE__SERVER__LISTEN", "0.0.0.0:0");
    assert!(code == Some(2) && text.contains("allow_anonymous"), "{text}");
    let (code, text) = start(&Setup::new(), "PALISADE__SERVER__LISTNE", "127.0.0.1:0");
    assert!(code == Some(2) && text.contains("PALISADE__SERVER__LISTEN"), "{text}");
    let (code, text) = start(&Setup::new(), "PALISADE__ISSUERS__0__ISSUER", "https://dev.palisade.invalid/");
    assert!(code == Some(2) && text.contains("dev.palisade.invalid"), "{text}");
    let bad = Setup::new();
    bad.write("policies/one.cedar", "permit (principal);\n");
    bad.write("policies/two.cedar", "permit (principal, action, resource) when { principal.nothing };\n");
    let (code, text) = start(&bad, "PALISADE_PORT", "tcp://10.0.0.1:80");
    assert!(
        code == Some(2) && text.contains("policies/one.cedar") && text.contains("policies/two.cedar"),
        "{text}"
    );
}
