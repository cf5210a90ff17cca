//! `palisade dev`: the service on loopback, with a token issuer of its own and demo users.

use std::collections::BTreeMap;
use std::sync::Arc;

use anstream::eprintln;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::serve::{self, Parts, Policies, Refused, RefusedBy, Service};
use super::{Exit, Shell, render};
use crate::cedar::{Source, Sources, compile, live};
use crate::clock::Clock;
use crate::config::Configuration;
use crate::http::dev::{self, Mint};
use crate::identity::issuer::{Cognito, DEV_ISSUER, TokenIssuer};
use crate::identity::{Config, Verifier};
use crate::model::status::{PolicyStatus, Serving};
use crate::model::{Limits, Timestamp, TokenUse};
use crate::telemetry::Metrics;

/// The client of every token that `dev` mints.
const CLIENT: &str = "palisade-dev";

/// The demo users, each with a group or none.
const USERS: [(&str, &[&str]); 3] = [("alice", &["admin"]), ("bob", &["user"]), ("carol", &[])];

/// The shop, for where there are no files.
const SHOP: [(&str, &str); 3] = [
    ("product.cedar", include_str!("../../policies/product.cedar")),
    ("category.cedar", include_str!("../../policies/category.cedar")),
    ("emergency.cedar", include_str!("../../policies/emergency.cedar")),
];
const SHOP_SCHEMA: &str = include_str!("../../schema/shop.cedarschema");

pub(super) fn run(shell: &Shell) -> Exit {
    let mut configuration = match shell.configuration() {
        Ok(configuration) => configuration,
        Err(exit) => return exit,
    };
    if let Err(exit) = only_loopback(&configuration) {
        return exit;
    }
    let issuer = match TokenIssuer::start(DEV_ISSUER, "dev") {
        Ok(issuer) => issuer,
        Err(error) => return serve::failed(&error, None),
    };
    prepare(&mut configuration);
    match open(shell, configuration, &issuer) {
        Ok((runtime, service)) => {
            let (decisions, operations) = service.addresses();
            banner(&issuer, Clock::machine().now().wall, &decisions, &operations);
            runtime.block_on(service.run(std::future::pending())).into()
        }
        Err(refused) => refused.into(),
    }
}

/// The service with this issuer's keys, and the route that mints its tokens.
fn open(
    shell: &Shell,
    configuration: Configuration,
    issuer: &TokenIssuer,
) -> Result<(Runtime, Service), Refused> {
    let (runtime, clock, metrics) = serve::prepare(&configuration)?;
    let policies = if configuration.file.is_some() {
        serve::load(shell, &configuration, &runtime, &clock, &metrics)?
    } else {
        shop(&configuration, &clock, &metrics)?
    };
    let config = &configuration.config;
    let sources = config.issuers.iter().map(|trusted| (trusted.clone(), issuer.key_source())).collect();
    let verifier = Verifier::with_sources(sources, &config.limits, clock.clone(), &metrics)
        .map_err(|error| Refused::by_the_machine(&error, None))?;
    let _nobody_waits = serve::keep_fresh(&runtime, &verifier);
    let further = dev::router(minting(issuer.clone(), clock.clone()));
    let service = Service::open(Parts { configuration, policies, verifier, clock, metrics, further })?;
    Ok((runtime, service))
}

/// Whoever reaches the operations listener can be anybody.
fn only_loopback(configuration: &Configuration) -> Result<(), Exit> {
    let server = &configuration.config.server;
    for (key, address) in [("server.listen", &server.listen), ("server.ops_listen", &server.ops_listen)] {
        if !address.is_local() {
            let message = format!(
                "`{key} = \"{address}\"` can be reached from other machines, and `palisade dev` mints tokens for whoever asks"
            );
            let finding = configuration.fault(key, message).help("listen on loopback");
            let text = configuration.file.as_ref().map(|file| file.text.to_string()).unwrap_or_default();
            render::findings(std::slice::from_ref(&finding), &render::Texts::one(&finding.path, &text));
            return Err(Exit::Failed);
        }
    }
    Ok(())
}

