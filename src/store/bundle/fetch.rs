//! The conditional GET: what is there now, if it is another than what is known.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use object_store::http::HttpBuilder;
use object_store::path::Path;
use object_store::{ClientConfigKey, ClientOptions, GetOptions, ObjectStore, RetryConfig};

use super::Location;
use crate::endpoint::{AnswerFault, ClientFault, Endpoint, EndpointFault, Route, innermost};

/// Fetches one bundle.
#[derive(Debug)]
pub(super) struct Fetcher {
    store: Box<dyn ObjectStore>,
    path: Path,
    /// The largest bundle, in bytes.
    most: usize,
}

/// What came of a fetch.
#[derive(Debug)]
pub(super) enum Answer {
    /// What is known is what is there.
    Unchanged,
    /// Something else is.
    Bundle(Packed),
}

/// A bundle as it is stored.
#[derive(Debug, Clone)]
pub(super) struct Packed {
    pub(super) bytes: Arc<[u8]>,
    /// Its entity tag (RFC 9110, section 8.8.3), where the store gives one.
    pub(super) etag: Option<Arc<str>>,
}

/// Why nothing can be fetched from a location, ever.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceFault {
    /// The endpoint that the environment names.
    #[error("`{variable}`: {fault}")]
    Endpoint {
        /// The variable.
        variable: &'static str,
        /// What is wrong with it.
        fault: EndpointFault,
    },
    /// The HTTP client.
    #[error(transparent)]
    Client(#[from] ClientFault),
    /// Anything else: a key that is none, or half of the credentials.
    #[error("{0}")]
    Settings(String),
}

/// Why a fetch failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum FetchFault {
    #[error(transparent)]
    Answer(#[from] AnswerFault),
    #[error("the bundle has {bytes} bytes, and may have {most}")]
    TooLarge { bytes: u64, most: usize },
}

impl FetchFault {
    /// A stable, bounded label for metrics.
    pub(super) const fn result(&self) -> &'static str {
        match self {
            Self::Answer(fault) => fault.result(),
            Self::TooLarge { .. } => "too_large",
        }
    }
}

impl Fetcher {
    /// `environment` gives credentials, region and endpoint as AWS names them: `AWS_REGION`, …
    pub(super) fn new<'a>(
        location: &Location,
        environment: impl Iterator<Item = (&'a str, &'a str)>,
        most: usize,
    ) -> Result<Self, SourceFault> {
        match location {
            Location::S3 { bucket, key } => {
                let store = Box::new(s3(bucket, environment)?.build().map_err(|error| settings(&error))?);
                Ok(Self { store, path: Path::parse(key).map_err(|error| settings(&error))?, most })
            }
            Location::Http(endpoint) => {
                // The path of the URL is all of it, exactly as it is written.
                let store = HttpBuilder::new().with_url(endpoint.url().as_str()).with_retry(no_retries());
                let store = store.with_http_connector(Connector { route: endpoint.route() });
                let store = Box::new(store.build().map_err(|error| settings(&error))?);
                Ok(Self { store, path: Path::default(), most })
            }
        }
    }

    /// Asks once, for something other than what goes by `known`; ends within `within`.
    pub(super) async fn fetch(&self, known: Option<&str>, within: Duration) -> Result<Answer, FetchFault> {
        match tokio::time::timeout(within, self.get(known)).await {
            Ok(answer) => answer,
            Err(_) => Err(AnswerFault::Timeout(within).into()),
        }
    }

    async fn get(&self, known: Option<&str>) -> Result<Answer, FetchFault> {
        let options = GetOptions::new().with_if_none_match(known);
        let result = match self.store.get_opts(&self.path, options).await {
            Ok(result) => result,
            Err(object_store::Error::NotModified { .. }) if known.is_some() => return Ok(Answer::Unchanged),
            Err(error) => return Err(fault(&error).into()),
        };
        // The body is as long as was said, and not a byte longer: hyper sees to that.
        let bytes = result.meta.size;
        if usize::try_from(bytes).map_or(true, |bytes| bytes > self.most) {
            return Err(FetchFault::TooLarge { bytes, most: self.most });
        }
        let etag = result.meta.e_tag.as_deref().map(Arc::from);
        let bytes = result.bytes().await.map_err(|error| fault(&error))?;
        Ok(Answer::Bundle(Packed { bytes: bytes.as_ref().into(), etag }))
    }
}

