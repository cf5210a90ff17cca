//! The events that API Gateway sends to a Lambda authorizer, all of them as one request.
//!
//! Shapes: AWS, API Gateway Developer Guide, "Input to an API Gateway Lambda authorizer" for REST APIs, and
//! "Control access to HTTP APIs with AWS Lambda authorizers" for HTTP APIs. Members that decide nothing are
//! not looked at, because API Gateway adds some from time to time.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::arn::{ArnFault, MethodArn};
use super::path::{Handed, Path, PathFault};
use crate::model::Token;

/// Which API asks, and in which format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A REST API whose authorizer is of the type TOKEN.
    RestToken,
    /// A REST API whose authorizer is of the type REQUEST.
    RestRequest,
    /// An HTTP API, format 1.0.
    Http1,
    /// An HTTP API, format 2.0.
    Http2,
}

/// What an event says, as far as it decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Who sent it.
    pub kind: Kind,
    /// The method that is asked for: what the answer names.
    pub arn: MethodArn,
    /// The user's token, or why there is none.
    pub token: Result<Token, TokenFault>,
    /// What is asked for, or why nobody can say for certain.
    pub asked: Result<Asked, PathFault>,
}

/// A method and a path, and what API Gateway has read out of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// `GET`.
    pub method: String,
    /// Below the stage, as the API's routes have it.
    pub path: Path,
    /// The parameters of the path, as the handler will see them. Nothing where they need not be compared, because
    /// API Gateway reads none and hands the path on encoded, or cannot be, because it does not say.
    pub parameters: Option<BTreeMap<String, String>>,
    /// Every value of each parameter of the query.
    query: BTreeMap<String, Vec<String>>,
}

/// Why an event is not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventFault {
    /// No JSON, or a member of another type than it is documented with. Nothing of it is repeated.
    #[error("the event is not one of a Lambda authorizer (line {line}, column {column})")]
    Shape {
        /// In the event, from 1.
        line: usize,
        /// In the line, from 1.
        column: usize,
    },
    /// Another event, or a format that came later.
    #[error(
        "the event is none of the four that a Lambda authorizer gets: REST TOKEN, REST REQUEST, HTTP API 1.0 and 2.0"
    )]
    Kind,
    /// A member is not there that always is.
    #[error("the event has no `{0}`")]
    Missing(&'static str),
    /// The ARN names no method.
    #[error("the ARN of the event's method is refused: {0}")]
    Arn(#[from] ArnFault),
    /// The answer would name another method than was asked for.
    #[error("the event's ARN names another method or path than the event does")]
    Disagreement,
}

/// Why there is no token in an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// No header `Authorization`, or an empty one.
    #[error("there is no token in `Authorization`")]
    Missing,
    /// Several headers: somebody else may have judged another one.
    #[error("there are several `Authorization` headers")]
    Several,
    /// Not `Bearer`.
    #[error("`Authorization` is of another scheme than `Bearer`")]
    Scheme,
}

/// Several values where one is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeveralValues;

impl Kind {
    /// Whether it is a REST API that asks.
    pub const fn is_rest(self) -> bool {
        matches!(self, Self::RestToken | Self::RestRequest)
    }

    /// HTTP APIs decode the path before they hand it on. Whether the ARN of a TOKEN event, which has nothing
    /// else, is decoded is not documented.
    const fn handed(self) -> Handed {
        match self {
            Self::RestRequest => Handed::Encoded,
            Self::RestToken | Self::Http1 | Self::Http2 => Handed::Decoded,
        }
    }
}

impl Event {
    /// Reads an event.
    ///
    /// # Errors
    /// It is none that can be answered.
    pub fn parse(json: &[u8]) -> Result<Self, EventFault> {
        let written: Written = serde_json::from_slice(json)
            .map_err(|error| EventFault::Shape { line: error.line(), column: error.column() })?;
        let kind = written.kind()?;
        let arn = MethodArn::parse(written.arn(kind)?)?;
        let token = written.token(kind);
        let asked = match written.path(kind)? {
            None => Path::parse(arn.path(), kind.handed()),
            Some(path) => agreed(path, kind.handed(), &arn)?,
        };
        let method = written.method(kind, &arn)?.to_owned();
        if method != arn.method() {
            return Err(EventFault::Disagreement);
        }
        let parameters = written.parameters(kind);
        let asked = asked.map(|path| Asked { method, path, parameters, query: written.query(kind) });
        Ok(Self { kind, arn, token, asked })
    }
}

impl Asked {
    /// The one value of a parameter of the query, if it is there.
    ///
    /// # Errors
    /// There are several.
    pub fn query(&self, name: &str) -> Result<Option<String>, SeveralValues> {
        match self.query.get(name).map(Vec::as_slice) {
            None | Some([]) => Ok(None),
            Some([one]) => Ok(Some(one.clone())),
            Some(_) => Err(SeveralValues),
        }
    }
}

/// The members of all four kinds.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object")]
struct Written {
    version: Option<String>,
    #[serde(rename = "type")]
    event_type: Option<String>,
    method_arn: Option<String>,
    route_arn: Option<String>,
    authorization_token: Option<String>,
    resource: Option<String>,
    route_key: Option<String>,
    path: Option<String>,
    raw_path: Option<String>,
    http_method: Option<String>,
    headers: Option<Texts>,
    multi_value_headers: Option<Lists>,
    query_string_parameters: Option<Texts>,
    multi_value_query_string_parameters: Option<Lists>,
    path_parameters: Option<Texts>,
    request_context: Option<Context>,
}

