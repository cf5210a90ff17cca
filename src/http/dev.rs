//! `POST /dev/tokens`: tokens for whoever asks on this machine; a route of `palisade dev` alone.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_TYPE, HOST, ORIGIN};
use axum::response::Response;
use axum::routing::post;
use serde::{Deserialize, Serialize};

use super::error::{ApiError, Problem};
use super::intake::is_json;
use super::json;
use crate::model::{TokenUse, object};

/// Makes a token of a user in these groups, or says why it cannot.
pub type Mint = Arc<dyn Fn(&str, &[String], TokenUse) -> Result<String, String> + Send + Sync>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    user: String,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default = "access")]
    token_use: TokenUse,
}

const fn access() -> TokenUse {
    TokenUse::Access
}

#[derive(Serialize)]
struct Minted {
    token: String,
}

/// The route, to be merged with those of the operations listener.
pub fn router(mint: Mint) -> Router {
    Router::new().route("/dev/tokens", post(tokens)).with_state(mint)
}

async fn tokens(State(mint): State<Mint>, headers: HeaderMap, body: Bytes) -> Result<Response, ApiError> {
    refuse_browsers(&headers)?;
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !content_type.is_some_and(is_json) {
        return Err(ApiError::new(Problem::UnsupportedMediaType, "send `Content-Type: application/json`"));
    }
    let Wanted { user, groups, token_use } = object::read(&body).map_err(|error| {
        let detail = "write {\"user\": \"dora\", \"groups\": [\"user\"], \"token_use\": \"access\"}";
        ApiError::new(Problem::MalformedRequest, detail).because(error.to_string())
    })?;
    let token = mint(&user, &groups, token_use).map_err(ApiError::internal)?;
    let minted =
        serde_json::to_vec(&Minted { token }).map_err(|error| ApiError::internal(error.to_string()))?;
    Ok(json(minted))
}

/// A page in a browser on this machine can post here too: through a name of its own that resolves
/// to loopback, or across origins. It says so in these headers.
fn refuse_browsers(headers: &HeaderMap) -> Result<(), ApiError> {
    let hosts: Vec<_> = headers.get_all(HOST).iter().collect();
    let host = match hosts.as_slice() {
        [host] => host.to_str().unwrap_or_default(),
        _ => "",
    };
    if headers.contains_key(ORIGIN) || !is_loopback(host) {
        return Err(ApiError::new(
            Problem::NotPermitted,
            "tokens are minted for programs on this machine only",
        ));
    }
    Ok(())
}

fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_taken_for_it() {
        for host in ["localhost", "localhost:8181", "127.0.0.1:8181", "127.1.2.3", "[::1]:8181"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in
            ["", "example.com", "localhost.example.com", "127.0.0.1.example.com:80", "10.0.0.1", "[::2]"]
        {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
