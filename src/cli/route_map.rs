//! The route map of the Lambda authorizer: read from disk, and judged under the policies.

use std::sync::Arc;

use crate::cedar::{Snapshot, Source};
use crate::config::Configuration;
use crate::config::routes::RoutesFile;
use crate::gateway::RouteMap;
use crate::model::Finding;

use super::render::{self, Texts};

/// The map, if it can be read, and everything that there is to say about it. Nothing of both where no
/// authorizer is configured.
pub(super) fn judged(
    configuration: &Configuration,
    snapshot: Option<&Snapshot>,
) -> (Option<RouteMap>, Vec<Finding>) {
    let file = match text(configuration) {
        None => return (None, Vec::new()),
        Some(Err(finding)) => return (None, vec![*finding]),
        Some(Ok(Source { path, text, .. })) => RoutesFile::read(path, text),
    };
    match file {
        Err(findings) => (None, findings),
        Ok(file) => {
            let faults = snapshot.map(|snapshot| file.map.check(snapshot)).unwrap_or_default();
            let findings = faults.iter().map(|fault| file.finding(fault)).collect();
            (Some(file.map), findings)
        }
    }
}

/// The text of the map; nothing where no authorizer is configured.
pub(super) fn text(configuration: &Configuration) -> Option<Result<Source, Box<Finding>>> {
    let path = configuration.routes_path()?;
    let file = &configuration.config.authorizer.as_ref()?.routes;
    Some(match super::read_text(file) {
        Ok(text) => Ok(Source { name: Arc::clone(&path), path, text: text.into() }),
        Err(error) => {
            let message = format!("the route map `{path}` cannot be read: {error}");
            let fault = configuration.fault("authorizer.routes", message);
            Err(Box::new(fault.help("write it, or set `authorizer.routes` to where it is")))
        }
    })
}

/// Prints what there is to say about the map.
pub(super) fn print(findings: &[Finding], configuration: &Configuration) {
    let map = text(configuration).and_then(Result::ok);
    let texts = Texts::of(&crate::cedar::Sources::default(), configuration).and(map.as_slice());
    render::findings(findings, &texts);
}
