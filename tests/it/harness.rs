//! Starts the real program on free ports with keys of its own, and asks it over HTTP.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use palisade::identity::issuer::{Cognito, TokenIssuer};
use palisade::model::Timestamp;
use serde_json::{Value, json};

/// The issuer of the tests, whose keys are in a file.
pub(crate) const ISSUER: &str = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_TEST";
/// Its one client.
pub(crate) const CLIENT: &str = "test-client";
/// How long anything that is awaited may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A folder with a shop in it that a test may change before and after the start.
pub(crate) struct Setup {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) issuer: TokenIssuer,
    keys: String,
    settings: String,
}

/// A running program.
pub(crate) struct Service {
    pub(crate) setup: Setup,
    pub(crate) decisions: SocketAddr,
    pub(crate) operations: SocketAddr,
    child: Child,
    log: ProgramLog,
    client: reqwest::Client,
}

/// What a program says on standard error, line by line.
pub(crate) struct ProgramLog {
    lines: Mutex<mpsc::Receiver<Value>>,
    /// Those that came before what was waited for.
    passed: Mutex<Vec<Value>>,
}

/// One user who asks the same again and again, from a task of its own.
#[derive(Clone)]
pub(crate) struct Asker {
    client: reqwest::Client,
    url: String,
    token: String,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Setup {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for name in ["policies", "schema"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            for entry in std::fs::read_dir(root.join(name)).unwrap() {
                let entry = entry.unwrap();
                std::fs::copy(entry.path(), folder.path().join(name).join(entry.file_name())).unwrap();
            }
        }
        let issuer = TokenIssuer::start(ISSUER, "k-1").unwrap();
        std::fs::write(folder.path().join("jwks.json"), issuer.jwks()).unwrap();
        Self { folder, issuer, keys: "jwks_file = \"jwks.json\"".to_owned(), settings: String::new() }
    }

    /// More settings; tables that the harness writes itself are merged by key path in the environment.
    pub(crate) fn settings(mut self, text: &str) -> Self {
        self.settings.push_str(text);
        self
    }

