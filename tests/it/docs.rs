//! The page for policy authors says what is so. Each of its sections is a project: the shop with what the
//! section shows. Its policies compile without a warning, its tests pass, its commands run, and what it
//! shows of their output is what they print.
//!
//! The note behind a block's language, which readers do not see, is the file that it is, or one of:
//! `fails` for what is shown because it is wrong, `whole` for policies that stand without the shop's, `git`
//! for commands in a repository where the shop is committed and the section's changes are not.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use toml::Table;

use crate::page::{Block, Page, Section, blocks};

const PAGE: &str = "docs/policies.md";

const COMMIT: &str = "git init --quiet && git add --all
git -c user.name=a -c user.email=a@example.com commit --quiet --message shop";

/// A section laid out as a project, and what is to be tried there.
struct Project {
    folder: tempfile::TempDir,
    files: usize,
}

fn copy(from: &str, to: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(root.join(from)).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

impl Project {
    /// The shop, with the files that the section shows.
    fn of(section: &[Block]) -> Self {
        let mut project = Self { folder: tempfile::tempdir().unwrap(), files: 0 };
        let path = |name: &str| project.folder.path().join(name);
        let stands_alone =
            section.iter().any(|block| block.note.starts_with("whole") || block.language == "cedarschema");
        copy("schema", &path("schema"));
        if !stands_alone {
            copy("policies", &path("policies"));
        }
        copy("tests/policies", &path("tests/policies"));
        let changes = |block: &Block| ["cedar", "yaml", "cedarschema"].contains(&&*block.language);
        let is_compared = section.iter().any(|block| block.note == "git");
        if section.iter().any(changes) && !is_compared {
            for shops in ["product.test.yaml", "category.test.yaml"] {
                std::fs::remove_file(path(&format!("tests/policies/{shops}"))).unwrap();
            }
        }
        project.write("palisade.toml", include_str!("../../palisade.toml"));
        if is_compared {
            project.output(COMMIT, 0);
        }
        for block in section.iter().filter(|block| block.note != "fails") {
            project.add(block);
        }
        project
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Lays out a file; commands and outputs are none.
    fn add(&mut self, block: &Block) -> Option<String> {
        self.files += 1;
        let of_its_own = match block.language.as_str() {
            "cedar" => format!("policies/page-{}.cedar", self.files),
            "yaml" => format!("tests/policies/page-{}.test.yaml", self.files),
            "cedarschema" => "schema/shop.cedarschema".to_owned(),
            "toml" => {
                self.merge(&block.text);
                return None;
            }
            "json" => String::new(),
            "sh" | "text" => return None,
            language => panic!("nothing runs a block of `{language}`:\n{}", block.text),
        };
        let named = block.note.split(' ').find(|word| word.contains('/'));
        let name = named.map_or(of_its_own, str::to_owned);
        assert!(!name.is_empty(), "which file is this?\n{}", block.text);
        self.write(&name, &block.text);
        Some(name)
    }

    /// What is said about a file while it lies there, under the name that the page gives it.
    fn wrong(&mut self, block: &Block, command: &str, shown: &str) -> String {
        let name = self.add(block).unwrap();
        let path = if command.ends_with("test") { &*name } else { "" };
        let output = self.output(&format!("{command} {path}"), 1);
        std::fs::remove_file(self.folder.path().join(&name)).unwrap();
        output.replace(&name, shown)
    }

    /// Lines of palisade.toml.
    fn merge(&self, text: &str) {
        let there = std::fs::read_to_string(self.folder.path().join("palisade.toml")).unwrap();
        let mut settings: Table = there.parse().unwrap();
        for (key, value) in text.parse::<Table>().unwrap() {
            match (settings.get_mut(&key), value) {
                (Some(toml::Value::Table(there)), toml::Value::Table(more)) => there.extend(more),
                (_, value) => {
                    settings.insert(key, value);
                }
            }
        }
        self.write("palisade.toml", &settings.to_string());
    }

    fn run(&self, script: &str) -> Output {
        let program = Path::new(env!("CARGO_BIN_EXE_palisade")).parent().unwrap();
        let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
        let mut sh = Command::new("sh");
        sh.env_clear().env("PATH", path).current_dir(self.folder.path());
        sh.args(["-e", "-c", &format!("exec 2>&1\n{script}")]).output().unwrap()
    }

    /// Runs something, which ends with this exit code, and gives what it prints.
    fn output(&self, script: &str, code: i32) -> String {
        let output = self.run(script);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(code), "{script}\n{text}");
        // On a busy machine what takes a moment takes long enough for its progress to be told.
        let told = ["compiling policies: ", "reading stored entities: ", "filing ", "linting "];
        let is_progress = |line: &&str| told.iter().any(|beginning| line.starts_with(beginning));
        let lines = text.lines().filter(|line| !is_progress(line)).map(str::trim_end);
        lines.collect::<Vec<_>>().join("\n").trim().to_owned()
    }
}

/// Tries everything that a section shows.
fn try_out(section: &Section) {
    let shown = blocks(&section.text);
    let mut project = Project::of(&shown);
    project.output("palisade check --deny-warnings\npalisade fmt --check", 0);
    if shown.iter().any(|block| block.language == "yaml" && block.note != "fails") {
        project.output("palisade test", 0);
    }
    let mut printed = None;
    for block in &shown {
        let code = i32::from(block.note == "fails");
        printed = match (block.language.as_str(), code) {
            ("text", _) => {
                let printed: String =
                    printed.take().unwrap_or_else(|| panic!("whose output?\n{}", block.text));
                assert_eq!(printed, block.text.trim(), "{}", section.heading);
                None
            }
            ("sh", _) if block.note == "git" => {
                let commit = project.output("git rev-parse HEAD", 0);
                let output = project.output(&block.text, code);
                Some(output.replace(&commit[..10], "5d1c0a9e7b"))
            }
            ("sh", _) => Some(project.output(&block.text, code)),
            ("cedar", 1) => Some(project.wrong(block, "palisade check", "policies/product.cedar")),
            ("yaml", 1) => Some(project.wrong(block, "palisade test", "tests/policies/new.test.yaml")),
            _ => None,
        };
    }
}

#[test]
fn every_section_is_so() {
    let sections = Page::read(PAGE).sections();
    assert!(sections.len() > 10);
    std::thread::scope(|scope| {
        for section in &sections {
            scope.spawn(|| try_out(section));
        }
    });
}

#[test]
#[should_panic(expected = "nothing runs a block of `python`")]
fn a_snippet_that_nothing_runs_is_found() {
    Project::of(&blocks("```python\nprint()\n```\n"));
}

#[test]
fn the_reasons_of_the_page_are_those_that_answers_have() {
    let section = Page::read(PAGE).section("Reading a denial");
    let named = section.text.lines().filter_map(|line| line.strip_prefix("| `"));
    let mut named: Vec<_> = named.map(|row| row.split('`').next().unwrap()).collect();
    named.sort_unstable();
    let schema: Value =
        serde_json::from_str(include_str!("../../docs/schema/policy-test.schema.json")).unwrap();
    let reasons = schema["$defs"]["test"]["properties"]["reason"]["enum"].as_array().unwrap();
    let mut reasons: Vec<_> = reasons.iter().map(|reason| reason.as_str().unwrap()).collect();
    reasons.sort_unstable();
    assert_eq!(named, reasons);
}

#[test]
fn the_links_of_the_pages_lead_somewhere() {
    let pages = [
        "README.md",
        "docs/policies.md",
        "docs/lint.md",
        "docs/performance.md",
        "docs/authorizer.md",
        "docs/aws.md",
        "layer/README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "clients/node/README.md",
        "examples/handlers/README.md",
    ];
    for page in pages {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(page).parent().unwrap().to_owned();
        for link in Page::read(page).text.split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap();
            let leads = target.is_empty() || target.starts_with("https://") || folder.join(target).exists();
            assert!(leads, "{page} links to {target}");
        }
    }
}
