//! The arrows between modules go one way, and every third-party crate has one home.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// A module, and the modules of the project that it may name beside itself.
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("cedar", &["model"]),
    ("clock", &["model"]),
    ("telemetry", &["model"]),
    ("endpoint", &[]),
    ("workers", &[]),
    ("identity", &["model", "clock", "endpoint", "telemetry"]),
    ("suite", &["model", "cedar", "identity"]),
    ("impact", &["model", "cedar", "identity", "suite"]),
    ("gateway", &["model", "cedar"]),
    ("audit", &["model", "clock", "telemetry"]),
    ("decision", &["model", "cedar", "identity", "audit", "clock", "telemetry", "workers"]),
    ("store", &["model", "cedar", "clock", "endpoint", "telemetry"]),
    ("http", &["model", "cedar", "identity", "decision", "clock", "telemetry", "workers"]),
    ("authorizer", &["model", "gateway", "identity", "decision", "telemetry"]),
    ("lambda", &[]),
    ("config", &["model", "cedar", "gateway", "identity", "audit", "store", "http", "telemetry"]),
    (
        "cli",
        &[
            "model",
            "cedar",
            "suite",
            "impact",
            "clock",
            "telemetry",
            "workers",
            "identity",
            "audit",
            "decision",
            "store",
            "http",
            "gateway",
            "authorizer",
            "lambda",
            "config",
        ],
    ),
    ("main", &["cli"]),
    ("lib", &[]),
];

/// A crate, and the files or folders that may name it. Crates that are not listed are at home everywhere.
const HOMES: &[(&str, &[&str])] = &[
    ("anstream", &["cli"]),
    ("anstyle", &["cli"]),
    ("arc_swap", &["cedar/live.rs", "identity", "store/bundle/policies.rs"]),
    ("async_trait", &["store/bundle/fetch.rs"]),
    ("aws_lc_rs", &["identity"]),
    ("axum", &["http", "cli/dev"]),
    ("base64", &["identity"]),
    ("cedar_policy", &["cedar"]),
    ("cedar_policy_formatter", &["cedar/format.rs"]),
    ("clap", &["cli"]),
    ("compact_str", &["model"]),
    ("flate2", &["store/bundle/archive.rs"]),
    ("hyper", &["http"]),
    ("hyper_util", &["http"]),
    ("jiff", &["model/time.rs"]),
    ("jsonwebtoken", &["identity"]),
    ("memchr", &["model"]),
    ("miette", &["cedar", "cli/render.rs"]),
    ("mimalloc", &["main.rs"]),
    ("notify", &["store/watch.rs", "store/edits.rs"]),
    ("object_store", &["store/bundle/fetch.rs"]),
    ("percent_encoding", &["cli/check/sarif.rs", "gateway/path.rs"]),
    ("pin_project_lite", &["http"]),
    ("prometheus_client", &["telemetry"]),
    ("quick_junit", &["cli/test/junit.rs"]),
    ("quick_cache", &["identity/cache.rs", "cedar/snapshot.rs"]),
    ("reqwest", &["endpoint.rs", "identity/jwks.rs", "lambda"]),
    ("serde_saphyr", &["suite/yaml.rs"]),
    ("sha2", &["cedar/sources.rs", "cli/check/sarif.rs", "store/bundle.rs"]),
    ("smallvec", &["cedar"]),
    ("strsim", &["model/suggestion.rs"]),
    ("tar", &["store/bundle/archive.rs"]),
    ("tempfile", &["cli/diff/project.rs", "cli/bundle.rs", "store/bundle/copy.rs"]),
    ("toml", &["config"]),
    ("tracing_subscriber", &["telemetry/log.rs"]),
    ("wildmatch", &["suite/filter.rs"]),
    ("uuid", &["decision", "identity/issuer.rs"]),
];

/// Files of the tree that only tests are compiled with, beside those called `tests`.
const TEST_FILES: &[&str] = &["cedar/oracle.rs", "identity/canned.rs", "store/shop.rs"];

/// What the pure core never names.
const WORLD: &[&str] = &[
    "std::fs",
    "std::env",
    "std::net",
    "std::process",
    "SystemTime",
    "Instant",
    "tokio::",
    "tracing::",
    "async fn",
];

/// What changes something on disk.
const WRITING: &[&str] = &[
    "fs::write",
    "fs::rename",
    "fs::remove_",
    "fs::create_dir",
    "fs::copy",
    "fs::hard_link",
    "fs::set_permissions",
    "File::create",
    ".write(true)",
    ".append(true)",
    "tempfile",
];

/// Who may: the decision log, sockets, verbs, and the last good copy of a bundle.
const WRITERS: &[&str] = &["audit/output.rs", "cli", "http/listen.rs", "store/bundle/copy.rs"];

/// The pure core.
const CORE: &[&str] = &["model", "cedar", "suite", "impact", "gateway"];

