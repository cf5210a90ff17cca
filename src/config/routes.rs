//! The route map of the Lambda authorizer: its text read, and complaints about it at their places.

use std::sync::Arc;

use super::{Configuration, place};
use crate::gateway::{MapFault, RouteMap, WrittenMap};
use crate::model::Finding;

/// The code of every finding about a route map.
const CODE: &str = "route-map";

/// A route map that has been read, with the text that complaints about it point into.
#[derive(Debug)]
pub struct RoutesFile {
    /// The map.
    pub map: RouteMap,
    path: Arc<str>,
    text: Arc<str>,
}

impl RoutesFile {
    /// Reads the text of the file that complaints call by this path.
    ///
    /// # Errors
    /// Everything that is wrong with it, whatever the schema.
    pub fn read(path: Arc<str>, text: Arc<str>) -> Result<Self, Vec<Finding>> {
        let written: WrittenMap =
            toml::from_str(&text).map_err(|error| vec![place::of_error(&path, &text, &error)])?;
        match RouteMap::new(written) {
            Ok(map) => Ok(Self { map, path, text }),
            Err(faults) => Err(faults.iter().map(|fault| finding(fault, &path, &text)).collect()),
        }
    }

    /// A complaint about the map, at its line.
    pub fn finding(&self, fault: &MapFault) -> Finding {
        finding(fault, &self.path, &self.text)
    }
}

impl Configuration {
    /// The path of the route map as findings name it, where an authorizer is configured.
    pub fn routes_path(&self) -> Option<Arc<str>> {
        let path = &self.config.authorizer.as_ref()?.routes;
        let shown = path.strip_prefix(&self.base).unwrap_or(path);
        Some(shown.display().to_string().into())
    }
}

fn finding(fault: &MapFault, path: &Arc<str>, text: &str) -> Finding {
    let finding = Finding::error(path, CODE, fault.message.as_str()).help(fault.help.as_str());
    let finding = Finding { severity: fault.severity, ..finding };
    match place::of_key(text, &fault.key) {
        Some(place) => finding.at(place),
        None => finding,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Place;

    fn read(text: &str) -> Vec<String> {
        RoutesFile::read("routes.toml".into(), text.into())
            .err()
            .unwrap_or_default()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_complaint_stands_at_its_key() {
        let route = "[[routes]]\nmethod = \"GET\"\npath = \"/a/{id}\"\naction = \"read\"\n";
        let resource = "resource = { type = \"T\", parameter = \"id\" }\n";
        let good = format!("{route}{resource}");
        assert_eq!(read(&good), [""; 0]);
        assert_eq!(
            read(&format!("{good}{good}")),
            ["routes.toml:8:1: a path can match this and `routes.0`, and nothing says which is meant"]
        );
        assert_eq!(
            read(&good.replace("parameter = \"id\"", "parameter = \"key\"")),
            ["routes.toml:5:26: `/a/{id}` has no parameter `key`"]
        );
        let [unknown] = &*read(&good.replace("action", "actoin")) else { panic!("one complaint") };
        assert!(unknown.starts_with("routes.toml:4:1: unknown key `actoin`"), "{unknown}");
        let [none] = &*read("") else { panic!("one complaint") };
        assert_eq!(none, "routes.toml: no route is there, so everything would be denied");
        let fault = MapFault {
            key: "routes.0.action".to_owned(),
            severity: crate::model::Severity::Warning,
            message: "x".to_owned(),
            help: "y".to_owned(),
        };
        let file = RoutesFile::read("routes.toml".into(), good.into()).unwrap();
        let Finding { place, severity, .. } = file.finding(&fault);
        assert_eq!(place.map(|Place { line, .. }| line), Some(4));
        assert_eq!(severity, crate::model::Severity::Warning);
    }
}
