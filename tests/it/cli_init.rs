//! `palisade init`: what it writes passes its own checks, and what was there before stays as it was.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use insta::assert_snapshot;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cli::Dev;

fn palisade(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_palisade")).env_clear().current_dir(folder).args(args).output().unwrap()
}

/// Exit code, standard output and standard error.
fn shown(folder: &Path, args: &[&str]) -> String {
    let Output { status, stdout, stderr } = palisade(folder, args);
    let text = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).unwrap().replace(&folder.display().to_string(), "<folder>");
        text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim_end().to_owned()
    };
    format!("exit {}\n--- stdout\n{}\n--- stderr\n{}", status.code().unwrap(), text(stdout), text(stderr))
}

/// A folder in which a repository has been started.
fn started() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    assert!(palisade(folder.path(), &["init"]).status.success());
    folder
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Every file below a folder with its text, and every folder with none.
fn tree(folder: &Path) -> BTreeMap<String, Option<String>> {
    let mut tree = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().display().to_string();
            let is_folder = path.is_dir();
            tree.insert(name, (!is_folder).then(|| std::fs::read_to_string(&path).unwrap()));
            folders.extend(is_folder.then_some(path));
        }
    }
    tree
}

#[test]
fn a_repository_is_started_and_it_is_said_what_is_left_to_do() {
    let folder = tempfile::tempdir().unwrap();
    assert_snapshot!(shown(folder.path(), &["init", "policies-of-ours"]), @r"
    exit 0
    --- stdout
    palisade.toml: written
    schema/app.cedarschema: written
    policies/documents.cedar: written
    policies/emergency.cedar: written
    tests/policies/fixtures.yaml: written
    tests/policies/documents.test.yaml: written
    .github/workflows/policies.yml: written
    .github/get-palisade.sh: written
    .githooks/pre-commit: written
    .vscode/settings.json: written
    .vscode/extensions.json: written
    .vscode/policy-test.schema.json: written
    .gitignore: written
    README.md: written

    Next, in `policies-of-ours`:
      1. put the issuer of your user pool and its app clients into palisade.toml
      2. say in .github/workflows/policies.yml where palisade comes from: `PALISADE_IMAGE`
      3. turn on the check before each commit: git config core.hooksPath .githooks
    --- stderr
    ");
}

#[test]
fn what_is_written_passes_its_own_checks() {
    let folder = started();
    for args in
        [&["check", "--deny-warnings"] as &[_], &["fmt", "--check"], &["test", "--coverage-threshold", "100"]]
    {
        let output = palisade(folder.path(), args);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{args:?}: {text}");
        assert!(!text.contains("warning"), "{args:?}: {text}");
    }
}

#[test]
fn dev_serves_it_whatever_its_tests_say_of_other_tokens() {
    let folder = started();
    let id_token = "principals: { eva: { token_use: id } }
tests:
  - { name: access tokens only, principals: [eva], actions: [readDocument], resources: [nobodys], refused: invalid_token }
";
    write(folder.path(), "tests/policies/tokens.test.yaml", id_token);
    assert!(palisade(folder.path(), &["test"]).status.success());
    Dev::start_in(folder).line("Palisade decides at ");
}

#[test]
fn the_files_of_the_tree_are_those_that_are_written() {
    let folder = started();
    let mut ours = tree(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/init/repository"));
    let schema = palisade(folder.path(), &["test", "--print-schema"]).stdout;
    let schema = String::from_utf8(schema).unwrap();
    ours.insert(".vscode/policy-test.schema.json".to_owned(), Some(schema));
    assert_eq!(tree(folder.path()), ours);
}

#[test]
fn a_second_run_changes_nothing() {
    let folder = started();
    std::fs::remove_file(folder.path().join("policies/documents.cedar")).unwrap();
    write(folder.path(), "policies/ours.cedar", "// ours\n");
    let before = tree(folder.path());
    assert_snapshot!(shown(folder.path(), &["init"]), @r"
    exit 0
    --- stdout
    .github/workflows/policies.yml: is there already, left as it is
    .github/get-palisade.sh: is there already, left as it is
    .githooks/pre-commit: is there already, left as it is
    .vscode/settings.json: is there already, left as it is
    .vscode/extensions.json: is there already, left as it is
    .vscode/policy-test.schema.json: is there already, left as it is
    .gitignore: is there already, left as it is
    README.md: is there already, left as it is
    `palisade.toml` is there already, so settings, schema, policies and tests are left to you
    --- stderr
    ");
    assert_eq!(tree(folder.path()), before);
}

#[test]
fn a_project_that_is_there_gets_what_stands_around_it_and_nothing_between() {
    for place in
        ["palisade.toml", "schema/shop.cedarschema", "policies/a.cedar", "tests/policies/a.test.yaml"]
    {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), place, "of mine\n");
        write(folder.path(), "README.md", "mine too\n");
        let output = palisade(folder.path(), &["init", "--format", "json"]);
        assert!(output.status.success());
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(place.starts_with(told["project"].as_str().unwrap()), "{told}");
        assert_eq!(told["left"], json!(["README.md"]));
        let after = tree(folder.path());
        assert_eq!(
            (after[place].as_deref(), after["README.md"].as_deref()),
            (Some("of mine\n"), Some("mine too\n"))
        );
        let first = |name: &str| name.split('/').next().unwrap().to_owned();
        let mut roots: BTreeSet<_> = after.keys().map(|name| first(name)).collect();
        assert!(roots.remove(&first(place)));
        assert!(roots.iter().eq([".githooks", ".github", ".gitignore", ".vscode", "README.md"]), "{roots:?}");
    }
}

#[test]
fn empty_folders_are_no_project() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("policies")).unwrap();
    let told: Value =
        serde_json::from_slice(&palisade(folder.path(), &["init", "--format", "json"]).stdout).unwrap();
    assert_eq!(told["project"], Value::Null);
    assert!(folder.path().join("policies/emergency.cedar").exists());
}

