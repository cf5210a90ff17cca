//! Where requests of our own may go: https anywhere, plain http to this machine only; the clients for both, and why
//! they bring nothing.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, StatusCode, Url};

/// A URL that may be talked to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    url: Url,
    route: Route,
}

/// Which client an endpoint needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Route {
    /// Plain http: no proxy, and no trust store to be loaded.
    Plain,
    /// https to this machine: no proxy.
    LoopbackHttps,
    /// https, through the proxy that the environment names, if it does.
    Remote,
}

/// Why a text is no such URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointFault {
    /// Not absolute, no host, or no URL at all.
    #[error("`{0}` is not a URL with a host")]
    NotAUrl(String),
    /// Plain http to somewhere else, or another scheme.
    #[error("`{0}` is neither https nor on loopback: anybody on the way could put in an answer of their own")]
    Insecure(String),
    /// A secret in a URL ends up in logs.
    #[error("the URL holds a user name or a password")]
    Credentials,
}

/// The HTTP client could not be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the HTTP client cannot be set up: {0}")]
pub struct ClientFault(String);

/// Why a request brought nothing that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerFault {
    /// So long was waited for all of it.
    #[error("no complete answer in {0:?}")]
    Timeout(Duration),
    /// None that was asked for.
    #[error("the answer has the status {0}")]
    Status(u16),
    /// Followed nowhere: the configuration says where answers come from.
    #[error("the answer is a redirect ({0})")]
    Redirect(u16),
    /// No connection, or one that broke.
    #[error("unreachable: {0}")]
    Unreachable(String),
}

impl Endpoint {
    /// Reads a URL.
    pub fn parse(text: &str) -> Result<Self, EndpointFault> {
        let url = Url::parse(text).map_err(|_| EndpointFault::NotAUrl(text.to_owned()))?;
        let host = url.host_str().ok_or_else(|| EndpointFault::NotAUrl(text.to_owned()))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointFault::Credentials);
        }
        let route = match (url.scheme(), is_loopback(host)) {
            ("https", false) => Route::Remote,
            ("https", true) => Route::LoopbackHttps,
            ("http", true) => Route::Plain,
            _ => return Err(EndpointFault::Insecure(text.to_owned())),
        };
        Ok(Self { url, route })
    }

    /// The URL.
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// The client that it needs.
    pub const fn route(&self) -> Route {
        self.route
    }
}

impl Route {
    /// A client that follows no redirect: the configuration says where answers come from.
    pub fn client(self) -> Result<Client, ClientFault> {
        let builder = plain();
        match self {
            Self::Plain => builder.no_proxy().tls_certs_only([]),
            Self::LoopbackHttps => builder.no_proxy().https_only(true),
            Self::Remote => builder.https_only(true),
        }
        .build()
        .map_err(|error| ClientFault(innermost(&error)))
    }
}

impl AnswerFault {
    /// An answer with a status that was not asked for.
    pub fn of(status: StatusCode) -> Self {
        let code = status.as_u16();
        if status.is_redirection() { Self::Redirect(code) } else { Self::Status(code) }
    }

    /// A stable, bounded label for metrics.
    pub const fn result(&self) -> &'static str {
        match self {
            Self::Timeout(_) => "timeout",
            Self::Status(_) => "status",
            Self::Redirect(_) => "redirect",
            Self::Unreachable(_) => "unreachable",
        }
    }
}

fn plain() -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("palisade/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        // A connection that is kept from one fetch to the next would be broken by then.
        .pool_max_idle_per_host(0)
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The outer messages say only that a request failed; the innermost says why.
pub fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_goes_anywhere_and_plain_http_to_this_machine_only() {
        let route = |text: &str| Endpoint::parse(text).map(|endpoint| endpoint.route);
        assert_eq!(route("https://cognito-idp.us-east-1.amazonaws.com/x"), Ok(Route::Remote));
        for text in ["http://localhost:9/x", "http://127.0.0.1/x", "http://127.8.8.8/x", "http://[::1]:9/x"] {
            assert_eq!(route(text), Ok(Route::Plain), "{text}");
        }
        assert_eq!(route("https://localhost/x"), Ok(Route::LoopbackHttps));
        for text in [
            "http://example.com/x",
            "http://127.0.0.1.example.com/",
            "http://localhost.example.com/",
            "http://10.0.0.1/",
            "http://0.0.0.0/",
            "ftp://localhost/",
        ] {
            assert!(matches!(route(text), Err(EndpointFault::Insecure(_))), "{text}");
        }
        for text in ["", "keys.json", "/keys.json", "file:///etc/keys.json", "https://", "data:,x"] {
            assert!(matches!(route(text), Err(EndpointFault::NotAUrl(_))), "{text}");
        }
        assert_eq!(route("https://user:secret@example.com/"), Err(EndpointFault::Credentials));
    }
}
