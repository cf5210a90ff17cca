//! The listeners: where they are, and how they are bound.

use std::convert::Infallible;
use std::fmt;
use std::fs::Permissions;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use axum::http::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::service::Service;
use serde::{Deserialize, Deserializer, de};

use super::sharing;
use crate::model::Limits;
use crate::workers::Workers;

/// Where a listener is: `127.0.0.1:8180`, `[::1]:8180` or `unix:/run/palisade.sock`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A TCP port.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

/// The permissions of a unix socket, written as octal digits: `"0600"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketMode(u32);

/// A socket that waits for connections.
#[derive(Debug)]
pub enum Listener {
    /// A TCP port.
    Tcp(TcpListener),
    /// A unix socket; its file is removed when serving ends.
    Unix(UnixListener, Socket),
}

/// The file of a unix socket.
#[derive(Debug)]
pub struct Socket {
    path: PathBuf,
    /// Device and number, which tell it from a successor's.
    inode: (u64, u64),
}

/// Why there is no listener.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody else listens there.
    #[error("somebody listens on `{0}` already")]
    InUse(Address),
    /// What is there is no socket.
    #[error("`{}` is there already and is not a socket", .0.display())]
    NotASocket(PathBuf),
    /// Anything else.
    #[error("cannot listen on `{address}`: {cause}")]
    Other {
        /// The address.
        address: Address,
        /// The system's words.
        cause: io::Error,
    },
}

impl Address {
    /// A port of this machine that only this machine reaches.
    pub const fn loopback(port: u16) -> Self {
        Self::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
    }

    /// Whether only this machine reaches it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }

    /// Starts to listen. A socket that nobody listens on any more is replaced, another kind of
    /// file never is. `mode` is for unix sockets.
    pub fn bind(&self, mode: SocketMode) -> Result<Listener, BindError> {
        let failed = |cause: io::Error| {
            if cause.kind() == ErrorKind::AddrInUse {
                return BindError::InUse(self.clone());
            }
            BindError::Other { address: self.clone(), cause }
        };
        match self {
            Self::Tcp(address) => TcpListener::bind(address).map(Listener::Tcp).map_err(failed),
            Self::Unix(path) => match found(path).map_err(failed)? {
                Found::Listening => Err(BindError::InUse(self.clone())),
                Found::NoSocket => Err(BindError::NotASocket(path.clone())),
                Found::Nothing | Found::Stale => {
                    bind_unix(path, mode).map(|(bound, socket)| Listener::Unix(bound, socket)).map_err(failed)
                }
            },
        }
    }
}

impl Listener {
    /// Where it listens: the port in particular, where any was asked for.
    pub fn address(&self) -> io::Result<Address> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Address::Tcp),
            Self::Unix(_, socket) => Ok(Address::Unix(socket.path.clone())),
        }
    }
}

/// A service whose clones answer the requests of one connection each, whatever happens.
pub trait Answering:
    Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Answering for S where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// Serves until `shutdown`, then finishes what runs, for `grace` at most.
pub async fn run(
    listener: Listener,
    service: impl Answering,
    limits: &Limits,
    workers: &Workers,
    shutdown: impl Future<Output = ()>,
    grace: Duration,
) -> io::Result<()> {
    match listener {
        Listener::Tcp(listener) => {
            sharing::serve(sharing::tcp(listener)?, service, limits, workers, shutdown, grace).await
        }
        Listener::Unix(listener, socket) => {
            let served =
                sharing::serve(sharing::unix(listener)?, service, limits, workers, shutdown, grace).await;
            socket.remove()?;
            served
        }
    }
}

/// What is where a socket is wanted.
enum Found {
    Nothing,
    Stale,
    Listening,
    NoSocket,
}

fn found(path: &Path) -> io::Result<Found> {
    let metadata = match path.symlink_metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(error),
    };
    if !metadata.file_type().is_socket() {
        return Ok(Found::NoSocket);
    }
    match UnixStream::connect(path) {
        Ok(_) => Ok(Found::Listening),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(Found::Stale),
        Err(error) => Err(error),
    }
}

