//! The one writer of policy files: whole or not at all, and never over what somebody else has written.

use std::io;
use std::path::{Path, PathBuf};

use crate::cedar::Source;

/// Puts a text in the place of a file below the folder of the policies. Another process sees the
/// old text or the new one, never half of it. The watch of a running service skips names with a
/// leading dot.
///
/// # Errors
/// It cannot be written, or it is no longer what was read.
#[expect(clippy::disallowed_methods, reason = "the one writer of policy files")]
pub(super) fn write(folder: &Path, read: &Source, text: &str) -> io::Result<()> {
    let path = folder.join(&*read.name).canonicalize()?;
    if std::fs::read(&path)? != read.text.as_bytes() {
        return Err(io::Error::other("it has changed since it was read"));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft: PathBuf = path.with_file_name(format!(".{name}.draft"));
    std::fs::write(&draft, text)?;
    std::fs::set_permissions(&draft, std::fs::metadata(&path)?.permissions())?;
    std::fs::rename(&draft, &path)
}