    /// With keys that are fetched from there, and not in a file.
    pub(crate) fn keys_at(mut self, url: &str) -> Self {
        self.keys = format!("jwks_url = \"{url}\"");
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Writes palisade.toml and gives its path.
    pub(crate) fn configuration(&self) -> PathBuf {
        let path = self.path("palisade.toml");
        let text = format!(
            "namespace = \"Shop\"\n[server]\nlisten = \"127.0.0.1:0\"\nops_listen = \"127.0.0.1:0\"\ndrain = \"100ms\"\nexplain = true\n\
             [log]\nformat = \"json\"\n[audit]\nsink = \"file\"\n\
             [[issuers]]\nissuer = \"{ISSUER}\"\nclient_ids = [\"{CLIENT}\"]\ntoken_use = [\"access\", \"id\"]\n\
             {}\nmachine_type = \"Machine\"\n{}",
            self.keys, self.settings
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The program with this configuration and an environment of its own.
    pub(crate) fn command(&self, verb: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_palisade"));
        command
            .env_clear()
            .current_dir(self.folder.path())
            .args(["--config".as_ref(), self.configuration().as_os_str()])
            .args(verb);
        command
    }

    pub(crate) fn start(self) -> Service {
        self.start_with(|_| {})
    }

    pub(crate) fn start_with(self, change: impl FnOnce(&mut Command)) -> Service {
        self.start_as("serve", change)
    }

    /// Under another verb than `serve`.
    pub(crate) fn start_as(self, verb: &str, change: impl FnOnce(&mut Command)) -> Service {
        let mut command = self.command(&[verb]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        // A slow disk is not what most tests are about.
        command.env("PALISADE__AUDIT__STALL", "5s");
        change(&mut command);
        let mut child = command.spawn().unwrap();
        let log = ProgramLog::of(&mut child);
        let mut service = Service {
            setup: self,
            decisions: ([127, 0, 0, 1], 0).into(),
            operations: ([127, 0, 0, 1], 0).into(),
            child,
            log,
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
        };
        for _ in 0..2 {
            let line = service.line("listening");
            let address = line["address"].as_str().unwrap().parse().unwrap_or(service.decisions);
            match line["api"].as_str().unwrap() {
                "decisions" => service.decisions = address,
                _ => service.operations = address,
            }
        }
        service
    }
}

impl Service {
    /// A fresh access token of a user in these groups.
    pub(crate) fn token(&self, user: &str, groups: &[&str]) -> String {
        let claims = Cognito::access(user, groups, CLIENT, Timestamp::from_millis(now() * 1_000));
        self.setup.issuer.issue(&claims).unwrap().expose().to_owned()
    }

    pub(crate) async fn authorize(&self, token: &str, body: Value) -> Reply {
        self.post("/authorize", token, body).await
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: Value) -> Reply {
        let request = self.client.post(format!("http://{}{path}", self.decisions));
        let request = request.header("content-type", "application/json").body(body.to_string());
        let request = if token.is_empty() { request } else { request.bearer_auth(token) };
        reply(request.send().await.unwrap()).await
    }

    /// A request that a test puts together itself.
    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method.parse().unwrap(), format!("http://{}{path}", self.decisions))
    }

    pub(crate) async fn operations(&self, path: &str) -> Reply {
        reply(self.client.get(format!("http://{}{path}", self.operations)).send().await.unwrap()).await
    }

    /// Waits until `/readyz` is as wanted.
    pub(crate) async fn ready(&self, wanted: impl Fn(&Reply) -> bool) -> Reply {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let reply = self.operations("/readyz").await;
            if wanted(&reply) {
                return reply;
            }
            assert!(Instant::now() < deadline, "the last reply: {reply:#?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The value of a metric's line that begins so; 0 where there is none.
    pub(crate) async fn metric(&self, line: &str) -> f64 {
        let url = format!("http://{}/metrics", self.operations);
        let text = self.client.get(url).send().await.unwrap().text().await.unwrap();
        let value =
            text.lines().find_map(|there| there.strip_prefix(line)).map(|rest| rest.trim().parse().unwrap());
        value.unwrap_or_default()
    }

    /// The next line of the program log with this message.
    pub(crate) fn line(&self, message: &str) -> Value {
        self.log.line(message)
    }

    /// The line with this message that came at the start.
    pub(crate) fn before_it_listened(&self, message: &str) -> Value {
        let passed = self.log.passed.lock().unwrap();
        let line = passed.iter().find(|line| line["message"] == message);
        line.unwrap_or_else(|| panic!("no line `{message}` came; these did: {passed:#?}")).clone()
    }

    /// Asks until the answer is as wanted.
    pub(crate) async fn until(&self, token: &str, body: Value, wanted: impl Fn(&Reply) -> bool) -> Reply {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let reply = self.authorize(token, body.clone()).await;
            if wanted(&reply) {
                return reply;
            }
            assert!(
                Instant::now() < deadline,
                "not before {PATIENCE:?} were over; the last reply: {reply:#?}"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn signal(&self, signal: &str) {
        send(signal, &self.child);
    }

    /// Waits until the program has ended, and gives its exit code; none after a signal.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "the program has not ended within {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The decision log, line by line.
    pub(crate) fn records(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.setup.path("decisions.jsonl")).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect()
    }
}

impl Service {
    pub(crate) fn asker(&self, token: &str) -> Asker {
        let url = format!("http://{}/authorize", self.decisions);
        Asker { client: self.client.clone(), url, token: token.to_owned() }
    }
}

impl Asker {
    /// The reply to [`update`], if the program is there to give one.
    pub(crate) async fn ask(&self) -> Option<Reply> {
        let request =
            self.client.post(&self.url).bearer_auth(&self.token).header("content-type", "application/json");
        let response = request.body(update().to_string()).send().await.ok()?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = serde_json::from_slice(&response.bytes().await.ok()?).ok()?;
        Some(Reply { status, headers, body })
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _gone_already = self.child.wait();
    }
}

impl Reply {
    /// The decision with its reason, or the problem's code.
    pub(crate) fn outcome(&self) -> String {
        match self.status {
            200 => format!(
                "{} {}",
                self.body["decision"].as_str().unwrap(),
                self.body["reason"].as_str().unwrap()
            ),
            status => format!("{status} {}", self.body["code"].as_str().unwrap_or("?")),
        }
    }
}

pub(crate) async fn reply(response: reqwest::Response) -> Reply {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = response.bytes().await.unwrap();
    let body = serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned().into());
    Reply { status, headers, body }
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since_1970.as_secs()).unwrap()
}

/// `updateProduct` on product `p-42`, which nothing else is said of.
pub(crate) fn update() -> Value {
    json!({"action": "updateProduct", "resource": {"type": "Product", "id": "p-42"}})
}

/// Sends a signal by its name: `STOP`.
pub(crate) fn send(signal: &str, child: &Child) {
    let sent = Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

impl ProgramLog {
    /// Read as it comes, so that the program never waits for a reader.
    pub(crate) fn of(child: &mut Child) -> Self {
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or_else(|_| json!({"message": line}));
                let _nobody_listens = sender.send(line);
            }
        });
        Self { lines: Mutex::new(lines), passed: Mutex::default() }
    }

    /// The next line with this message.
    pub(crate) fn line(&self, message: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        let mut passed = self.passed.lock().unwrap();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.lock().unwrap().recv_timeout(left) {
                Ok(line) if line["message"] == message => return line,
                Ok(line) => passed.push(line),
                Err(_) => panic!("no line `{message}` came; these did: {passed:#?}"),
            }
        }
    }
}
