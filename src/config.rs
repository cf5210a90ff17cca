//! The settings of every section: the file, then `PALISADE__…` variables, then flags; the later wins.
//!
//! Each section's settings belong to the module that uses them. Text comes in as text and the
//! environment as a map, so nothing here touches the process.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use crate::cedar::{Settings, lint};
use crate::model::status::WeakSetting;
use crate::model::{Finding, Limits};
use crate::store::ConfigurationFile;
use crate::telemetry::log;
use crate::{audit, gateway, http, identity, store};

mod environment;
mod place;
pub mod routes;

/// The file that is looked for where none is named.
pub const DEFAULT_FILE: &str = "palisade.toml";

/// The environment, as far as anybody wants to know.
pub type Environment = BTreeMap<String, String>;

/// Everything that can be set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where names without `::` live, in requests and tests.
    pub namespace: String,
    /// The listeners.
    pub server: http::Config,
    /// The files that decide.
    pub policies: store::Config,
    /// Whose tokens are accepted.
    pub issuers: Vec<identity::Config>,
    /// The linter of `palisade check`.
    pub check: lint::Config,
    /// The decision log.
    pub audit: audit::Config,
    /// The Lambda authorizer of API Gateway, where there is one.
    pub authorizer: Option<gateway::Config>,
    /// The bounds on what others send and write.
    pub limits: Limits,
    /// The program log.
    pub log: log::Config,
}

/// The settings, with what they were read from: what a complaint about them points at.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// The settings.
    pub config: Config,
    /// What relative paths are relative to.
    pub base: PathBuf,
    /// The file, where there is one.
    pub file: Option<ConfigurationFile>,
    environment: Environment,
}

impl Configuration {
    /// Reads the file's text and lays the environment over it.
    ///
    /// # Errors
    /// The one place that is wrong, in the file or in a variable.
    pub fn read(
        file: Option<ConfigurationFile>,
        base: PathBuf,
        environment: &Environment,
    ) -> Result<Self, Box<Finding>> {
        let text = file.as_ref().map(|file| &*file.text).unwrap_or_default();
        let alone = toml::from_str::<Config>(text);
        alone.map_err(|error| Box::new(place::of_error(&shown(file.as_ref()), text, &error)))?;
        let mut config = environment::overlay(text, environment)?;
        config.join_paths(&base);
        Ok(Self { config, base, file, environment: environment.clone() })
    }

    /// What `palisade serve` asks of the settings as a whole.
    ///
    /// # Errors
    /// The first that is not safe or not complete.
    pub fn check_for_serving(&self) -> Result<(), Box<Finding>> {
        if self.config.issuers.is_empty() {
            let help =
                "name your user pool: an `[[issuers]]` table with `issuer`, `client_ids` and `token_use`";
            return Err(Box::new(
                self.fault("issuers", "no issuer is configured, so no token could be accepted").help(help),
            ));
        }
        identity::check_all(&self.config.issuers).map_err(|fault| {
            Box::new(self.fault(&fault.key, format!("`{}` {}", fault.key, fault.message)).help(fault.help))
        })?;
        if self.config.policies.bundle.is_some() {
            self.check_bundled()?;
        }
        self.check_listeners()
    }

    /// Whether a bundle can hold what the settings name.
    ///
    /// # Errors
    /// A path that leads out of it.
    pub fn check_bundled(&self) -> Result<(), Box<Finding>> {
        let store::Config { dir, schema, entities, tests, .. } = &self.config.policies;
        let places = [
            ("policies.dir", Some(dir)),
            ("policies.schema", Some(schema)),
            ("policies.entities", entities.as_ref()),
            ("policies.tests", tests.as_ref()),
        ];
        let outside = |path: &PathBuf| !store::bundle::is_inside(path, &self.base);
        match places.into_iter().find(|(_, path)| path.is_some_and(outside)) {
            None => Ok(()),
            Some((key, _)) => {
                let message = format!("`{key}` leads out of the bundle");
                let help = "name a place inside of it, from its top: `policies`";
                Err(Box::new(self.fault(key, message).help(help)))
            }
        }
    }