#[test]
fn the_arrows_go_one_way_and_every_crate_has_one_home() {
    let mut files = BTreeMap::new();
    read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), "", &mut files);
    assert!(files.len() > 40, "only {} files were found", files.len());
    let violations = violations(&files);
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn a_planted_violation_is_found() {
    for (path, text, expected) in [
        ("model/value.rs", "use crate::cedar::Snapshot;", "model/value.rs:1: `model` may not name `cedar`"),
        (
            "store/files.rs",
            "use crate::{cedar::Sources, http};",
            "store/files.rs:1: `store` may not name `http`",
        ),
        (
            "http/ops.rs",
            "fn f() { cedar_policy::Authorizer::new(); }",
            "http/ops.rs:1: `cedar_policy` lives in cedar",
        ),
        (
            "cedar/live.rs",
            "fn f() { std::fs::read(path) }",
            "cedar/live.rs:1: the core may not name `std::fs`",
        ),
        ("cedar/live.rs", "\nasync fn f() {}", "cedar/live.rs:2: the core may not name `async fn`"),
        ("novel.rs", "", "novel.rs: `novel` is not on the map"),
        (
            "store/bundle/polls.rs",
            "fn f() { std::fs::write(path, bytes) }",
            "store/bundle/polls.rs:1: `fs::write` is for audit/output.rs, cli, http/listen.rs, store/bundle/copy.rs",
        ),
    ] {
        let files = BTreeMap::from([(path.to_owned(), text.to_owned())]);
        assert_eq!(violations(&files), [expected], "{text}");
    }
    for (path, text) in [
        ("model/value.rs", "// crate::cedar is spoken of, not named"),
        ("store/files.rs", "use crate::cedar::Sources;\n#[cfg(test)]\nmod tests {\n    use crate::http;\n}"),
        ("http/ops.rs", "use crate::telemetry::Metrics; fn axum_like() {}"),
    ] {
        let files = BTreeMap::from([(path.to_owned(), text.to_owned())]);
        assert!(violations(&files).is_empty(), "{text}");
    }
}

#[test]
fn files_stay_small_and_say_what_they_are_for() {
    let mut files = BTreeMap::new();
    read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), "", &mut files);
    let mut faults = String::new();
    for (path, text) in &files {
        let lines = text.lines().count();
        if lines > 460 {
            let _infallible = writeln!(faults, "{path} has {lines} lines");
        }
        if !text.starts_with("//! ") {
            let _infallible = writeln!(faults, "{path} does not say in its first line what it is for");
        }
    }
    assert!(faults.is_empty(), "{faults}");
}

fn read(folder: &Path, prefix: &str, files: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().into_string().unwrap());
        if entry.file_type().unwrap().is_dir() {
            read(&entry.path(), &format!("{name}/"), files);
        } else if name.ends_with(".rs") {
            files.insert(name, std::fs::read_to_string(entry.path()).unwrap());
        }
    }
}

fn violations(files: &BTreeMap<String, String>) -> Vec<String> {
    let mut violations = Vec::new();
    for (path, text) in files.iter().filter(|(path, _)| !is_for_tests(path)) {
        let module = path.split(['/', '.']).next().unwrap();
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == module) else {
            violations.push(format!("{path}: `{module}` is not on the map"));
            continue;
        };
        for (number, line) in production(text) {
            for named in project_modules(line) {
                if named != module
                    && !allowed.contains(&named)
                    && ARROWS.iter().any(|(name, _)| *name == named)
                {
                    violations.push(format!("{path}:{number}: `{module}` may not name `{named}`"));
                }
            }
            for (name, homes) in HOMES {
                if names_crate(line, name) && !homes.iter().any(|home| at_home(path, home)) {
                    violations.push(format!("{path}:{number}: `{name}` lives in {}", homes.join(", ")));
                }
            }
            for writing in WRITING {
                if line.contains(writing) && !WRITERS.iter().any(|writer| at_home(path, writer)) {
                    violations.push(format!("{path}:{number}: `{writing}` is for {}", WRITERS.join(", ")));
                }
            }
            for world in WORLD {
                if CORE.contains(&module) && line.contains(world) {
                    violations.push(format!("{path}:{number}: the core may not name `{world}`"));
                }
            }
        }
    }
    violations
}

/// Files that only tests are compiled with may name what they stand in for.
fn is_for_tests(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/") || TEST_FILES.contains(&path)
}

/// The lines before the tests, without comments, numbered from 1.
fn production(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    let (mut before_tests, mut for_tests) = (true, false);
    lines
        .filter(move |(_, line)| {
            before_tests &= !(for_tests && line.trim_start().starts_with("mod tests {"));
            // Other attributes may stand between.
            for_tests = line.trim() == "#[cfg(test)]" || for_tests && line.trim_start().starts_with("#[");
            before_tests
        })
        .map(|(number, line)| (number, line.split("//").next().unwrap_or_default()))
        .filter(|(_, line)| !line.trim().is_empty())
}

/// The modules behind `crate::` and `palisade::`, those in braces included.
fn project_modules(line: &str) -> Vec<&str> {
    let mut named = Vec::new();
    for root in ["crate::", "palisade::"] {
        for rest in line.split(root).skip(1) {
            let list = rest.strip_prefix('{').and_then(|list| list.split('}').next());
            for item in list.unwrap_or(rest).split(',').take(if list.is_some() { usize::MAX } else { 1 }) {
                let end = item.trim_start().find(|c: char| !c.is_alphanumeric() && c != '_');
                named.push(item.trim_start().split_at(end.unwrap_or(item.trim_start().len())).0);
            }
        }
    }
    named
}

/// Whether a path of this line begins with the crate's name.
fn names_crate(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let inside_a_path = before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':' || c == '.');
        let rest = &line[start + name.len()..];
        !inside_a_path
            && (rest.starts_with("::")
                || (line.trim_start().starts_with("use ") && rest.starts_with([';', ' '])))
    })
}

fn at_home(path: &str, home: &str) -> bool {
    path == home
        || path == format!("{home}.rs")
        || path.starts_with(&format!("{home}/"))
        || path.starts_with(home) && home.contains('/')
}