/// The variables that name an endpoint, the later wins (AWS SDKs and Tools Reference Guide, "Service-specific
/// endpoints"); the first is what the library calls it as well.
const ENDPOINTS: [&str; 3] = ["AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"];

fn s3<'a>(
    bucket: &str,
    environment: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<AmazonS3Builder, SourceFault> {
    let mut builder = AmazonS3Builder::new();
    let mut route = Route::Remote;
    for (name, value) in environment.filter(|(name, _)| name.starts_with("AWS_")) {
        if let Some(variable) = ENDPOINTS.into_iter().find(|endpoint| *endpoint == name) {
            let endpoint = Endpoint::parse(value);
            route = endpoint.map_err(|fault| SourceFault::Endpoint { variable, fault })?.route();
        }
        // Most variables that begin so are other people's.
        if let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>() {
            builder = builder.with_config(key, value);
        }
    }
    // `AWS_ALLOW_HTTP` would allow it everywhere.
    let builder = builder.with_bucket_name(bucket).with_allow_http(false).with_retry(no_retries());
    Ok(builder.with_http_connector(Connector { route }))
}

fn no_retries() -> RetryConfig {
    RetryConfig { max_retries: 0, ..RetryConfig::default() }
}

fn settings(error: &dyn std::error::Error) -> SourceFault {
    SourceFault::Settings(innermost(error))
}

/// What an error of the library comes to: what [`Strict`] made of the answer, where there was one.
fn fault(error: &object_store::Error) -> AnswerFault {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(fault) = error.downcast_ref::<AnswerFault>() {
            return fault.clone();
        }
        cause = error.source();
    }
    AnswerFault::Unreachable(innermost(error))
}

/// Gives the library our own clients: its own follow redirects.
#[derive(Debug)]
struct Connector {
    route: Route,
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        // What gives machines their credentials speaks plain http at an address of the link.
        let plain =
            options.get_config_value(&ClientConfigKey::AllowHttp).is_some_and(|allowed| allowed == "true");
        let route = if plain { Route::Plain } else { self.route };
        let client = route
            .client()
            .map_err(|fault| object_store::Error::Generic { store: "HTTP", source: fault.into() })?;
        Ok(HttpClient::new(Strict(HttpClient::new(client))))
    }
}

/// Takes the two answers that are expected and no other: the library would read what comes with it to its end,
/// wherever that is, and repeat it in messages.
#[derive(Debug)]
struct Strict(HttpClient);

/// RFC 9110, section 15.4.5.
const NOT_MODIFIED: u16 = 304;

#[async_trait]
impl HttpService for Strict {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let response = self.0.execute(request).await?;
        let status = response.status();
        if status.is_success() || status.as_u16() == NOT_MODIFIED {
            return Ok(response);
        }
        Err(HttpError::new(HttpErrorKind::Unknown, AnswerFault::of(status)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3(environment: &[(&str, &str)]) -> Result<Fetcher, SourceFault> {
        let location = "s3://policies/shop/bundle.tar.gz".parse().unwrap();
        Fetcher::new(&location, environment.iter().copied(), 100)
    }

    #[test]
    fn an_endpoint_that_the_environment_names_is_https_or_on_this_machine() {
        for url in ["https://s3.example.com", "http://127.0.0.1:9000"] {
            assert!(s3(&[("AWS_ENDPOINT_URL", url)]).is_ok(), "{url}");
        }
        assert!(s3(&[("AWS_ENDPOINT", "http://s3.example.com")]).is_err());
        assert!(s3(&[("AWS_ENDPOINT", "http://127.0.0.1:9000")]).is_ok());
        let anywhere = ("AWS_ENDPOINT_URL_S3", "http://s3.example.com");
        let error = s3(&[("AWS_ALLOW_HTTP", "true"), anywhere]).unwrap_err().to_string();
        assert!(
            error.starts_with("`AWS_ENDPOINT_URL_S3`: `http://s3.example.com` is neither https"),
            "{error}"
        );
    }

    #[test]
    fn half_of_the_credentials_are_none() {
        assert!(s3(&[("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "s")]).is_ok());
        assert!(matches!(s3(&[("AWS_ACCESS_KEY_ID", "a")]), Err(SourceFault::Settings(_))));
    }
}
