//! Where files stand in their git repository: how reports that are shown beside a repository name them.

use std::path::{Component, Path, PathBuf};

/// The working tree around a project.
#[derive(Debug)]
pub(super) struct Repository {
    root: PathBuf,
    base: PathBuf,
}

impl Repository {
    /// The nearest folder around this one that holds a `.git`; without any, the folder itself.
    pub(super) fn around(base: &Path) -> Self {
        let base = if base.as_os_str().is_empty() { Path::new(".") } else { base };
        let base = base.canonicalize().unwrap_or_else(|_| base.to_owned());
        let root = base.ancestors().find(|folder| folder.join(".git").exists()).unwrap_or(&base);
        Self { root: root.to_owned(), base: base.clone() }
    }

    /// A path as findings name it, from the root of the repository with `/` between its parts;
    /// nothing for a file outside.
    pub(super) fn path(&self, shown: &str) -> Option<String> {
        let inside = plain(&self.base.join(shown)).strip_prefix(&self.root).ok()?.to_owned();
        let parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy()).collect();
        Some(parts.join("/"))
    }
}

/// Without `.` and `..`.
pub(super) fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => plain.push(component),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_named_from_the_root_of_the_repository() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let project = root.join("services/shop");
        std::fs::create_dir_all(&project).unwrap();
        assert_eq!(Repository::around(&project).path("policies/a.cedar").unwrap(), "policies/a.cedar");
        std::fs::create_dir(root.join(".git")).unwrap();
        let repository = Repository::around(&project);
        assert_eq!(repository.path("policies/a b.cedar").unwrap(), "services/shop/policies/a b.cedar");
        assert_eq!(repository.path("../schema/./s.cedarschema").unwrap(), "services/schema/s.cedarschema");
        let configuration = project.join("palisade.toml").display().to_string();
        assert_eq!(repository.path(&configuration).unwrap(), "services/shop/palisade.toml");
        assert_eq!(repository.path("/etc/palisade.toml"), None);
    }
}
