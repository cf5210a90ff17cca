//! Connections over real sockets, with limits so short that waiting for them is no burden.

use std::future::pending;
use std::net::SocketAddr;

use axum::Router;
use axum::routing::get;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::super::listen::{Address, Listener, SocketMode, run};
use super::*;
use crate::model::Period;
use crate::workers::Workers;

const SHORT: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_hours(1);
/// How long anything that is awaited may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
const SLOW_REQUEST: &[u8] = b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n";
const ANSWER: &[u8] = b"answered";

struct Client(TcpStream);

impl Client {
    /// Connects to a service with these limits.
    async fn of(headers: Duration, idle: Duration) -> Self {
        let limits = Limits { headers: Period(headers), idle: Period(idle), ..Limits::default() };
        let listener = Address::loopback(0).bind(SocketMode::default()).unwrap();
        let address = address(&listener);
        let slow = || async {
            sleep(3 * SHORT).await;
            "answered"
        };
        let router = Router::new().route("/", get(|| async { "answered" })).route("/slow", get(slow));
        let service = TowerToHyperService::new(router);
        let workers = Workers::here();
        tokio::spawn(async move { run(listener, service, &limits, &workers, pending(), LONG).await });
        Self(TcpStream::connect(address).await.unwrap())
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// Reads until these bytes have come.
    async fn read_until(&mut self, wanted: &[u8]) {
        let mut read = Vec::new();
        let reading = async {
            while !read.windows(wanted.len()).any(|window| window == wanted) {
                assert_ne!(self.0.read_buf(&mut read).await.unwrap(), 0, "closed after {read:?}");
            }
        };
        timeout(PATIENCE, reading).await.unwrap();
    }

    async fn ask(&mut self, request: &[u8]) {
        self.send(request).await;
        self.read_until(ANSWER).await;
    }

    /// Waits for the other side to hang up, without a word.
    async fn is_hung_up_on(&mut self) {
        let mut rest = Vec::new();
        let _reset = timeout(PATIENCE, self.0.read_to_end(&mut rest)).await.expect("still open");
        assert_eq!(rest, b"");
    }
}

fn address(listener: &Listener) -> SocketAddr {
    listener.address().unwrap().to_string().parse().unwrap()
}

#[tokio::test]
async fn an_idle_connection_outlives_the_limit_on_headers() {
    let mut client = Client::of(SHORT, LONG).await;
    for _ in 0..3 {
        client.ask(REQUEST).await;
        sleep(3 * SHORT).await;
    }
    client.ask(REQUEST).await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_the_end() {
    let mut client = Client::of(LONG, SHORT).await;
    client.ask(REQUEST).await;
    client.ask(REQUEST).await;
    client.is_hung_up_on().await;
}

#[tokio::test]
async fn headers_that_take_too_long_end_the_connection() {
    let mut silent = Client::of(SHORT, LONG).await;
    silent.is_hung_up_on().await;
    let mut at_first = Client::of(SHORT, LONG).await;
    at_first.send(b"GET / HTT").await;
    at_first.is_hung_up_on().await;
    let mut later = Client::of(SHORT, LONG).await;
    later.ask(REQUEST).await;
    sleep(2 * SHORT).await;
    later.send(b"GET / HTTP/1.1\r\n").await;
    later.is_hung_up_on().await;
}

#[tokio::test]
async fn headers_that_trickle_gain_no_time() {
    let mut client = Client::of(3 * SHORT, LONG).await;
    client.ask(REQUEST).await;
    let trickle = async {
        while client.0.write_all(b"x").await.is_ok() {
            sleep(SHORT / 4).await;
        }
    };
    timeout(PATIENCE, trickle).await.expect("still open");
}

#[tokio::test]
async fn an_answer_may_take_longer_than_headers_and_idleness() {
    let mut client = Client::of(SHORT, SHORT).await;
    client.ask(SLOW_REQUEST).await;
    client.ask(SLOW_REQUEST).await;
    client.is_hung_up_on().await;
}

#[tokio::test]
async fn what_an_http2_client_sends_between_requests_is_no_headers() {
    let frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
    };
    // `GET http:/`, from HPACK's static table; the headers are all here and so is the stream's end.
    let request = |stream: u8| frame(0x1, 0x5, stream, &[0x82, 0x86, 0x84]);
    let ping = frame(0x6, 0x0, 0, b"are you?");

    let mut client = Client::of(3 * SHORT, LONG).await;
    client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    client.send(&frame(0x4, 0x0, 0, &[])).await;
    client.send(&request(1)).await;
    client.read_until(ANSWER).await;
    client.send(&ping).await;
    client.read_until(b"are you?").await;
    sleep(6 * SHORT).await;
    client.ask(&request(3)).await;

    let mut client = Client::of(LONG, SHORT).await;
    client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    client.send(&frame(0x4, 0x0, 0, &[])).await;
    client.ask(&request(1)).await;
    let mut rest = Vec::new();
    timeout(PATIENCE, client.0.read_to_end(&mut rest)).await.expect("still open").unwrap();
}