type Texts = BTreeMap<String, String>;
type Lists = BTreeMap<String, Vec<String>>;

#[derive(Deserialize)]
struct Context {
    http: Option<Http>,
}

#[derive(Deserialize)]
struct Http {
    method: Option<String>,
}

impl Written {
    fn kind(&self) -> Result<Kind, EventFault> {
        match (self.version.as_deref(), self.event_type.as_deref()) {
            (None, Some("TOKEN")) => Ok(Kind::RestToken),
            (None, Some("REQUEST")) => Ok(Kind::RestRequest),
            (Some("1.0"), Some("REQUEST")) => Ok(Kind::Http1),
            (Some("2.0"), Some("REQUEST")) => Ok(Kind::Http2),
            _ => Err(EventFault::Kind),
        }
    }

    fn arn(&self, kind: Kind) -> Result<&str, EventFault> {
        match kind {
            Kind::RestToken | Kind::RestRequest | Kind::Http1 => {
                there(self.method_arn.as_deref(), "methodArn")
            }
            Kind::Http2 => there(self.route_arn.as_deref(), "routeArn"),
        }
    }

    fn method<'a>(&'a self, kind: Kind, arn: &'a MethodArn) -> Result<&'a str, EventFault> {
        let http = self.request_context.as_ref().and_then(|context| context.http.as_ref());
        match kind {
            Kind::RestToken => Ok(arn.method()),
            Kind::RestRequest | Kind::Http1 => there(self.http_method.as_deref(), "httpMethod"),
            Kind::Http2 => there(http.and_then(|http| http.method.as_deref()), "requestContext.http.method"),
        }
    }

    fn path(&self, kind: Kind) -> Result<Option<&str>, EventFault> {
        match kind {
            Kind::RestToken => Ok(None),
            Kind::RestRequest | Kind::Http1 => there(self.path.as_deref(), "path").map(Some),
            Kind::Http2 => there(self.raw_path.as_deref(), "rawPath").map(Some),
        }
    }

    fn parameters(&self, kind: Kind) -> Option<Texts> {
        let route = match kind {
            Kind::RestToken => return None,
            Kind::RestRequest | Kind::Http1 => self.resource.as_deref(),
            Kind::Http2 => self.route_key.as_deref(),
        };
        let reads_nothing = |route: &str| route == "$default" || route.contains("+}");
        match route {
            Some(route) if reads_nothing(route) && kind.handed() == Handed::Encoded => None,
            // An encoded slash is a slash by now, and nothing but the parameters would tell.
            Some(route) if reads_nothing(route) => Some(Texts::new()),
            _ => Some(self.path_parameters.clone().unwrap_or_default()),
        }
    }

    /// Format 2.0 puts commas between several values, and does not say so: one with a comma in it may be two.
    fn query(&self, kind: Kind) -> Lists {
        let mut all = self.multi_value_query_string_parameters.clone().unwrap_or_default();
        for (name, value) in self.query_string_parameters.iter().flatten() {
            let values = match kind {
                Kind::Http2 => value.split(',').map(str::to_owned).collect(),
                Kind::RestToken | Kind::RestRequest | Kind::Http1 => vec![value.clone()],
            };
            all.entry(name.clone()).or_insert(values);
        }
        all
    }

    fn token(&self, kind: Kind) -> Result<Token, TokenFault> {
        if kind == Kind::RestToken {
            return credentials(self.authorization_token.as_deref().unwrap_or_default());
        }
        let is_authorization = |name: &String| name.eq_ignore_ascii_case("authorization");
        let headers = self.headers.iter().flatten();
        let one: Vec<_> =
            headers.filter(|(name, _)| is_authorization(name)).map(|(_, value)| value).collect();
        let headers = self.multi_value_headers.iter().flatten();
        let many: Vec<_> =
            headers.filter(|(name, _)| is_authorization(name)).flat_map(|(_, values)| values).collect();
        match (one.as_slice(), many.as_slice()) {
            ([], []) => Err(TokenFault::Missing),
            ([value], []) | ([], [value]) => credentials(value),
            // Both forms of the headers hold the same.
            ([value], [same]) if value == same => credentials(value),
            _ => Err(TokenFault::Several),
        }
    }
}

/// The end of the path that the ARN names too: before it stand the stage and the base path of a domain.
fn agreed(path: &str, handed: Handed, arn: &MethodArn) -> Result<Result<Path, PathFault>, EventFault> {
    match (Path::parse(path, handed), Path::parse(arn.path(), Handed::Encoded)) {
        (Ok(path), Ok(in_arn)) => path.ending_in(&in_arn).map(Ok).ok_or(EventFault::Disagreement),
        (Err(fault), _) | (_, Err(fault)) => Ok(Err(fault)),
    }
}

/// `Bearer` and the token, or the token alone, as some clients of Cognito send it. What it holds is the
/// verifier's to judge.
fn credentials(value: &str) -> Result<Token, TokenFault> {
    let value = value.trim_matches(' ');
    match value.split_once(' ') {
        _ if value.is_empty() => Err(TokenFault::Missing),
        None => Ok(Token::new(value)),
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
            Ok(Token::new(token.trim_start_matches(' ')))
        }
        Some(_) => Err(TokenFault::Scheme),
    }
}

fn there<'a>(member: Option<&'a str>, name: &'static str) -> Result<&'a str, EventFault> {
    member.ok_or(EventFault::Missing(name))
}

#[cfg(test)]
mod tests;
