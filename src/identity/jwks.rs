//! Getting key sets: the one socket, and the one file, that identity touches.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Response, StatusCode};

use super::config::Config;
use super::keys::{KeySet, KeySetFault};
use crate::endpoint::{AnswerFault, ClientFault, Endpoint, EndpointFault, Route, innermost};

/// How long a fetch may take, from resolving the name to the last byte of the body.
const TIMEOUT: Duration = Duration::from_secs(3);

/// A document of Cognito has 800 bytes; this leaves room for every issuer that is one.
const MOST_BYTES: usize = 256 * 1024;

/// Where the keys of an issuer come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// Fetched.
    Url(Endpoint),
    /// Read from disk.
    File(PathBuf),
    /// A JWKS document in memory, which never changes and never goes stale.
    Given(Arc<str>),
}

/// Why no keys were got.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchFault {
    /// The endpoint.
    #[error(transparent)]
    Answer(#[from] AnswerFault),
    /// More than [`Bounds::bytes`].
    #[error("the document has more than {0} bytes")]
    TooLarge(usize),
    /// No usable keys in it.
    #[error(transparent)]
    Keys(#[from] KeySetFault),
    /// The file.
    #[error("the file cannot be read: {0}")]
    File(String),
}

/// What a fetch may cost.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// From start to end.
    pub timeout: Duration,
    /// The document.
    pub bytes: usize,
}

/// Fetches from every source. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Fetcher {
    clients: Arc<BTreeMap<Route, Client>>,
    bounds: Bounds,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { timeout: TIMEOUT, bytes: MOST_BYTES }
    }
}

impl KeySource {
    /// The source that an issuer's settings name.
    pub fn of(config: &Config) -> Result<Self, EndpointFault> {
        match &config.jwks_file {
            Some(path) => Ok(Self::File(path.clone())),
            None => Endpoint::parse(&config.keys_url()).map(Self::Url),
        }
    }

    /// Whether asking again could give another answer.
    pub const fn can_change(&self) -> bool {
        !matches!(self, Self::Given(_))
    }
}

impl FetchFault {
    /// A stable, bounded label for metrics.
    pub const fn result(&self) -> &'static str {
        match self {
            Self::Answer(fault) => fault.result(),
            Self::TooLarge(_) => "too_large",
            Self::Keys(KeySetFault::Unparseable) => "unparseable",
            Self::Keys(KeySetFault::Empty(_)) => "empty",
            Self::File(_) => "unreachable",
        }
    }
}

impl Fetcher {
    /// Sets up the clients that these sources need and no other: loading the machine's trust store takes
    /// longer than everything else at start.
    pub fn new<'a>(
        sources: impl IntoIterator<Item = &'a KeySource>,
        bounds: Bounds,
    ) -> Result<Self, ClientFault> {
        let mut clients = BTreeMap::new();
        for source in sources {
            if let KeySource::Url(endpoint) = source
                && !clients.contains_key(&endpoint.route())
            {
                clients.insert(endpoint.route(), endpoint.route().client()?);
            }
        }
        Ok(Self { clients: Arc::new(clients), bounds })
    }

    /// How long a fetch may take.
    pub const fn longest(&self) -> Duration {
        self.bounds.timeout
    }

    /// The keys as they are now. Ends within the bounds.
    pub async fn fetch(&self, source: &KeySource) -> Result<KeySet, FetchFault> {
        let document = match source {
            KeySource::Url(endpoint) => self.download(endpoint).await?,
            KeySource::File(path) => self.load(path.clone()).await?,
            KeySource::Given(document) => document.as_bytes().to_vec(),
        };
        Ok(KeySet::parse(&document)?)
    }

    async fn download(&self, endpoint: &Endpoint) -> Result<Vec<u8>, FetchFault> {
        let client = self
            .clients
            .get(&endpoint.route())
            .ok_or_else(|| AnswerFault::Unreachable("no client was set up for it".to_owned()))?;
        let request = client.get(endpoint.url().clone()).timeout(self.bounds.timeout);
        let response = request.send().await.map_err(|error| self.unreachable(error))?;
        match response.status() {
            StatusCode::OK => self.body(response).await,
            status => Err(AnswerFault::of(status).into()),
        }
    }

    /// Streamed, so that a body without end costs no more than the bound.
    async fn body(&self, mut response: Response) -> Result<Vec<u8>, FetchFault> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(error))? {
            if body.len() + chunk.len() > self.bounds.bytes {
                return Err(FetchFault::TooLarge(self.bounds.bytes));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    async fn load(&self, path: PathBuf) -> Result<Vec<u8>, FetchFault> {
        let Bounds { timeout, bytes } = self.bounds;
        let reading = tokio::task::spawn_blocking(move || read(&path, bytes));
        match tokio::time::timeout(timeout, reading).await {
            Ok(Ok(document)) => document,
            Ok(Err(_)) => Err(FetchFault::File("reading it was cut short".to_owned())),
            Err(_) => Err(AnswerFault::Timeout(timeout).into()),
        }
    }

    fn unreachable(&self, error: reqwest::Error) -> AnswerFault {
        if error.is_timeout() {
            return AnswerFault::Timeout(self.bounds.timeout);
        }
        AnswerFault::Unreachable(innermost(&error.without_url()))
    }
}

/// At most one byte more than is allowed is read.
#[expect(clippy::disallowed_methods, reason = "the one file that identity reads: an issuer's `jwks_file`")]
fn read(path: &Path, limit: usize) -> Result<Vec<u8>, FetchFault> {
    let unreadable = |error: std::io::Error| FetchFault::File(error.to_string());
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut document = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(most).read_to_end(&mut document).map_err(unreadable)?;
    if document.len() > limit { Err(FetchFault::TooLarge(limit)) } else { Ok(document) }
}

#[cfg(test)]
mod tests;
