//! A `tar.gz` in memory: its entries by name, or what is wrong with it. Nothing is ever unpacked to disk.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _, Write as _};
use std::ops::{Bound, Range};
use std::path::{Component, Path};
use std::sync::Arc;

use flate2::bufread::GzDecoder;
use flate2::{Compression, GzBuilder};

use crate::cedar::Source;
use crate::model::Finding;
use crate::store::files::Kind;

/// As many as a bundle of small files can have under the default `limits.bundle`, whatever that is set to:
/// each one costs two blocks at least.
const ENTRIES: usize = 65_536;

/// Policies and entities shrink to a tenth, very repetitive ones to a fortieth; deflate can shrink zeros to a
/// thousandth.
const RATIO: usize = 100;

/// Below this, no ratio is a danger.
const SMALL: usize = 1024 * 1024;

/// Every tar archive ends with two empty blocks of 512 bytes each (POSIX `pax`, "ustar Interchange Format").
const END: usize = 1024;

/// The files of an archive.
#[derive(Debug)]
pub(in crate::store) struct Archive {
    unpacked: Vec<u8>,
    files: Files,
}

/// Where the bytes of each file are.
type Files = BTreeMap<Arc<str>, Range<usize>>;

impl Archive {
    /// Reads what comes to at most `most` bytes when it is unpacked. `path` is what findings call it.
    ///
    /// # Errors
    /// It is damaged or too large; or everything in it that may not be there.
    pub(in crate::store) fn read(packed: &[u8], path: &Arc<str>, most: usize) -> Result<Self, Vec<Finding>> {
        let unpacked = unpack(packed, path, most).map_err(|finding| vec![finding])?;
        let files = index(&unpacked, path)?;
        Ok(Self { unpacked, files })
    }

    pub(in crate::store) fn file(&self, name: &str) -> Option<&[u8]> {
        self.unpacked.get(self.files.get(name)?.clone())
    }

    /// Of the names that begin so the rest, in their order.
    pub(in crate::store) fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        self.files.range::<str, _>(from).map_while(move |(name, _)| name.strip_prefix(prefix))
    }

    /// Whoever put a file in counts on it: without its entities, a `forbid` may apply to nobody.
    ///
    /// # Errors
    /// The files that are not among those that were read.
    pub(super) fn all_read<'a>(&self, read: impl Iterator<Item = &'a str>) -> Result<(), Vec<Finding>> {
        let read: BTreeSet<_> = read.collect();
        let unread = self.files.keys().filter(|name| !read.contains(&***name));
        let findings: Vec<_> = unread.map(not_read).collect();
        if findings.is_empty() { Ok(()) } else { Err(findings) }
    }
}

/// The same bytes for the same texts, wherever and whenever: sorted, and without times and owners.
pub(super) fn pack<'a>(sources: impl Iterator<Item = &'a Source>) -> io::Result<Vec<u8>> {
    let texts: BTreeMap<_, _> = sources.map(|source| (&source.path, &source.text)).collect();
    let gzip = GzBuilder::new().mtime(0).operating_system(UNKNOWN).write(Vec::new(), Compression::best());
    let mut archive = tar::Builder::new(gzip);
    for (path, text) in texts {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(u64::try_from(text.len()).unwrap_or(u64::MAX));
        archive.append_data(&mut header, &**path, text.as_bytes())?;
    }
    let mut gzip = archive.into_inner()?;
    gzip.flush()?;
    gzip.finish()
}

/// The operating system of a gzip header that names none (RFC 1952, section 2.3.1).
const UNKNOWN: u8 = 255;

/// The code of an archive that did not come whole.
pub(super) const DAMAGED: &str = "bundle-damaged";

/// The code of one that would take too much memory.
const TOO_LARGE: &str = "bundle-too-large";

/// The code of something in it that may not be there.
const ENTRY: &str = "bundle-entry";

fn damaged(path: &Arc<str>, what: impl std::fmt::Display) -> Finding {
    Finding::error(path, DAMAGED, format!("this is no complete `tar.gz`: {what}"))
        .help("make it with `palisade bundle`, and upload all of it in one piece")
}