    /// The variables of the environment, for what others than Palisade call by their own names.
    pub fn environment(&self) -> impl Iterator<Item = (&str, &str)> {
        self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether it is safe to listen where that is asked for.
    pub fn check_listeners(&self) -> Result<(), Box<Finding>> {
        self.config.server.check().map_err(|exposed| {
            let help = "listen on loopback or a unix socket, or set `server.allow_anonymous = true`";
            Box::new(self.fault("server.listen", exposed.to_string()).help(help))
        })
    }

    /// The settings that decide.
    pub fn settings(&self) -> Settings {
        Settings {
            namespace: self.config.namespace.clone(),
            forbid_errors: self.config.policies.forbid_errors,
            verify_index: self.config.policies.verify_index,
            issuers: self.config.issuers.iter().map(identity::Config::mapping).collect(),
        }
    }

    /// What the linter is told beside the sources.
    pub fn project(&self) -> lint::Project {
        let text = self.file.as_ref().map(|file| &*file.text).unwrap_or_default();
        let allows = 0..self.config.check.allow.len();
        let mapped = |(index, issuer): (usize, &identity::Config)| {
            let place = |name: &String| place::of_key(text, &format!("issuers.{index}.attributes.{name}"));
            let names = issuer.attributes.keys();
            names.filter_map(|name| Some((name.clone(), place(name)?))).collect()
        };
        lint::Project {
            config: self.config.check.clone(),
            configuration: shown(self.file.as_ref()),
            allow_places: allows.map(|index| place::of_key(text, &format!("check.allow.{index}"))).collect(),
            claim_places: self.config.issuers.iter().enumerate().map(mapped).collect(),
            tested_groups: BTreeSet::new(),
        }
    }

    /// The settings in force that are weaker than they could be.
    pub fn weak_settings(&self) -> Vec<WeakSetting> {
        let Config { server, policies, audit, .. } = &self.config;
        [server.weak_settings(), policies.weak_settings(), audit.weak_settings()].concat()
    }

    /// A complaint about a key: at its line, or of the variable that set it.
    pub fn fault(&self, key: &str, message: impl Into<String>) -> Finding {
        if let Some(variable) = environment::variable_of(key, &self.environment) {
            return Finding::error(&variable.into(), CODE, message);
        }
        let finding = Finding::error(&shown(self.file.as_ref()), CODE, message);
        let text = self.file.as_ref().map(|file| &*file.text).unwrap_or_default();
        match place::of_key(text, key) {
            Some(place) => finding.at(place),
            None => finding,
        }
    }
}

impl Config {
    fn join_paths(&mut self, base: &Path) {
        let policies = &mut self.policies;
        let paths = [&mut policies.dir, &mut policies.schema, &mut self.audit.path].into_iter();
        let keys = self.issuers.iter_mut().filter_map(|issuer| issuer.jwks_file.as_mut());
        let routes = self.authorizer.as_mut().map(|authorizer| &mut authorizer.routes);
        let optional = policies.entities.as_mut().into_iter().chain(policies.tests.as_mut()).chain(routes);
        for path in paths.chain(optional).chain(keys) {
            *path = base.join(&*path);
        }
        if let Some(copy) = policies.bundle.as_mut().and_then(|bundle| bundle.copy.as_mut()) {
            *copy = base.join(&*copy);
        }
    }
}

/// The code of every finding about settings.
const CODE: &str = "configuration";

/// The file as complaints name it.
fn shown(file: Option<&ConfigurationFile>) -> Arc<str> {
    file.map_or_else(|| DEFAULT_FILE.into(), |file| file.path.display().to_string().into())
}

#[cfg(test)]
mod tests;
