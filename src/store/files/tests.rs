//! What is read, what is refused, and what is said of it.

use std::fs::{self, File};
use std::os::unix::fs::symlink;

use super::super::shop::{PERMIT, Shop};
use super::super::tree::read_capped;
use super::*;

fn paths(sources: &[Source]) -> Vec<&str> {
    sources.iter().map(|source| &*source.path).collect()
}

fn names(sources: &[Source]) -> Vec<&str> {
    sources.iter().map(|source| &*source.name).collect()
}

/// The one thing that is wrong.
fn only(shop: &Shop) -> Finding {
    let mut findings = shop.files().read().expect_err("nothing was found");
    assert_eq!(findings.len(), 1, "{findings:?}");
    findings.remove(0)
}

fn shown_finding(shop: &Shop) -> String {
    let finding = only(shop);
    format!("{}: {finding}", finding.code)
}

#[test]
fn every_kind_of_file_is_read_and_named_from_the_configurations_folder() {
    let mut shop = Shop::new();
    shop.config.entities = Some(shop.path("entities"));
    shop.write("policies/team/b.cedar", "");
    shop.write("policies/team/links.json", "[]");
    shop.write("policies/team/notes.json", "no links");
    shop.write("policies/.hidden.cedar", "no policy");
    shop.write("policies/README.md", "no policy");
    shop.write("entities/groups.json", "[]");
    let sources = shop.files().read().unwrap();
    assert_eq!(paths(&sources.policies), ["policies/a.cedar", "policies/team/b.cedar"]);
    assert_eq!(names(&sources.policies), ["a.cedar", "team/b.cedar"]);
    assert_eq!(paths(&sources.links), ["policies/team/links.json"]);
    assert_eq!(paths(&sources.schema), ["schema/shop.cedarschema"]);
    assert_eq!(paths(&sources.entities), ["entities/groups.json"]);
    assert_eq!(&*sources.policies[0].text, PERMIT);
}

#[test]
fn schema_and_entities_may_be_single_files_of_any_name() {
    let mut shop = Shop::new();
    shop.config.schema = shop.path("schema/shop.cedarschema");
    shop.config.entities = Some(shop.path("stored"));
    shop.write("stored", "[]");
    let sources = shop.files().read().unwrap();
    assert_eq!(paths(&sources.schema), ["schema/shop.cedarschema"]);
    assert_eq!(names(&sources.schema), ["shop.cedarschema"]);
    assert_eq!(paths(&sources.entities), ["stored"]);
}

#[test]
fn a_folder_elsewhere_is_named_in_full_and_a_dot_stands_for_nothing() {
    assert_eq!(shown(Path::new("./policies/./a.cedar")), "policies/a.cedar");
    assert_eq!(shown(Path::new("/etc/policies/a.cedar")), "/etc/policies/a.cedar");
    assert_eq!(shown(Path::new("./")), ".");
}

#[test]
fn a_config_map_is_read_once_through_its_links() {
    let shop = Shop::new();
    fs::remove_file(shop.path("policies/a.cedar")).unwrap();
    shop.mount("..2026_1", "product.cedar", PERMIT);
    let sources = shop.files().read().unwrap();
    assert_eq!(paths(&sources.policies), ["policies/product.cedar"]);
    let first = sources.revision();
    shop.mount("..2026_2", "product.cedar", "// another");
    assert_ne!(shop.files().read().unwrap().revision(), first);
}

#[test]
fn a_file_that_is_not_utf8_is_found_with_the_place_of_the_byte() {
    let shop = Shop::new();
    shop.write("policies/bad.cedar", b"// caf\xc3\xa9\n// caf\xe9\n");
    assert_eq!(shown_finding(&shop), "not-utf-8: policies/bad.cedar:2:7: the byte 0xe9 is not UTF-8");
    assert_eq!(only(&shop).place.unwrap().offset, 15);
}

#[test]
fn a_file_over_the_limit_is_refused_unread() {
    let shop = Shop::new();
    let file = File::create(shop.path("policies/huge.cedar")).unwrap();
    file.set_len(1 << 40).unwrap();
    assert_eq!(
        shown_finding(&shop),
        "file-too-large: policies/huge.cedar: the file has more than 1048576 bytes"
    );
}

#[test]
fn a_file_at_the_limit_is_read() {
    let mut shop = Shop::new();
    shop.limits.file = 1_000;
    shop.write("policies/full.cedar", "/".repeat(1_000));
    assert!(shop.files().read().is_ok());
    shop.write("policies/full.cedar", "/".repeat(1_001));
    assert_eq!(only(&shop).code, "file-too-large");
}

#[test]
fn all_policies_together_have_a_limit_and_so_have_all_entities() {
    let mut shop = Shop::new();
    shop.limits.policies = 1_000;
    for file in 0..9 {
        shop.write(&format!("policies/{file}.cedar"), "/".repeat(300));
    }
    assert_eq!(
        shown_finding(&shop),
        "too-large: policies/3.cedar: with this file the policy files have more than 1000 bytes in all"
    );
    let mut shop = Shop::new();
    shop.limits.stored_bytes = 1;
    shop.config.entities = Some(shop.path("entities"));
    shop.write("entities/a.json", "[]");
    assert_eq!(only(&shop).help.as_deref(), Some("raise `limits.stored_bytes`"));
}

#[test]
fn a_folder_that_is_not_there_is_said_with_its_setting() {
    let shop = Shop::new();
    fs::remove_dir_all(shop.path("policies")).unwrap();
    assert_eq!(shown_finding(&shop), "unreadable: policies: there is no such file or folder");
    assert_eq!(only(&shop).help.as_deref(), Some("`policies.dir` says where the policy files are"));
    shop.write("policies", "a file");
    assert_eq!(shown_finding(&shop), "unreadable: policies: this is not a folder");
}

#[test]
fn a_folder_without_a_schema_is_no_schema() {
    let shop = Shop::new();
    fs::rename(shop.path("schema/shop.cedarschema"), shop.path("schema/shop.txt")).unwrap();
    assert_eq!(only(&shop).code, "no-schema");
}

#[test]
fn what_is_no_file_is_refused_without_waiting_for_it() {
    let shop = Shop::new();
    let pipe = shop.path("policies/pipe.cedar");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
        .unwrap();
    assert_eq!(only(&shop).code, "not-a-file");
    assert!(matches!(read_capped(&pipe, 10), Err(ReadFault::NotAFile)), "nor if it gets there in between");
}

#[test]
fn a_link_to_nowhere_and_a_link_that_leads_back_are_findings() {
    let shop = Shop::new();
    symlink("nowhere", shop.path("policies/forbid.cedar")).unwrap();
    assert_eq!(only(&shop).code, "unreadable");
    fs::remove_file(shop.path("policies/forbid.cedar")).unwrap();
    symlink(".", shop.path("policies/again")).unwrap();
    assert_eq!(shown_finding(&shop), "link-loop: policies/again: it is a link to a folder that it stands in");
}

#[test]
fn everything_that_is_wrong_is_found_at_once() {
    let shop = Shop::new();
    shop.write("policies/bad.cedar", [0xff]);
    shop.write("schema/bad.cedarschema", [0xff]);
    let findings = shop.files().read().unwrap_err();
    let paths: Vec<_> = findings.iter().map(|finding| &*finding.path).collect();
    assert_eq!(paths, ["policies/bad.cedar", "schema/bad.cedarschema"]);
}
