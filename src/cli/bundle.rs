//! `palisade bundle`: policies, schema, entities and tests in one archive, the same bytes for the same files.

use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anstream::println;

use super::render::{self, Texts, plain};
use super::{Exit, Format, Printing, Shell, check, files, gate, progress, route_map};
use crate::cedar::Compiler;
use crate::model::Finding;
use crate::store::bundle::{self, Made};

/// What to write.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The archive; one that is there is replaced.
    #[arg(long, value_name = "FILE", default_value = "policies.tar.gz")]
    output: PathBuf,
    #[command(flatten)]
    pub(super) printing: Printing,
}

pub(super) fn run(shell: &Shell, args: &Args) -> Exit {
    let configuration = match shell.configuration() {
        Ok(configuration) => configuration,
        Err(exit) => return exit,
    };
    if let Err(finding) = configuration.check_bundled() {
        let text = configuration.file.as_ref().map(|file| file.text.to_string()).unwrap_or_default();
        render::fault(&finding, &text, shell.format);
        return Exit::Failed;
    }
    let files = files(&configuration).behind(gate::of(&configuration));
    let (sources, mut checked) = check::found(&configuration, files.read());
    // Whoever fetches the bundle may have started already, with this map.
    let (_, found) = route_map::judged(&configuration, checked.snapshot.as_deref());
    checked.findings.extend(found);
    let map = route_map::text(&configuration).and_then(Result::ok);
    let texts = Texts::of(&sources, &configuration).and(map.as_slice());
    if checked.findings.iter().any(Finding::is_error) {
        return refuse(&checked.findings, &texts, shell.format);
    }
    if shell.format == Format::Text {
        render::findings(&checked.findings, &texts);
    }
    let compiler = Compiler::default();
    let made = progress::shown(&Arc::clone(compiler.progress()), || bundle::make(&files, &compiler));
    let made = match made {
        Ok(made) => made,
        Err(findings) => return refuse(&findings, &texts, shell.format),
    };
    if let Err(error) = write(&args.output, &made.bytes) {
        let help = "name a file in a folder that is there and that you may write to: `--output FILE`";
        render::failure(&format!("`{}` cannot be written: {error}", args.output.display()), Some(help));
        return Exit::Failed;
    }
    tell(&made, &args.output, shell.format);
    Exit::Good
}

fn refuse(findings: &[Finding], texts: &Texts, format: Format) -> Exit {
    match format {
        Format::Text => {
            render::findings(findings, texts);
            render::failure("no bundle was made: what is in it could not serve", None);
        }
        Format::Json => render::json(&serde_json::json!({ "findings": findings })),
    }
    Exit::Problems
}

/// Somebody who fetches it meanwhile gets the old one or the new one.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let readable = std::fs::Permissions::from_mode(0o644);
    let mut draft = tempfile::Builder::new().permissions(readable).tempfile_in(folder)?;
    draft.write_all(bytes)?;
    draft.as_file().sync_all()?;
    draft.persist(path)?;
    Ok(())
}

fn tell(made: &Made, path: &Path, format: Format) {
    let Made { bytes, digest, revision, policies, files } = made;
    let shown = path.display().to_string();
    match format {
        Format::Json => render::json(&serde_json::json!({
            "file": shown, "bytes": bytes.len(), "files": files, "policies": policies,
            "digest": digest, "revision": revision.to_string(),
        })),
        Format::Text => {
            println!("{}: {policies} policies in {files} files, {} bytes", plain(&shown), bytes.len());
            println!("digest    {digest}");
            println!("revision  {revision}");
        }
    }
}
