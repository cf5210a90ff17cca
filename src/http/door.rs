//! The way in to the decision API: open, or attended by somebody who knows whether there are policies.

use std::fmt;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;

use super::Api;
use super::error::{ApiError, Problem};

/// Where requests come in.
#[derive(Clone)]
pub enum Door {
    /// Policies on disk: what serves once serves on.
    Open(Arc<Api>),
    /// Policies that are fetched: asked before each request is looked at.
    Attended(Arc<Attendant>),
}

/// Gives the API as soon as there is one, and as long as its policies may be decided by.
pub type Attendant = dyn Fn() -> Pin<Box<dyn Future<Output = Result<Arc<Api>, Closed>> + Send>> + Send + Sync;

/// Why there is no API now. What the caller is told, and what the program log is told.
#[derive(Debug)]
pub struct Closed {
    /// For the program log.
    pub cause: String,
}

/// The API, as long as the request which came in lasts.
pub(super) enum Entered<'a> {
    Open(&'a Api),
    Attended(Arc<Api>),
}

impl Door {
    /// An API that may decide the request which comes in.
    pub(super) async fn enter(&self) -> Result<Entered<'_>, ApiError> {
        match self {
            // Borrowed: a count of all requests would go from core to core with each of them.
            Self::Open(api) => Ok(Entered::Open(api)),
            Self::Attended(attendant) => {
                attendant().await.map(Entered::Attended).map_err(|Closed { cause }| {
                    let detail = "there are no policies right now that could be decided by";
                    ApiError::new(Problem::NotReady, detail).because(cause)
                })
            }
        }
    }
}

impl Deref for Entered<'_> {
    type Target = Api;

    fn deref(&self) -> &Api {
        match self {
            Self::Open(api) => api,
            Self::Attended(api) => api,
        }
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Open(_) => "Open",
            Self::Attended(_) => "Attended",
        })
    }
}
