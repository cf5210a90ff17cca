//! An environment of Lambda with the extension in it, and a handler that asks it.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use lambda_simulator::process::{ManagedProcess, ProcessConfig, ProcessRole};
use lambda_simulator::{FreezeMode, ShutdownReason, Simulator};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

pub mod pool;

pub use pool::Pool;

/// How long anything that is awaited may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// `O_NONBLOCK` of Linux on x86_64.
const AT_ONCE: i32 = 0o4000;

/// A function with the layer, and one environment of it.
pub struct Environment {
    simulator: Simulator,
    extension: ManagedProcess,
    /// What the extension writes to standard output. Nobody reads it meanwhile: it holds 64 KiB.
    log: File,
    handler: JoinHandle<()>,
    folder: tempfile::TempDir,
    decisions: String,
}

impl Environment {
    /// Starts the extension with the layer's settings, and waits until Lambda may invoke the function.
    pub async fn start(pool: &Pool, variables: &[(&str, &str)]) -> Self {
        let folder = unpacked("layer/palisade", &["palisade.toml"]);
        std::fs::write(folder.path().join("jwks.json"), pool.jwks()).unwrap();
        let simulator = Simulator::builder()
            .function_name("updateProduct")
            .freeze_mode(FreezeMode::Process)
            .build()
            .await
            .unwrap();
        let log = pipe(&folder.path().join("decisions.pipe"));
        let extension = simulator.spawn_process_with_config(script(&folder, pool, variables)).unwrap();
        let registered = || async { simulator.extension_count().await == 1 };
        simulator.wait_for(registered, PATIENCE).await.expect("it does not register");
        let decisions = listening(&folder.path().join("program.log"));
        let handler = tokio::spawn(handle(simulator.runtime_api_url(), decisions.clone()));
        Self { simulator, extension, log, handler, folder, decisions }
    }

    /// Invokes the function once, as a user who wants to update a product; gives the status that the extension
    /// answered with, and its body. Status 0: no answer at all.
    pub async fn invoke(&self, token: &str) -> (u64, Value) {
        let request = self.simulator.enqueue_payload(json!({ "token": token })).await;
        let done = self.simulator.wait_for_invocation_complete(&request, PATIENCE).await.unwrap();
        let answer = done.response.expect("the handler failed").payload;
        (answer["status"].as_u64().unwrap(), answer["body"].clone())
    }

    /// Waits until the environment has been frozen after an invocation.
    pub async fn frozen(&self) {
        self.simulator.wait_for_frozen(PATIENCE).await.unwrap();
    }

    /// What the extension told Lambda of itself: its name, and the events that it waits for.
    pub async fn registered(&self) -> (String, String) {
        let [extension] = self.simulator.get_registered_extensions().await.try_into().expect("one extension");
        (extension.name.clone(), format!("{:?}", extension.events))
    }

    /// Where the extension answers.
    pub fn decisions(&self) -> &str {
        &self.decisions
    }

    /// The file that the keys of the user pool are read from.
    pub fn jwks(&self) -> PathBuf {
        self.folder.path().join("jwks.json")
    }

    /// Kills the extension as nothing can prepare for.
    pub fn kill(&mut self) {
        self.extension.kill().unwrap();
        self.extension.wait().unwrap();
    }

    /// Ends the environment as Lambda does when nobody has invoked the function for a while, and gives how the
    /// extension ended and how long after it was told.
    pub async fn shut_down(mut self) -> (ExitStatus, Duration, Vec<Value>) {
        self.handler.abort();
        let told = Instant::now();
        self.simulator.graceful_shutdown(ShutdownReason::Spindown).await;
        let status = tokio::task::spawn_blocking(move || self.extension.wait().unwrap()).await.unwrap();
        (status, told.elapsed(), records(&self.log))
    }

    /// The decision log so far, line by line. Once.
    pub fn records(&self) -> Vec<Value> {
        records(&self.log)
    }
}

/// What Lambda unpacks, beside the program: these files of a folder of the tree, and the shop's policies and schema.
pub fn unpacked(from: &str, files: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for name in files {
        std::fs::copy(root.join(from).join(name), folder.path().join(name)).unwrap();
    }
    for name in ["policies", "schema"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        for entry in std::fs::read_dir(root.join(name)).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), folder.path().join(name).join(entry.file_name())).unwrap();
        }
    }
    folder
}

/// What the layer's script does, with its output where tests find it. `exec`: Lambda freezes and kills the process that it
/// has started.
fn script(folder: &tempfile::TempDir, pool: &Pool, variables: &[(&str, &str)]) -> ProcessConfig {
    let program = std::env::var("PALISADE_BIN").expect("PALISADE_BIN names the program");
    let program = std::fs::canonicalize(program).expect("PALISADE_BIN is there");
    let folder = folder.path().display();
    let line = format!(
        "exec {} lambda-extension --config {folder}/palisade.toml >{folder}/decisions.pipe 2>{folder}/program.log",
        program.display()
    );
    let script = ProcessConfig::new("/bin/sh", ProcessRole::Extension).arg("-c").arg(line);
    let own = [
        ("PALISADE__SERVER__LISTEN", "127.0.0.1:0"),
        ("PALISADE__SERVER__OPS_LISTEN", "127.0.0.1:0"),
        ("PALISADE__ISSUERS__0__JWKS_FILE", "jwks.json"),
    ];
    let all = own.iter().chain(variables).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    all.chain(pool.variables()).fold(script, |script, (name, value)| script.env(name, value))
}

/// The address that the extension says in its first lines that it answers at.
fn listening(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let line = lines.into_iter().find(|line| line["message"] == "listening" && line["api"] == "decisions");
    line.unwrap_or_else(|| panic!("{text}"))["address"].as_str().unwrap().to_owned()
}

fn pipe(path: &Path) -> File {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    OpenOptions::new().read(true).custom_flags(AT_ONCE).open(path).unwrap()
}

/// What is in the pipe. A line that a kill tore is of a decision that was not answered yet.
fn records(mut log: &File) -> Vec<Value> {
    let mut bytes = Vec::new();
    match log.read_to_end(&mut bytes) {
        Err(error) if error.kind() != ErrorKind::WouldBlock => panic!("{error}"),
        _ => {}
    }
    let text = String::from_utf8(bytes).unwrap();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _torn)| whole);
    whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A runtime with a handler: for each invocation it asks once, and answers what came back.
async fn handle(runtime: String, decisions: String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let invocations = format!("{runtime}/2018-06-01/runtime/invocation");
    while let Ok(invocation) = client.get(format!("{invocations}/next")).send().await {
        let request = invocation.headers()["lambda-runtime-aws-request-id"].to_str().unwrap().to_owned();
        let event: Value = invocation.json().await.unwrap();
        let (status, body) = ask(&client, &decisions, event["token"].as_str().unwrap()).await;
        let answer = client.post(format!("{invocations}/{request}/response"));
        answer.json(&json!({ "status": status, "body": body })).send().await.unwrap();
    }
}

/// Asks whether a user may update a product. No answer is status 0.
pub async fn ask(client: &reqwest::Client, decisions: &str, token: &str) -> (u16, Value) {
    let question = json!({ "action": "updateProduct", "resource": { "type": "Product", "id": "p-42" } });
    let request = client.post(format!("http://{decisions}/authorize")).bearer_auth(token).json(&question);
    match request.timeout(PATIENCE).send().await {
        Ok(answer) => (answer.status().as_u16(), answer.json().await.unwrap_or_default()),
        Err(_) => (0, Value::Null),
    }
}
