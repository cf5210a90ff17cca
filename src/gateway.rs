//! What API Gateway asks of a Lambda authorizer and what it is answered: events in, answers out, no I/O.

use std::path::PathBuf;

use serde::Deserialize;

pub mod answer;
pub mod arn;
pub mod event;
pub mod map_check;
pub mod path;
pub mod routes;
pub mod template;

pub use answer::{Facts, Form, Misfit, Unwritten};
pub use arn::MethodArn;
pub use event::{Asked, Event, EventFault, Kind, TokenFault};
pub use path::{Handed, Path, PathFault};
pub use routes::{MapFault, RouteMap, Unasked, WrittenMap};

/// `[authorizer]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The form of its answers: an event does not say which one API Gateway is set up to read.
    pub answer: Form,
    /// The file of the route map.
    #[serde(default = "usual_map")]
    pub routes: PathBuf,
}

fn usual_map() -> PathBuf {
    PathBuf::from("routes.toml")
}