/// Explains, stops at once, runs no tests, and trusts its own issuer only, with the mapping of the configured one.
fn prepare(configuration: &mut Configuration) {
    let config = &mut configuration.config;
    if configuration.file.is_none() {
        "Shop".clone_into(&mut config.namespace);
    }
    // They speak of tokens of the configured issuers, which nobody can mint here.
    config.policies.tests = None;
    // What is being written is on disk.
    config.policies.bundle = None;
    config.server.explain = true;
    config.server.drain.0 = std::time::Duration::ZERO;
    let mapping = config.issuers.drain(..).next().unwrap_or_default();
    config.issuers = vec![Config {
        issuer: DEV_ISSUER.to_owned(),
        issuer_aliases: Vec::new(),
        client_ids: vec![CLIENT.to_owned()],
        token_use: vec![TokenUse::Access, TokenUse::Id],
        jwks_url: None,
        jwks_file: None,
        ..mapping
    }];
}

fn shop(configuration: &Configuration, clock: &Clock, metrics: &Metrics) -> Result<Policies, Refused> {
    let source = |folder: &str, (name, text): (&str, &str)| Source {
        path: format!("{folder}/{name}").into(),
        name: name.into(),
        text: text.into(),
    };
    let sources = Sources {
        policies: SHOP.map(|file| source("policies", file)).into(),
        schema: vec![source("schema", ("shop.cedarschema", SHOP_SCHEMA))],
        settings: configuration.settings(),
        ..Sources::default()
    };
    let compiled = compile(&sources, &Limits::default()).map_err(|findings| {
        render::findings(&findings, &render::Texts::of(&sources, configuration));
        Refused { by: RefusedBy::Policies, reason: render::count(&findings) }
    })?;
    let revision = Arc::clone(compiled.snapshot.revision().as_str());
    metrics.set_revision(&revision);
    let serving = Some(Serving { revision, loaded_at: clock.now() });
    let status = PolicyStatus { serving, ..PolicyStatus::default() };
    let (_, snapshots) = live::channel(compiled.snapshot);
    Ok(Policies::OnDisk { snapshots, status: watch::channel(status).1, reloads: None })
}

/// Mints what `POST /dev/tokens` asks for.
fn minting(issuer: TokenIssuer, clock: Clock) -> Mint {
    Arc::new(move |user, groups, token_use| {
        let groups: Vec<_> = groups.iter().map(String::as_str).collect();
        token(&issuer, user, &groups, token_use, clock.now().wall)
    })
}

fn token(
    issuer: &TokenIssuer,
    user: &str,
    groups: &[&str],
    token_use: TokenUse,
    now: Timestamp,
) -> Result<String, String> {
    let claims = match token_use {
        TokenUse::Access => Cognito::access(user, groups, CLIENT, now),
        TokenUse::Id => Cognito::id(user, groups, CLIENT, now),
    };
    issuer.issue(&claims).map(|token| token.expose().to_owned()).map_err(|error| error.to_string())
}

/// What to paste. On standard error: standard output belongs to the decision log.
fn banner(issuer: &TokenIssuer, now: Timestamp, decisions: &str, operations: &str) {
    let minted = USERS
        .map(|(user, groups)| (user, token(issuer, user, groups, TokenUse::Access, now).unwrap_or_default()));
    let tokens: BTreeMap<_, _> = minted.into_iter().collect();
    let token = |user: &str| tokens.get(user).map_or("", String::as_str);
    let update = r#"{"action": "updateProduct", "resource": {"type": "Product", "id": "p-42"}}"#;
    let filled = r#"{"action": "deleteCategory", "resource": {"type": "Category", "id": "c-7"}, "context": {"productCount": 3}}"#;
    let ask = |user: &str, path: &str, body: &str| match decisions.strip_prefix("unix:") {
        Some(socket) => format!(
            "curl -s --unix-socket {socket} 'http://localhost{path}' -H 'authorization: Bearer {}' -H 'content-type: application/json' -d '{body}'",
            token(user)
        ),
        None => format!(
            "curl -s 'http://{decisions}{path}' -H 'authorization: Bearer {}' -H 'content-type: application/json' -d '{body}'",
            token(user)
        ),
    };
    eprintln!("Palisade decides at {decisions}; operations are at {operations}.");
    eprintln!("alice is in the group `admin`, bob in `user`, carol in none. Their tokens last an hour.\n");
    eprintln!("# alice may update a product:\n{}\n", ask("alice", "/authorize", update));
    eprintln!("# bob may not:\n{}\n", ask("bob", "/authorize", update));
    eprintln!(
        "# nobody deletes a category that holds products, and this says why:\n{}\n",
        ask("alice", "/authorize?explain=true", filled)
    );
    eprintln!("# a token for anybody:");
    eprintln!(
        "curl -s 'http://{operations}/dev/tokens' -H 'content-type: application/json' -d '{{\"user\": \"dora\", \"groups\": [\"user\"], \"token_use\": \"access\"}}'\n"
    );
}
