//! What is in an archive, and what may not be: made by `tar` as others make it, and by hand as an attacker does.

use std::io::Read;

use flate2::write::GzEncoder;
use proptest::prelude::*;
use tar::EntryType;

use super::*;

const MOST: usize = 64 * 1024 * 1024;

fn source(path: &str, text: &str) -> Source {
    Source { path: path.into(), name: path.into(), text: text.into() }
}

fn sources() -> Vec<Source> {
    let long = format!("policies/{}/b.cedar", "long".repeat(60));
    vec![
        source("schema/s.cedarschema", "entity User;"),
        source("policies/a.cedar", ""),
        source(&long, "// b"),
    ]
}

fn read(packed: &[u8]) -> Result<Archive, Vec<Finding>> {
    Archive::read(packed, &"p.tar.gz".into(), MOST)
}

/// The one finding, with its code.
fn only(read: Result<Archive, Vec<Finding>>) -> String {
    let findings = read.unwrap_err();
    assert_eq!(findings.len(), 1, "{findings:?}");
    format!("{}: {}", findings[0].code, findings[0])
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

/// An archive of entries with these names, as raw bytes of the header, and kinds.
fn entries(entries: &[(&[u8], EntryType)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, kind) in entries {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_entry_type(*kind);
        header.set_size(1);
        header.set_cksum();
        archive.append(&header, "x".as_bytes()).unwrap();
    }
    gzip(&archive.into_inner().unwrap())
}

#[test]
fn what_is_packed_is_read_and_packed_again_it_is_the_same() {
    let sources = sources();
    let packed = pack(sources.iter()).unwrap();
    let archive = read(&packed).unwrap();
    for source in &sources {
        assert_eq!(archive.file(&source.path), Some(source.text.as_bytes()), "{}", source.path);
    }
    assert_eq!(archive.below("").count(), 3);
    assert_eq!(pack(sources.iter().rev()).unwrap(), packed);
    assert_eq!(packed[4..8], [0; 4], "no time in the header");
}

#[test]
fn an_archive_that_breaks_off_anywhere_is_damaged() {
    let packed = pack(sources().iter()).unwrap();
    for length in 0..packed.len() {
        assert!(only(read(&packed[..length])).starts_with("bundle-damaged: p.tar.gz: "), "{length} bytes");
    }
    let mut unpacked = Vec::new();
    GzDecoder::new(&*packed).read_to_end(&mut unpacked).unwrap();
    for length in (0..unpacked.len()).step_by(512) {
        assert!(
            only(read(&gzip(&unpacked[..length]))).starts_with("bundle-damaged"),
            "{length} bytes inside"
        );
    }
}

#[test]
fn an_archive_with_a_flipped_bit_or_something_behind_it_is_damaged() {
    let packed = pack(sources().iter()).unwrap();
    // From behind the ten bytes of the header, whose flags and times change nothing.
    for at in 10..packed.len() {
        let mut flipped = packed.clone();
        flipped[at] ^= 0x10;
        // A bit may be one that says nothing: then the texts are the same.
        let same = |archive: Archive| {
            sources().iter().all(|source| archive.file(&source.path) == Some(source.text.as_bytes()))
        };
        assert!(read(&flipped).map_or(true, same), "byte {at}");
    }
    let behind = [&packed[..], b"more"].concat();
    assert!(only(read(&behind)).contains("something stands behind its end"));
    assert!(only(read(&[&packed[..], &packed[..]].concat())).starts_with("bundle-damaged"));
}

#[test]
fn a_bomb_is_not_unpacked() {
    let bomb = gzip(&vec![0; 32 * 1024 * 1024]);
    assert!(bomb.len() < 64 * 1024);
    assert!(only(read(&bomb)).contains("it grows to more than 100 times its size"));
    let within_a_ratio = gzip(&(0..100_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>());
    let most = Archive::read(&within_a_ratio, &"p.tar.gz".into(), 100_000);
    assert!(only(most).contains("more than 100000 bytes when it is unpacked"));
}

#[test]
fn what_leads_out_or_is_no_file_is_refused_by_name() {
    for (name, kind, what) in [
        ("../x.cedar", EntryType::Regular, "`..` leads out of it"),
        ("policies/../../x", EntryType::Regular, "`..` leads out of it"),
        ("/etc/x.cedar", EntryType::Regular, "its name is absolute"),
        ("policies/x.cedar", EntryType::Symlink, "it is a link"),
        ("policies/x.cedar", EntryType::Link, "it is a link"),
        ("policies/x.cedar", EntryType::Char, "it is neither a file nor a folder"),
        ("policies/x.cedar", EntryType::Block, "it is neither a file nor a folder"),
        ("policies/x.cedar", EntryType::Fifo, "it is neither a file nor a folder"),
        ("policies/x.cedar", EntryType::new(b'?'), "it is neither a file nor a folder"),
        (".", EntryType::Regular, "it has no name"),
    ] {
        let packed = entries(&[(name.as_bytes(), kind)]);
        assert_eq!(only(read(&packed)), format!("bundle-entry: {name}: {what}"));
    }
    assert!(only(read(&entries(&[(b"policies/\xff.cedar", EntryType::Regular)]))).contains("not UTF-8"));
}

#[test]
fn everything_that_is_wrong_is_found_at_once_and_names_are_there_once() {
    let file = EntryType::Regular;
    let packed = entries(&[(b"a", file), (b"./a", file), (b"a/b", file), (b"/c", file)]);
    let findings = read(&packed).unwrap_err();
    let found: Vec<_> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        ["a: its name is there twice", "/c: its name is absolute", "a: it is a file and a folder"]
    );
    assert!(read(&entries(&[(b"A", file), (b"a", file)])).is_ok(), "as on disk");
}

#[test]
fn too_many_entries_are_not_looked_at() {
    let name = |number: usize| format!("{number}");
    let names: Vec<_> = (0..=ENTRIES).map(name).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_bytes(), EntryType::Regular)).collect();
    let read = Archive::read(&entries(&many), &"p.tar.gz".into(), usize::MAX);
    assert!(only(read).contains("more than 65536 entries"));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        let _refused = read(&bytes);
        let _refused = read(&gzip(&[&bytes[..], &[0; 2_048]].concat()));
    }

    #[test]
    fn no_header_makes_it_panic(at in 0..1_536_usize, byte in any::<u8>(), more in any::<[u8; 4]>()) {
        let mut unpacked = Vec::new();
        GzDecoder::new(&*pack(sources().iter()).unwrap()).read_to_end(&mut unpacked).unwrap();
        unpacked[at] = byte;
        unpacked[124..128].copy_from_slice(&more);
        let _refused = read(&gzip(&unpacked));
    }
}