#[test]
fn where_something_stands_in_the_way_nothing_is_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), ".vscode", "a file\n");
    let before = tree(folder.path());
    assert_snapshot!(shown(folder.path(), &["init"]), @r"
    exit 2
    --- stdout

    --- stderr
      × `.vscode/settings.json` cannot be written: not a directory
      help: nothing was left behind; run it again when that is mended
    ");
    assert_eq!(tree(folder.path()), before);
    assert_snapshot!(shown(folder.path(), &["init", ".vscode/below"]), @r"
    exit 2
    --- stdout

    --- stderr
      × `.vscode/below/palisade.toml` cannot be written: not a directory
      help: nothing was left behind; run it again when that is mended
    ");
    // `/proc` takes no folders, from nobody.
    assert_eq!(palisade(folder.path(), &["init", "/proc/palisade"]).status.code(), Some(2));
}

#[test]
fn a_link_that_leads_nowhere_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let elsewhere = outside.path().join("elsewhere");
    std::os::unix::fs::symlink(&elsewhere, folder.path().join("README.md")).unwrap();
    let told: Value =
        serde_json::from_slice(&palisade(folder.path(), &["init", "--format", "json"]).stdout).unwrap();
    assert_eq!(told["left"], json!(["README.md"]));
    assert!(!elsewhere.exists());
}

#[test]
fn a_folder_of_a_repository_is_told_that_github_reads_its_root_only() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join(".git")).unwrap();
    let text = |args: &[&str]| String::from_utf8(palisade(folder.path(), args).stdout).unwrap();
    assert!(text(&["init", "below"]).contains("GitHub reads `.github` at its root only"));
    assert!(text(&["init", "its own/policies"]).contains("core.hooksPath 'its own/policies/.githooks'"));
    assert!(!text(&["init"]).contains("at its root only"));
}

#[test]
fn the_hook_judges_what_is_committed_and_not_what_lies_beside_it() {
    judges_what_is_committed("");
    judges_what_is_committed("below/");
}

/// With the project in this folder of its repository.
fn judges_what_is_committed(below: &str) {
    let folder = tempfile::tempdir().unwrap();
    assert!(palisade(folder.path(), &["init", &format!("./{below}")]).status.success());
    let hooks = format!("core.hooksPath={below}.githooks");
    let hook = folder.path().join(below).join(".githooks/pre-commit");
    assert_eq!(std::fs::metadata(&hook).unwrap().permissions().mode() & 0o111, 0o111);
    let program = Path::new(env!("CARGO_BIN_EXE_palisade")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let git = |args: &[&str]| {
        let mut git = Command::new("git");
        git.env_clear().env("PATH", &path).current_dir(folder.path());
        git.args(["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", &hooks]);
        git.args(args).output().unwrap()
    };
    assert!(git(&["init"]).status.success());
    assert!(git(&["add", "--all"]).status.success());
    let policies = folder.path().join(below).join("policies/documents.cedar");
    let good = std::fs::read_to_string(&policies).unwrap();
    let bad = good.replace("when { resource.locked }", "when { resource.lokced }");
    std::fs::write(&policies, &bad).unwrap();
    let commit = git(&["commit", "--message", "start"]);
    assert!(commit.status.success(), "the fault is not staged: {commit:?}");

    assert!(git(&["add", "--all"]).status.success());
    std::fs::write(&policies, &good).unwrap();
    let commit = git(&["commit", "--message", "a fault"]);
    let complaint = String::from_utf8(commit.stderr).unwrap();
    assert!(!commit.status.success() && complaint.contains("policies/documents.cedar:"), "{complaint}");
}
