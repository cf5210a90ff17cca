//! Making a bundle: of what would be put in force from disk, and of nothing else.

use std::sync::Arc;

use super::archive::{Archive, pack};
use super::digest;
use crate::cedar::{Compiled, Compiler, Revision};
use crate::model::Finding;
use crate::store::files::Files;
use crate::store::gate::admit;

/// A bundle, and what is in it.
#[derive(Debug)]
pub struct Made {
    /// The archive.
    pub bytes: Vec<u8>,
    /// The digest of its bytes.
    pub digest: Arc<str>,
    /// The revision that a service has which it is put in force by.
    pub revision: Revision,
    /// How many policies it holds.
    pub policies: usize,
    /// How many files.
    pub files: usize,
}

/// What findings about no entry in particular are about.
const THE_BUNDLE: &str = "bundle";

/// Makes a bundle of the files on disk, and reads it back as a service will. Blocks.
///
/// # Errors
/// Everything that would keep the files, or the bundle, from being put in force.
pub fn make(files: &Files, compiler: &Compiler) -> Result<Made, Vec<Finding>> {
    let edit = files.read_edit();
    let Compiled { snapshot, .. } = admit(edit.clone(), files, compiler)?;
    let sources = edit.sources.clone()?;
    let tests = edit.tests.clone().unwrap_or_default();
    let of_policies = [&sources.policies, &sources.links, &sources.schema, &sources.entities];
    let packed = || of_policies.into_iter().chain([&tests.shared, &tests.tests]).flatten();
    let failed = |code, message: String| vec![Finding::error(&THE_BUNDLE.into(), code, message)];
    let bytes =
        pack(packed()).map_err(|error| failed("bundle-entry", format!("cannot be packed: {error}")))?;
    let archive = Archive::read(&bytes, &THE_BUNDLE.into(), files.limits().bundle)?;
    let again = files.within(Arc::new(archive)).read_edit();
    if (&again.revision, &again.tests) != (&edit.revision, &edit.tests) {
        let message = "what is read back from it is not what was put in".to_owned();
        return Err(failed("bundle-differs", message));
    }
    Ok(Made {
        digest: digest(&bytes),
        revision: snapshot.revision().clone(),
        policies: snapshot.policy_count(),
        files: packed().count(),
        bytes,
    })
}
