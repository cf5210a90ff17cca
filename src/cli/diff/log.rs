//! Decision logs to replay, read line by line; what is torn is found, and the rest goes on.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::impact::Comparison;
use crate::model::{Finding, Place};

/// The longest line that is read, in bytes: more than a request that can be made has values.
const LONGEST: usize = 16 * 1024 * 1024;
/// So many torn lines are found one by one: a file that is no log at all has as many as it has lines.
const TORN: usize = 1_000;

/// Replays logs.
///
/// # Errors
/// One of them cannot be read.
pub(super) fn replay(comparison: &mut Comparison<'_>, logs: &[PathBuf]) -> Result<Vec<Finding>, String> {
    let mut torn = Vec::new();
    for log in logs {
        comparison.expect_records();
        let path = Arc::<str>::from(log.display().to_string());
        let read = if log == Path::new("-") {
            lines(comparison, io::stdin().lock(), &path, &mut torn)
        } else {
            open(log).and_then(|file| lines(comparison, BufReader::new(file), &path, &mut torn))
        };
        read.map_err(|error| format!("`{path}` cannot be read: {error}"))?;
    }
    Ok(torn)
}

fn lines(
    comparison: &mut Comparison<'_>,
    mut log: impl BufRead,
    path: &Arc<str>,
    torn: &mut Vec<Finding>,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    for line in 1_usize.. {
        bytes.clear();
        if log.by_ref().take(u64::try_from(LONGEST).unwrap_or(u64::MAX)).read_until(b'\n', &mut bytes)? == 0 {
            break;
        }
        let fault = if bytes.len() == LONGEST && bytes.last() != Some(&b'\n') {
            log.skip_until(b'\n')?;
            Some((1, format!("the line has more than {LONGEST} bytes")))
        } else {
            match std::str::from_utf8(&bytes).map(str::trim) {
                Ok("") => None,
                Ok(text) => comparison.replay(text).err().map(|fault| (fault.column, fault.message)),
                Err(error) => Some((error.valid_up_to() + 1, "the line is not UTF-8".to_owned())),
            }
        };
        if fault.is_some() {
            comparison.note_torn();
        }
        if let Some((column, message)) = fault.filter(|_| torn.len() < TORN) {
            let place = Place { line, column, offset: 0, length: 0 };
            torn.push(Finding::error(path, "torn-record", message).at(place));
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a decision log that the command line names")]
fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}
