//! Connections that stay between requests, and those that do not.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::harness::{PATIENCE, Service, Setup, update};

fn connect(service: &Service) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(service.decisions).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    BufReader::new(stream)
}

/// One request on a connection that stays, and the answer's status line.
fn ask(connection: &mut BufReader<TcpStream>, token: &str) -> String {
    let body = update().to_string();
    write!(
        connection.get_mut(),
        "POST /authorize HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let (mut status, mut length) = (String::new(), 0);
    connection.read_line(&mut status).unwrap();
    loop {
        let mut line = String::new();
        connection.read_line(&mut line).unwrap();
        if let Some(number) = line.strip_prefix("content-length: ") {
            length = number.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    connection.read_exact(&mut vec![0; length]).unwrap();
    status.trim().to_owned()
}

#[test]
fn a_client_may_keep_its_connection_and_may_not_keep_it_waiting() {
    let service = Setup::new().start_with(|command| {
        command.env("PALISADE__LIMITS__HEADERS", "300ms");
    });
    let alice = service.token("alice", &["admin"]);
    let mut connection = connect(&service);
    assert_eq!(ask(&mut connection, &alice), "HTTP/1.1 200 OK");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(ask(&mut connection, &alice), "HTTP/1.1 200 OK");
    connection.get_mut().write_all(b"POST /authorize HTTP/1.1\r\nhost:").unwrap();
    assert_eq!(connection.read_to_end(&mut Vec::new()).unwrap(), 0, "hung up on");
}

#[test]
fn a_connection_that_nobody_uses_is_closed() {
    let service = Setup::new().start_with(|command| {
        command.env("PALISADE__LIMITS__IDLE", "300ms");
    });
    let alice = service.token("alice", &["admin"]);
    let mut connection = connect(&service);
    assert_eq!(ask(&mut connection, &alice), "HTTP/1.1 200 OK");
    assert_eq!(connection.read_to_end(&mut Vec::new()).unwrap(), 0, "hung up on");
}

#[test]
fn a_connection_that_nobody_uses_holds_up_no_stop() {
    let grace = Duration::from_secs(15);
    let mut service = Setup::new().start_with(|command| {
        command.env("PALISADE__LIMITS__REQUEST", format!("{}s", grace.as_secs()));
    });
    let alice = service.token("alice", &["admin"]);
    let mut connection = connect(&service);
    assert_eq!(ask(&mut connection, &alice), "HTTP/1.1 200 OK");
    let told = Instant::now();
    service.signal("TERM");
    assert_eq!(service.ended(), Some(0));
    assert!(told.elapsed() < grace, "it was waited for: {:?}", told.elapsed());
    assert_eq!(connection.read_to_end(&mut Vec::new()).unwrap(), 0, "hung up on");
}
