//! The image's recipe has what the program is compiled from. Building it takes a registry and minutes.

use std::collections::BTreeSet;
use std::path::Path;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn read(name: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(name)).unwrap()
}

/// The folders of the project that hold what is compiled into the program.
fn compiled_in() -> BTreeSet<String> {
    let mut folders = BTreeSet::from(["src".to_owned()]);
    let mut waiting = vec![Path::new(ROOT).join("src")];
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
                continue;
            }
            // The image compiles no tests.
            if path.ends_with("tests.rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for included in text.split("include_str!(\"").skip(1).filter_map(|rest| rest.split('"').next()) {
                let file = path.parent().unwrap().join(included).canonicalize().unwrap();
                let file = file.strip_prefix(ROOT).unwrap();
                folders.insert(file.components().next().unwrap().as_os_str().to_str().unwrap().to_owned());
            }
        }
    }
    folders
}

#[test]
fn everything_that_is_compiled_in_is_copied_in() {
    let (recipe, context) = (read("Dockerfile"), read(".dockerignore"));
    let folders = compiled_in();
    assert!(folders.len() > 2, "{folders:?}");
    for folder in folders {
        assert!(
            recipe.contains(&format!("\nCOPY {folder} {folder}\n")),
            "Dockerfile does not copy `{folder}`"
        );
        assert!(context.contains(&format!("\n!{folder}\n")), ".dockerignore leaves `{folder}` out");
    }
}

#[test]
fn the_image_is_built_with_the_rust_that_the_package_asks_for() {
    let package = read("Cargo.toml");
    let version = package.split("rust-version = \"").nth(1).unwrap().split('"').next().unwrap();
    assert!(read("Dockerfile").contains(&format!("FROM rust:{version}-")), "{version}");
    assert!(read(".github/workflows/ci.yml").contains(&format!("rustup default {version}")), "{version}");
}

#[test]
fn the_image_is_laid_out_as_the_release_is() {
    let (recipe, context, makefile) = (read("Dockerfile"), read(".dockerignore"), read("Makefile"));
    assert!(makefile.contains("PROFILE  = $(CURDIR)/benches/release.profdata\n"));
    assert!(context.contains("\n!benches/release.profdata\n"));
    let (copied, used) = (
        recipe.find("\nCOPY benches/release.profdata benches/\n"),
        recipe.find("\nENV RUSTFLAGS=-Cprofile-use=/build/benches/release.profdata\n"),
    );
    let compiled = recipe.find("cargo build --release");
    assert!(copied.is_some() && used.is_some() && copied.max(used) < compiled, "{recipe}");
}