/// Binds beside the path and moves the socket there once it has its permissions, so that nobody
/// else can connect in between.
fn bind_unix(path: &Path, mode: SocketMode) -> io::Result<(UnixListener, Socket)> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    if matches!(found(&beside)?, Found::Stale) {
        remove(&beside)?;
    }
    let listener = UnixListener::bind(&beside)?;
    std::fs::set_permissions(&beside, Permissions::from_mode(mode.0))?;
    let metadata = beside.symlink_metadata()?;
    std::fs::rename(&beside, path)?;
    Ok((listener, Socket { path: path.to_owned(), inode: (metadata.dev(), metadata.ino()) }))
}

impl Socket {
    /// Removes the socket, unless a successor has put its own there.
    fn remove(&self) -> io::Result<()> {
        match self.path.symlink_metadata() {
            Ok(metadata) if (metadata.dev(), metadata.ino()) == self.inode => remove(&self.path),
            _ => Ok(()),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a socket of our own that nobody listens on")]
fn remove(path: &Path) -> io::Result<()> {
    std::fs::remove_file(path)
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(formatter),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(_) => Err(format!("`{text}` is not an address: the path of a unix socket begins with `/`")),
            None => text.parse().map(Self::Tcp).map_err(|_| {
                format!(
                    "`{text}` is not an address: write `127.0.0.1:8180`, `[::1]:8180` or `unix:/run/palisade.sock`"
                )
            }),
        }
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl Default for SocketMode {
    fn default() -> Self {
        Self(0o600)
    }
}

impl<'de> Deserialize<'de> for SocketMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        u32::from_str_radix(&text, 8).ok().filter(|mode| *mode <= 0o777).map(Self).ok_or_else(|| {
            de::Error::custom(format_args!(
                "`{text}` is not a mode: write octal digits, `\"0600\"` or `\"0660\"`"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use hyper_util::service::TowerToHyperService;

    use super::*;

    fn address(text: &str) -> Result<Address, String> {
        text.parse()
    }

    #[test]
    fn an_address_is_a_port_or_a_socket() {
        assert!(address("127.0.0.1:8180").unwrap().is_local());
        assert!(address("[::1]:8180").unwrap().is_local());
        assert!(address("[::ffff:127.0.0.1]:8180").unwrap().is_local());
        assert!(!address("0.0.0.0:8180").unwrap().is_local());
        assert!(address("unix:/run/palisade.sock").unwrap().is_local());
        for wrong in ["", "8180", "localhost:8180", "unix:palisade.sock", "unix:"] {
            assert!(address(wrong).unwrap_err().contains("is not an address"), "{wrong}");
        }
        assert_eq!(serde_json::from_str::<SocketMode>("\"0660\"").unwrap(), SocketMode(0o660));
        assert!(serde_json::from_str::<SocketMode>("\"4777\"").is_err());
    }

    #[test]
    fn a_socket_is_private_and_a_stale_one_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("palisade.sock");
        let address = Address::Unix(path.clone());
        let first = address.bind(SocketMode::default()).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(address.bind(SocketMode::default()), Err(BindError::InUse(_))));
        drop(first);
        assert!(path.exists(), "a process that dies leaves its socket behind");
        address.bind(SocketMode::default()).unwrap();
    }

    #[test]
    fn a_file_that_is_no_socket_is_never_replaced() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let bound = Address::Unix(file.path().to_owned()).bind(SocketMode::default());
        assert!(matches!(bound, Err(BindError::NotASocket(_))));
        assert!(file.path().is_file());
    }

    #[tokio::test]
    async fn a_service_that_ends_takes_its_own_socket_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("palisade.sock");
        let listener = Address::Unix(path.clone()).bind(SocketMode::default()).unwrap();
        let limits = Limits::default();
        let workers = Workers::here();
        let now = std::future::ready(());
        let service = TowerToHyperService::new(axum::Router::new());
        run(listener, service, &limits, &workers, now, Duration::ZERO).await.unwrap();
        assert!(!path.exists());
    }
}
