//! The README says what is so: its commands run, its examples work, its tables are those of the program.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Output};

use palisade::config::{Config, Configuration, Environment};
use palisade::identity::issuer::{Cognito, TokenIssuer};
use palisade::model::{Limits, Timestamp};
use palisade::{audit, gateway, http, identity, store, telemetry};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::cli::Dev;
use crate::harness::{Setup, now, update};
use crate::page::Page;

/// The commands of the README, by what runs them.
const COMMANDS: &[(&str, &str)] = &[
    ("cargo run --release -- dev", "here, as `palisade dev`"),
    ("cargo test", ".ci/run"),
    ("token=$(curl", "here"),
    ("curl -s localhost:8180/authorize", "here"),
    ("cargo run --release -- check", "cli.rs"),
    ("cargo run --release -- fmt --check", "cli.rs"),
    ("cargo run --release -- decide", "cli.rs"),
    ("cargo run --release -- test ", "here"),
    ("cargo run --release -- test --filter", "here"),
    ("cargo run --release -- diff main --fail-on allow", "cli_diff.rs"),
    ("palisade serve", "here"),
    ("palisade bundle --output policies.tar.gz", "cli_bundle.rs"),
];

fn readme() -> Page {
    Page::read("README.md")
}

fn block(language: &str, holding: &str) -> String {
    readme().block(language, holding)
}

/// The first two cells of each row of the table under this heading, without their back-ticks.
fn rows(heading: &str) -> Vec<(String, String)> {
    let section = readme().section(heading);
    let rows = section.text.lines().filter(|line| line.starts_with("| `")).map(|line| {
        let line = line.replace("\\|", "/");
        let mut cells = line.split('|').skip(1).map(|cell| cell.trim().trim_matches('`').to_owned());
        (cells.next().unwrap(), cells.next().unwrap())
    });
    rows.collect()
}

fn sh(script: &str) -> Output {
    Command::new("sh").args(["-c", script]).output().unwrap()
}

#[test]
fn every_command_is_run_by_something() {
    let mut left = readme().blocks("sh").concat();
    for (command, runner) in COMMANDS {
        assert!(left.contains(command), "`{command}`, which {runner} runs, is not in the README");
        left = left.replacen(command, "", 1);
    }
    for program in ["cargo", "curl", "palisade", "make", "npm", "docker"] {
        let starts = |line: &str| line.split_whitespace().any(|word| word == program);
        let forgotten: Vec<_> = left.lines().filter(|line| starts(line)).collect();
        assert!(forgotten.is_empty(), "nothing runs {forgotten:?}");
    }
}

#[test]
fn asking_dev_as_the_readme_does_is_answered() {
    let dev = Dev::start();
    let addresses = dev.line("Palisade decides at ");
    let mut addresses = addresses.split([' ', ';']).filter(|word| word.starts_with("127.0.0.1:"));
    let decisions = addresses.next().unwrap();
    let operations = addresses.next().unwrap().trim_end_matches('.');
    let script = block("sh", "curl").replace("localhost:8181", operations);
    let output = sh(&script.replace("localhost:8180", decisions));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let shown: Value = serde_json::from_str(block("json", "decision_id").trim()).unwrap();
    let members = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(members(&answer), members(&shown), "{answer}");
    for member in ["decision", "reason", "policies", "errors"] {
        assert_eq!(answer[member], shown[member], "{answer}");
    }
}

#[test]
fn the_shop_is_tested_as_the_readme_does() {
    let program = format!("cd {}; {}", env!("CARGO_MANIFEST_DIR"), env!("CARGO_BIN_EXE_palisade"));
    for line in block("sh", "-- test").lines() {
        let output = sh(&line.replace("cargo run --release --", &program));
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && shown.contains("passed"), "{line}: {shown}");
    }
}

#[tokio::test]
async fn the_policy_of_the_readme_lets_owners_update_and_nobody_else() {
    let setup = Setup::new();
    setup.write("policies/owners.cedar", &block("cedar", "@id"));
    let service = setup.start();
    let bob = service.token("bob", &["user"]);
    let product = |owner: &str| {
        let mut body = update();
        body["resource"]["attributes"] = json!({"owner": {"type": "User", "id": owner}});
        body
    };
    let mine = service.authorize(&bob, product("bob")).await;
    assert_eq!(mine.body["policies"], json!(["owners-update-their-products"]), "{mine:?}");
    assert_eq!(service.authorize(&bob, product("alice")).await.outcome(), "deny no_permit");
}

#[tokio::test]
async fn a_user_pool_is_served_as_the_readme_writes_it() {
    let written = block("toml", "[[issuers]]") + &block("toml", "[issuers.attributes]");
    let config = toml::from_str::<Config>(&written).unwrap();
    let [pool] = config.issuers.as_slice() else { panic!("one issuer: {config:?}") };
    let issuer = TokenIssuer::start(&pool.issuer, "k-1").unwrap();

    // The same file as the one that lies beside the README, for this pool.
    let setup = Setup::new();
    let shipped = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/palisade.toml")).unwrap();
    let shipped = shipped.split("[[issuers]]").next().unwrap();
    setup.write("pool.toml", &format!("{shipped}{written}"));
    setup.write("pool.json", &issuer.jwks());
    let service = setup.start_with(|command| {
        let file = command.get_current_dir().unwrap().join("pool.toml");
        command
            .args(["--config".as_ref(), file.as_os_str()])
            .env("PALISADE__ISSUERS__0__JWKS_FILE", file.with_file_name("pool.json"))
            .env("PALISADE__SERVER__LISTEN", "127.0.0.1:0")
            .env("PALISADE__SERVER__OPS_LISTEN", "127.0.0.1:0")
            .env("PALISADE__LOG__FORMAT", "json");
    });
    let claims =
        Cognito::access("alice", &["admin"], &pool.client_ids[0], Timestamp::from_millis(now() * 1_000));
    let token = issuer.issue(&claims).unwrap();
    let reply = service.until(token.expose(), update(), |reply| reply.outcome() != "503 not_ready").await;
    assert_eq!(reply.outcome(), "allow permitted");
}

