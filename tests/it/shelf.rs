//! An HTTP server that holds one bundle, counts who asks for it, and misbehaves when it is told to.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::harness::PATIENCE;

/// The server; it ends with the test's process.
#[derive(Clone)]
pub(crate) struct Shelf {
    address: SocketAddr,
    held: Arc<Mutex<Held>>,
}

/// How it behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As it should.
    Good,
    /// It hangs up before it has said anything.
    Down,
    /// It never answers.
    Silent,
    /// It answers when it behaves otherwise, if it is still listened to.
    Hesitating,
    /// It answers with this status and a large body.
    Status(u16),
    /// It hangs up in the middle of the bundle.
    Truncating,
    /// It says that there is more to come than anybody would take.
    Boasting,
    /// It knows no entity tags.
    Tagless,
}

struct Held {
    bundle: Vec<u8>,
    version: usize,
    manner: Manner,
    downloads: usize,
    unchanged: usize,
    others: usize,
}

impl Shelf {
    /// Empty: whoever asks is told 404.
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let manner = Manner::Status(404);
        let held = Held { bundle: Vec::new(), version: 0, manner, downloads: 0, unchanged: 0, others: 0 };
        let shelf = Self { address, held: Arc::new(Mutex::new(held)) };
        let serving = shelf.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let serving = serving.clone();
                std::thread::spawn(move || serving.answer(stream));
            }
        });
        shelf
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/shop/policies.tar.gz", self.address)
    }

    pub(crate) fn put(&self, bundle: Vec<u8>) {
        let mut held = self.held.lock().unwrap();
        held.bundle = bundle;
        held.version += 1;
        held.manner = Manner::Good;
    }

    pub(crate) fn behave(&self, manner: Manner) {
        self.held.lock().unwrap().manner = manner;
    }

    /// How many downloads there were, and how many were told that nothing has changed.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let held = self.held.lock().unwrap();
        (held.downloads, held.unchanged)
    }

    /// Hesitates until another is asked, and answers then. Whoever asks that one later than this one gets no answer
    /// here within its time.
    pub(crate) fn hesitate_until_asked(&self, other: &Self) {
        self.behave(Manner::Hesitating);
        let (hesitating, other) = (self.clone(), other.clone());
        std::thread::spawn(move || {
            other.asked_in_all(1);
            hesitating.behave(Manner::Good);
        });
    }

    /// Waits until it was asked this many times more, whatever it answered.
    pub(crate) fn asked(&self, more: usize) {
        self.asked_in_all(self.count() + more);
    }

    /// Waits until it was asked this many times.
    pub(crate) fn asked_in_all(&self, times: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.count() < times {
            assert!(Instant::now() < deadline, "it was asked {} times, and not {times}", self.count());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn count(&self) -> usize {
        let held = self.held.lock().unwrap();
        held.downloads + held.unchanged + held.others
    }

    fn answer(&self, mut stream: TcpStream) {
        let head = head(&stream);
        while self.held.lock().unwrap().manner == Manner::Hesitating {
            std::thread::sleep(Duration::from_millis(1));
        }
        if has_hung_up(&stream) {
            return;
        }
        let (manner, bundle, tag) = {
            let held = self.held.lock().unwrap();
            (held.manner, held.bundle.clone(), format!("\"v{}\"", held.version))
        };
        let known = head.iter().any(|line| *line == format!("if-none-match: {tag}"));
        let length = bundle.len();
        let answer = match manner {
            Manner::Good if known => "HTTP/1.1 304 Not Modified\r\n\r\n".to_owned(),
            Manner::Good => format!("HTTP/1.1 200 OK\r\netag: {tag}\r\ncontent-length: {length}\r\n\r\n"),
            Manner::Tagless => format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n"),
            Manner::Truncating => {
                format!("HTTP/1.1 200 OK\r\netag: \"t\"\r\ncontent-length: {}\r\n\r\n", length + 9)
            }
            Manner::Boasting => {
                "HTTP/1.1 200 OK\r\netag: \"b\"\r\ncontent-length: 99999999999\r\n\r\n".to_owned()
            }
            Manner::Status(status) => format!(
                "HTTP/1.1 {status} No\r\nlocation: {}\r\ncontent-length: 99999999999\r\n\r\nno, no, no",
                self.url()
            ),
            Manner::Down => String::new(),
            Manner::Silent | Manner::Hesitating => {
                self.note(|held| held.others += 1);
                // Until the other side gives up.
                let _hung_up = head_of_nothing(&stream);
                return;
            }
        };
        let body = match manner {
            Manner::Good if known => &[][..],
            Manner::Good | Manner::Tagless | Manner::Truncating => &bundle,
            Manner::Boasting | Manner::Status(_) | Manner::Down | Manner::Silent | Manner::Hesitating => &[],
        };
        let _hung_up = stream.write_all(answer.as_bytes()).and_then(|()| stream.write_all(body));
        self.note(|held| match manner {
            Manner::Good if known => held.unchanged += 1,
            Manner::Good | Manner::Tagless => held.downloads += 1,
            _ => held.others += 1,
        });
    }

    fn note(&self, change: impl FnOnce(&mut Held)) {
        change(&mut self.held.lock().unwrap());
    }
}

/// The lines before the empty one, in lower case.
fn head(stream: &TcpStream) -> Vec<String> {
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    lines.take_while(|line| !line.is_empty()).map(|line| line.to_lowercase()).collect()
}

fn has_hung_up(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let closed = matches!(stream.peek(&mut [0]), Ok(0));
    stream.set_nonblocking(false).unwrap();
    closed
}

fn head_of_nothing(stream: &TcpStream) -> usize {
    BufReader::new(stream).lines().count()
}