fn unpack(packed: &[u8], path: &Arc<str>, most: usize) -> Result<Vec<u8>, Finding> {
    let shrunk = packed.len().saturating_mul(RATIO).max(SMALL);
    let bound = most.min(shrunk);
    let mut unpacked = Vec::new();
    let reading = u64::try_from(bound).unwrap_or(u64::MAX).saturating_add(1);
    let mut gzip = GzDecoder::new(packed).take(reading);
    gzip.read_to_end(&mut unpacked).map_err(|error| damaged(path, error))?;
    if unpacked.len() > bound {
        let finding = if bound == most {
            Finding::error(path, TOO_LARGE, format!("it has more than {most} bytes when it is unpacked"))
                .help("raise `limits.bundle`")
        } else {
            Finding::error(path, TOO_LARGE, format!("it grows to more than {RATIO} times its size"))
                .help("no policies shrink like that: look at what is in it")
        };
        return Err(finding);
    }
    // The checksum at the end has been read, because the end was reached.
    if !gzip.into_inner().into_inner().is_empty() {
        return Err(damaged(path, "something stands behind its end"));
    }
    let ends = unpacked.len().checked_sub(END).and_then(|end| unpacked.get(end..));
    if !ends.is_some_and(|end| end.iter().all(|byte| *byte == 0)) {
        return Err(damaged(path, "it breaks off"));
    }
    Ok(unpacked)
}

fn index(unpacked: &[u8], path: &Arc<str>) -> Result<Files, Vec<Finding>> {
    let mut findings = Vec::new();
    let mut files = Files::new();
    let mut archive = tar::Archive::new(unpacked);
    let entries = archive.entries().map_err(|error| vec![damaged(path, error)])?;
    for (number, entry) in entries.enumerate() {
        if number == ENTRIES {
            let message = format!("it has more than {ENTRIES} entries");
            findings.push(Finding::error(path, TOO_LARGE, message).help("write larger files, and fewer"));
            break;
        }
        match entry {
            Ok(entry) => match name(&entry) {
                Ok(_) if entry.header().entry_type().is_dir() => {}
                Ok(name) if name.is_empty() => findings.push(refused(".", "it has no name")),
                Ok(name) => {
                    if files.insert(Arc::clone(&name), place(&entry)).is_some() {
                        findings.push(refused(&name, "its name is there twice"));
                    }
                }
                Err(finding) => findings.push(finding),
            },
            Err(error) => {
                findings.push(damaged(path, error));
                break;
            }
        }
    }
    findings.extend(files.keys().filter_map(|name| {
        let folder = name.match_indices('/').find_map(|(end, _)| files.get_key_value(name.get(..end)?));
        folder.map(|(folder, _)| refused(folder, "it is a file and a folder"))
    }));
    if findings.is_empty() { Ok(files) } else { Err(findings) }
}

fn refused(name: &str, what: &str) -> Finding {
    Finding::error(&name.into(), ENTRY, what).help("make the bundle with `palisade bundle`")
}

fn not_read(name: &Arc<str>) -> Finding {
    match Kind::of(name) {
        Some(kind) => {
            let message = format!("nothing reads it: `{}` names no place that it is in", kind.setting());
            Finding::error(name, ENTRY, message).help("set it as it was when the bundle was made")
        }
        None => Finding::error(name, ENTRY, "nothing reads a file that is called so")
            .help("make the bundle with `palisade bundle`, which leaves it out"),
    }
}

/// What a file or a folder is called from the top of the archive.
fn name(entry: &tar::Entry<'_, &[u8]>) -> Result<Arc<str>, Finding> {
    let bytes = entry.path_bytes();
    let Ok(name) = str::from_utf8(&bytes) else {
        return Err(refused(&String::from_utf8_lossy(&bytes), "its name is not UTF-8"));
    };
    let kind = entry.header().entry_type();
    if kind.is_symlink() || kind.is_hard_link() {
        return Err(refused(name, "it is a link"));
    }
    if !kind.is_file() && !kind.is_dir() {
        return Err(refused(name, "it is neither a file nor a folder"));
    }
    parts(name).map(|parts| parts.join("/").into()).map_err(|what| refused(name, what))
}

fn place(entry: &tar::Entry<'_, &[u8]>) -> Range<usize> {
    let start = usize::try_from(entry.raw_file_position()).unwrap_or(usize::MAX);
    let size = usize::try_from(entry.size()).unwrap_or(usize::MAX);
    start..start.saturating_add(size)
}

/// The parts of a name that leads nowhere but down.
fn parts(name: &str) -> Result<Vec<&str>, &'static str> {
    let mut parts = Vec::new();
    for part in Path::new(name).components() {
        match part {
            Component::Normal(part) => parts.push(part.to_str().unwrap_or_default()),
            Component::CurDir => {}
            Component::ParentDir => return Err("`..` leads out of it"),
            Component::RootDir | Component::Prefix(_) => return Err("its name is absolute"),
        }
    }
    if name.contains('\0') { Err("its name holds a zero byte") } else { Ok(parts) }
}

#[cfg(test)]
mod tests;
