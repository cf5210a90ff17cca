//! `palisade test --watch`: the tests again, after every save.

use std::path::{Path, PathBuf};

use anstream::{eprintln, println};

use super::super::render::{self, plain};
use super::super::{Exit, Shell, files};
use super::{Args, once, test_files};
use crate::config::{Configuration, DEFAULT_FILE};
use crate::store::Edits;
use crate::suite::Filter;

/// Runs the tests now and after every edit, until somebody ends it.
pub(super) fn run(shell: &Shell, args: &Args, filter: &Filter) -> Exit {
    let mut watched: Option<(Vec<PathBuf>, Edits)> = None;
    loop {
        // Settings that cannot be read leave the last ones watched, so that they can be mended.
        if let Ok(configuration) = shell.configuration() {
            let roots = roots_of(shell, args, &configuration);
            // Watched before they are read: no edit falls between the two.
            if watched.as_ref().is_none_or(|(known, _)| *known != roots) {
                match Edits::of(roots.iter().map(PathBuf::as_path)) {
                    Ok(edits) => watched = Some((roots, edits)),
                    Err(error) => {
                        render::failure(&format!("the files cannot be watched: {error}"), None);
                        return Exit::Failed;
                    }
                }
            }
            let _shown = once(shell, args, &configuration, filter);
        }
        eprintln!("watching: the next save runs the tests again");
        let Some(edited) = watched.as_ref().and_then(|(_, edits)| edits.next()) else {
            return Exit::Failed;
        };
        println!("\n{} was saved", plain(&below_here(&edited)));
    }
}

fn roots_of(shell: &Shell, args: &Args, configuration: &Configuration) -> Vec<PathBuf> {
    let settings = shell.file.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
    let (sources, tests) = (files(configuration), test_files(configuration, args));
    sources.roots().map(Path::to_owned).chain(tests.roots()).chain([settings]).collect()
}

fn below_here(path: &Path) -> String {
    let here = std::path::absolute(".").unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}
