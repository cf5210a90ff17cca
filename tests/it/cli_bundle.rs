//! `palisade bundle`: what it makes, and of what it makes nothing.

use std::process::Command;

use serde_json::Value;

use crate::bundle::{ANYBODY, bundled};
use crate::harness::Setup;

#[test]
fn a_bundle_is_the_same_bytes_for_the_same_files() {
    let (one, other) = (Setup::new(), Setup::new());
    let bundle = bundled(&one);
    assert_eq!(bundle, bundled(&other));
    let listed = Command::new("tar").args(["tzf"]).arg(one.path("made.tar.gz")).output().unwrap();
    let expected = "policies/category.cedar\npolicies/emergency.cedar\npolicies/product.cedar\nschema/shop.cedarschema\n";
    assert_eq!(String::from_utf8(listed.stdout).unwrap(), expected);
    other.write("policies/anybody.cedar", ANYBODY);
    assert_ne!(bundle, bundled(&other));
}

#[test]
fn what_could_not_serve_is_not_bundled_and_what_was_there_stays() {
    let setup = Setup::new().settings("[policies]\ntests = \"tests\"\n");
    std::fs::create_dir(setup.path("tests")).unwrap();
    let test = |expect: &str| {
        format!(
            "principals:\n  bob: {{ groups: [user] }}\nresources:\n  toys: {{ type: Category, id: toys }}\ntests:\n  \
             - {{ name: bob, principals: [bob], actions: [readCategory], resources: [toys], expect: {expect} }}\n"
        )
    };
    setup.write("tests/a.test.yaml", &test("allow"));
    let good = bundled(&setup);
    let refused = |code: &str| {
        let output =
            setup.command(&["bundle", "--output", "made.tar.gz", "--format", "json"]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        let mut findings = told["findings"].as_array().unwrap().iter();
        assert!(findings.any(|found| found["severity"] == "error" && found["code"] == code), "{told}");
        assert_eq!(std::fs::read(setup.path("made.tar.gz")).unwrap(), good);
    };
    setup.write("tests/a.test.yaml", &test("deny"));
    refused("test-failed");
    setup.write("tests/a.test.yaml", &test("allow"));
    setup.write("policies/bad.cedar", "permit (principal, action, resource) when { principal.nothing };\n");
    refused("validation");
}

#[test]
fn what_the_route_map_could_not_ask_is_not_bundled() {
    let setup = Setup::new().settings("[authorizer]\nanswer = \"iam\"\n");
    let map = include_str!("../../examples/authorizer/routes.toml");
    setup.write("routes.toml", map);
    bundled(&setup);
    setup.write("routes.toml", &map.replace("updateProduct", "updateProdukt"));
    let output = setup.command(&["bundle", "--output", "other.tar.gz"]).output().unwrap();
    let shown = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{shown}");
    assert!(shown.contains("routes.toml:15:1") && shown.contains("no action `updateProdukt`"), "{shown}");
    assert!(!setup.path("other.tar.gz").exists());
}