#[test]
fn the_configuration_table_has_every_key_with_its_default() {
    let rows = rows("Configuration");
    let mut listed: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let (mut tables, mut issuer) = (BTreeMap::new(), String::new());
    let (mut bundle, mut authorizer) = (String::new(), String::new());
    for (key, default) in &rows {
        let (table, name) = key.rsplit_once('.').unwrap_or(("", key));
        listed.entry(table).or_default().insert(name.to_owned());
        if default.is_empty() || default == "required" || default.contains(" + ") {
            continue;
        }
        let plain = default.starts_with(['"', '[']) || default == "true" || default == "false";
        let plain = plain || default.bytes().all(|byte| byte.is_ascii_digit());
        let line = if plain { format!("{name} = {default}\n") } else { format!("{name} = \"{default}\"\n") };
        match table {
            "issuers" => issuer += &line,
            "policies.bundle" => bundle += &line,
            // There is none unless it is written.
            "authorizer" => authorizer += &line,
            _ => *tables.entry(table).or_insert_with(|| format!("[{table}]\n")) += &line,
        }
    }
    let namespace = tables.remove("").unwrap().replace("[]\n", "");
    let text = namespace + &tables.into_values().collect::<String>();
    assert_eq!(toml::from_str::<Config>(&text).unwrap(), Config::default());
    assert_eq!(toml::from_str::<identity::Config>(&issuer).unwrap(), identity::Config::default());
    let url = "url = \"s3://bucket/key\"\n".to_owned();
    let bundled = |text: &str| toml::from_str::<store::bundle::Config>(text).unwrap();
    assert_eq!(bundled(&(url.clone() + &bundle)), bundled(&url));
    let without_defaults = "answer = \"iam\"\n";
    assert_eq!(
        toml::from_str::<gateway::Config>(&format!("{without_defaults}{authorizer}")).unwrap(),
        toml::from_str::<gateway::Config>(without_defaults).unwrap()
    );

    assert_eq!(listed["server"], keys::<http::Config>());
    assert_eq!(listed["policies"], keys::<store::Config>());
    assert_eq!(listed["policies.bundle"], keys::<store::bundle::Config>());
    assert_eq!(listed["issuers"], keys::<identity::Config>());
    assert_eq!(listed["authorizer"], keys::<gateway::Config>());
    assert_eq!(listed["audit"], keys::<audit::Config>());
    assert_eq!(listed["log"], keys::<telemetry::log::Config>());
    assert_eq!(listed["limits"], keys::<Limits>());
    let sections: BTreeSet<_> =
        listed.keys().filter(|table| !table.is_empty() && !table.contains('.')).copied().collect();
    let all = keys::<Config>();
    let all: BTreeSet<_> = all.iter().map(String::as_str).filter(|key| *key != "namespace").collect();
    assert_eq!(sections, all);
}

/// The keys that a section knows: those that it offers for one that it does not.
fn keys<T: DeserializeOwned + std::fmt::Debug>() -> BTreeSet<String> {
    let error = toml::from_str::<T>("nobody-knows-this = 1").unwrap_err().to_string();
    let offered = error.split("expected").nth(1).unwrap();
    offered.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_settings_that_ship_are_read() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/palisade.toml")).unwrap();
    let config = toml::from_str::<Config>(&text).unwrap();
    assert_eq!(config.namespace, "Shop");
    let configuration = Configuration::read(None, "/".into(), &Environment::default()).unwrap();
    assert!(configuration.check_for_serving().is_err(), "without an issuer");
}

#[tokio::test]
async fn the_records_have_the_fields_of_the_readme() {
    let section = readme().section("The decision log");
    let named: BTreeSet<_> = section.text.split('`').skip(1).step_by(2).collect();
    let service = Setup::new().start_with(|command| {
        command.env("PALISADE__AUDIT__VALUES", "true");
    });
    let alice = service.token("alice", &["admin"]);
    service.authorize(&alice, update()).await;
    service.authorize(&alice, json!({"action": "nothing", "resource": {"type": "Product", "id": "p"}})).await;
    service.post("/authorize/batch", &alice, json!({"requests": [update()]})).await;
    let records = service.records();
    let written: BTreeSet<_> =
        records.iter().flat_map(|record| record.as_object().unwrap().keys().map(String::as_str)).collect();
    assert!(written.len() > 15, "{written:?}");
    let unnamed: Vec<_> = written.difference(&named).collect();
    assert!(unnamed.is_empty(), "the README does not name {unnamed:?}");
}
