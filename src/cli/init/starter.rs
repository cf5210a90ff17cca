//! What a new policy repository holds. The files lie in `repository/` beside this one, a project like any
//! other, which the tests of the tree check.

use crate::suite;

/// A file of the new repository.
#[derive(Debug, Clone, Copy)]
pub(super) struct File {
    /// Below the folder, with `/` between the parts.
    pub(super) name: &'static str,
    pub(super) text: &'static str,
    pub(super) executable: bool,
}

macro_rules! file {
    ($name:literal) => {
        File { name: $name, text: include_str!(concat!("repository/", $name)), executable: false }
    };
}

/// The project: these belong together, so they come together or not at all.
pub(super) const PROJECT: [File; 6] = [
    file!("palisade.toml"),
    file!("schema/app.cedarschema"),
    file!("policies/documents.cedar"),
    file!("policies/emergency.cedar"),
    file!("tests/policies/fixtures.yaml"),
    file!("tests/policies/documents.test.yaml"),
];

/// Where a project is: if one of these is there, somebody has begun already.
pub(super) const PROJECT_PLACES: [&str; 4] = ["palisade.toml", "schema", "policies", "tests/policies"];

/// What stands around a project; each is of use without the others.
pub(super) const SURROUNDINGS: [File; 8] = [
    file!(".github/workflows/policies.yml"),
    File { executable: true, ..file!(".github/get-palisade.sh") },
    File { executable: true, ..file!(".githooks/pre-commit") },
    file!(".vscode/settings.json"),
    file!(".vscode/extensions.json"),
    File { name: ".vscode/policy-test.schema.json", text: suite::SCHEMA, executable: false },
    file!(".gitignore"),
    file!("README.md"),
];
