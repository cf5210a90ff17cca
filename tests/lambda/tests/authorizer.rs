//! The authorizer as a function of its own: started by its bootstrap, asked, and frozen in between.

use std::path::Path;

use lambda_simulator::process::{ProcessConfig, ProcessRole};
use lambda_simulator::{FreezeMode, Simulator};
use palisade_in_lambda::{PATIENCE, Pool, unpacked};
use serde_json::{Value, json};

const ARN: &str = "arn:aws:execute-api:us-east-1:123456789012:a1b2c3/dev/PUT/products/p-42";

/// What is below `/var/task`, on free ports and with keys in a file.
fn function(simulator: &Simulator, folder: &Path, pool: &Pool) -> lambda_simulator::process::ManagedProcess {
    let program =
        std::fs::canonicalize(std::env::var("PALISADE_BIN").expect("PALISADE_BIN names the program"));
    std::os::unix::fs::symlink(program.expect("PALISADE_BIN is there"), folder.join("palisade")).unwrap();
    std::fs::write(folder.join("jwks.json"), pool.jwks()).unwrap();
    let line = format!("exec {0}/bootstrap >{0}/decisions.jsonl 2>{0}/program.log", folder.display());
    let own = [
        ("LAMBDA_TASK_ROOT", folder.to_str().unwrap()),
        ("PALISADE__AUTHORIZER__ANSWER", "iam"),
        ("PALISADE__ISSUERS__0__JWKS_FILE", "jwks.json"),
    ];
    let all =
        own.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).chain(pool.variables());
    let script = ProcessConfig::new("/bin/sh", ProcessRole::Runtime).arg("-c").arg(line);
    let script = all.fold(script, |script, (name, value)| script.env(name, value));
    simulator.spawn_process_with_config(script).unwrap()
}

/// The effect of the policy that it answers, or the message of the error.
async fn ask(simulator: &Simulator, token: &str) -> String {
    let event = json!({"type": "TOKEN", "authorizationToken": format!("Bearer {token}"), "methodArn": ARN});
    let request = simulator.enqueue_payload(event).await;
    let done = simulator.wait_for_invocation_complete(&request, PATIENCE).await.unwrap();
    match (done.response, done.error) {
        (Some(answer), None) => {
            let statement = &answer.payload["policyDocument"]["Statement"][0];
            assert_eq!(statement["Resource"], ARN);
            statement["Effect"].as_str().unwrap().to_owned()
        }
        (None, Some(error)) => error.error_message,
        both => panic!("{both:?}"),
    }
}

// On one thread: a wait of the simulator misses what another does between its look and its sleep.
#[tokio::test]
async fn events_are_answered_and_failed_before_and_after_a_freeze() {
    let pool = Pool::with_key("k-1");
    let folder = unpacked("examples/authorizer", &["bootstrap", "palisade.toml", "routes.toml"]);
    let simulator = Simulator::builder().freeze_mode(FreezeMode::Process).build().await.unwrap();
    let mut process = function(&simulator, folder.path(), &pool);
    for _ in 0..3 {
        assert_eq!(ask(&simulator, &pool.token("alice", &["admin"])).await, "Allow");
        simulator.wait_for_frozen(PATIENCE).await.unwrap();
        assert_eq!(ask(&simulator, &pool.token("bob", &["user"])).await, "Deny");
        simulator.wait_for_frozen(PATIENCE).await.unwrap();
        assert_eq!(ask(&simulator, "garbage").await, "Unauthorized");
        simulator.wait_for_frozen(PATIENCE).await.unwrap();
    }
    process.kill().unwrap();
    process.wait().unwrap();
    let records = std::fs::read_to_string(folder.path().join("decisions.jsonl")).unwrap();
    let records: Vec<Value> = records.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records.len(), 6, "every decision that was answered, and no bad token");
}
