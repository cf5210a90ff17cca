//! A folder with a small shop in it, for the tests of the store.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Config, Files};
use crate::cedar::Settings;
use crate::model::Limits;

pub(super) const SCHEMA: &str = r"namespace Shop {
    entity User;
    entity Product = { status?: String };
    action view appliesTo { principal: [User], resource: [Product] };
}";

pub(super) const PERMIT: &str = "@id(\"all\") permit (principal, action, resource);\n";
pub(super) const FORBID: &str = "@id(\"none\") forbid (principal, action, resource);\n";
pub(super) const BAD: &str = "permit (principal, action, resource) when { resource.colour == \"red\" };\n";

/// One policy, one schema, and settings that a test may change.
pub(super) struct Shop {
    folder: TempDir,
    pub(super) config: Config,
    pub(super) limits: Limits,
}

impl Shop {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            dir: folder.path().join("policies"),
            schema: folder.path().join("schema"),
            ..Config::default()
        };
        let shop = Self { folder, config, limits: Limits::default() };
        shop.write("policies/a.cedar", PERMIT);
        shop.write("schema/shop.cedarschema", SCHEMA);
        shop
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    pub(super) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Lays out a version as Kubernetes does with a `ConfigMap`, and turns `..data` to it in one step.
    pub(super) fn mount(&self, version: &str, name: &str, text: &str) {
        let mounted = |name: &str| self.path("policies").join(name);
        self.write(&format!("policies/{version}/{name}"), text);
        std::os::unix::fs::symlink(version, mounted("..data_tmp")).unwrap();
        fs::rename(mounted("..data_tmp"), mounted("..data")).unwrap();
        if mounted(name).symlink_metadata().is_err() {
            std::os::unix::fs::symlink(format!("..data/{name}"), mounted(name)).unwrap();
        }
    }

    pub(super) fn files(&self) -> Files {
        let base = self.folder().to_owned();
        Files::new(base, self.config.clone(), Settings::default(), self.limits.clone())
    }
}
