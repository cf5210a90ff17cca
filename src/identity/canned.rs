//! A JWKS endpoint for tests: a real socket on loopback with an answer that a test chooses.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the endpoint does.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// Exactly these bytes, then the end.
    Bytes(Vec<u8>),
    /// A head that promises a body, and then nothing, for ever.
    Silence,
    /// A body without end.
    Endless,
}

/// The endpoint.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) url: String,
    answers: Arc<Mutex<VecDeque<Answer>>>,
    requests: watch::Receiver<usize>,
    open: watch::Sender<bool>,
}

impl Answer {
    pub(super) fn ok(body: &str) -> Self {
        Self::status("200 OK", body)
    }

    pub(super) fn status(status: &str, body: &str) -> Self {
        let length = body.len();
        Self::Bytes(format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes())
    }
}

impl Endpoint {
    pub(super) async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        let answers = Arc::new(Mutex::new(VecDeque::from([answer])));
        let (count, requests) = watch::channel(0);
        let (open, gate) = watch::channel(true);
        let current = Arc::clone(&answers);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (current, count, mut gate) = (Arc::clone(&current), count.clone(), gate.clone());
                tokio::spawn(async move {
                    let mut stream = stream;
                    read_request(&mut stream).await;
                    count.send_modify(|count| *count += 1);
                    let _ = gate.wait_for(|open| *open).await;
                    let answer = next(&current);
                    // A client that has seen enough hangs up, and that is no fault of the test.
                    let _ = write_answer(&mut stream, answer).await;
                });
            }
        });
        Self { url, answers, requests, open }
    }

    pub(super) fn answer(&self, answer: Answer) {
        self.answer_in_turn([answer]);
    }

    /// One after the other; the last for good.
    pub(super) fn answer_in_turn(&self, answers: impl IntoIterator<Item = Answer>) {
        *self.answers.lock().unwrap() = answers.into_iter().collect();
    }

    pub(super) fn requests(&self) -> usize {
        *self.requests.borrow()
    }

    /// Waits until so many requests have arrived.
    pub(super) async fn asked(&self, times: usize) {
        self.requests.clone().wait_for(|count| *count >= times).await.unwrap();
    }

    /// Answers nobody until `open`.
    pub(super) fn hold(&self) {
        self.open.send_replace(false);
    }

    pub(super) fn open(&self) {
        self.open.send_replace(true);
    }
}

fn next(answers: &Mutex<VecDeque<Answer>>) -> Answer {
    let mut answers = answers.lock().unwrap();
    if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }.unwrap()
}

async fn read_request(stream: &mut TcpStream) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        request.push(byte);
    }
}

async fn write_answer(stream: &mut TcpStream, answer: Answer) -> std::io::Result<()> {
    match answer {
        Answer::Bytes(bytes) => stream.write_all(&bytes).await?,
        Answer::Silence => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{").await?;
            std::future::pending::<()>().await;
        }
        Answer::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            loop {
                stream.write_all(&[b' '; 4096]).await?;
            }
        }
    }
    stream.shutdown().await
}
