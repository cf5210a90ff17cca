//! From a listener to the workers: each connection goes to the one that has the fewest, and stays there.

use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;
use std::{net, os};

use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use super::keepalive::KeepAlive;
use super::listen::Answering;
use crate::model::Limits;
use crate::workers::{Place, Workers};

/// HTTP/2's default, 16 KiB, is less than a legal token of a user with a hundred groups.
const HEADER_LIST: u32 = 64 * 1024;

/// What a request's line and headers may need beside the token.
const HEADERS_BESIDE_TOKEN: usize = 32 * 1024;

/// What an HTTP/2 connection may ask at once.
const STREAMS: u32 = 256;

/// How long nobody is accepted after the system had no room for another connection.
const PAUSE: Duration = Duration::from_millis(50);

/// A listener whose connections can move from the runtime that accepts to the one that answers.
pub(super) trait Shared: Send + Sync + 'static {
    /// Belongs to no runtime.
    type Moving: Send + 'static;
    /// Belongs to the runtime that it came to.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    fn accept(&self) -> impl Future<Output = io::Result<Self::Moving>> + Send;

    fn arrive(moving: Self::Moving) -> io::Result<Self::Stream>;
}

/// How connections are served, all alike.
struct Serving<S> {
    service: S,
    http: Builder<TokioExecutor>,
    keep_alive: KeepAlive,
}

/// A port.
pub(super) fn tcp(listener: net::TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// A unix socket.
pub(super) fn unix(listener: os::unix::net::UnixListener) -> io::Result<UnixListener> {
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

/// Serves on all workers until `shutdown`, then finishes what runs, for `grace` at most.
///
/// # Errors
/// A worker has ended.
pub(super) async fn serve<L: Shared>(
    listener: L,
    service: impl Answering,
    limits: &Limits,
    workers: &Workers,
    shutdown: impl Future<Output = ()>,
    grace: Duration,
) -> io::Result<()> {
    let serving = Arc::new(Serving::new(service, limits));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    tokio::select! {
        Err(worker_ended) = share_out(&listener, &serving, workers, &graceful, &mut connections) => {
            return Err(worker_ended);
        }
        () = shutdown => {}
    }
    // Whoever comes now is refused at once.
    drop(listener);
    // What takes longer ends with its connection.
    let _too_long = timeout(grace, graceful.shutdown()).await;
    connections.shutdown().await;
    Ok(())
}

/// Accepts for everybody.
async fn share_out<L: Shared>(
    listener: &L,
    serving: &Arc<Serving<impl Answering>>,
    workers: &Workers,
    graceful: &GracefulShutdown,
    connections: &mut JoinSet<()>,
) -> io::Result<Infallible> {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(ended) = connections.join_next() => {
                judge(ended)?;
                continue;
            }
        };
        match accepted {
            Ok(moving) => {
                if let Some(worker) = workers.iter().min_by_key(|worker| worker.connections()) {
                    let (serving, place) = (Arc::clone(serving), worker.place());
                    let connection = serving.connection::<L>(moving, place, graceful.watcher());
                    connections.spawn_on(connection, worker.runtime());
                }
            }
            // That one has gone already.
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(PAUSE).await;
            }
        }
    }
}

/// A connection ends in its own way; only a worker that is gone takes its connections with it.
fn judge(ended: Result<(), JoinError>) -> io::Result<()> {
    match ended {
        Err(error) if error.is_cancelled() => Err(io::Error::other("a worker has ended")),
        Err(panicked) => {
            tracing::error!(error = %panicked, "a connection panicked");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

impl<S: Answering> Serving<S> {
    fn new(service: S, limits: &Limits) -> Self {
        let mut http = Builder::new(TokioExecutor::new());
        // How long headers may take is the connection's to judge.
        http.http1().timer(TokioTimer::new()).header_read_timeout(None);
        http.http1().max_buf_size(limits.token.saturating_add(HEADERS_BESIDE_TOKEN));
        http.http2().timer(TokioTimer::new());
        http.http2().max_header_list_size(HEADER_LIST).max_concurrent_streams(STREAMS);
        Self { service, http, keep_alive: KeepAlive::new(limits) }
    }

    /// Serves one connection to its end.
    async fn connection<L: Shared>(self: Arc<Self>, moving: L::Moving, place: Place, shutdown: Watcher) {
        let stream = match L::arrive(moving) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken over");
                return;
            }
        };
        let (stream, service) = self.keep_alive.watch(stream, place, self.service.clone());
        let connection = self.http.serve_connection(TokioIo::new(stream), service);
        if let Err(error) = shutdown.watch(connection).await {
            tracing::debug!(%error, "a connection broke off");
        }
    }
}

impl Shared for TcpListener {
    type Moving = net::TcpStream;
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<Self::Moving> {
        let (stream, _) = self.accept().await?;
        // Answers are written in one piece: there is nothing to wait for.
        stream.set_nodelay(true)?;
        stream.into_std()
    }

    fn arrive(moving: Self::Moving) -> io::Result<TcpStream> {
        TcpStream::from_std(moving)
    }
}

impl Shared for UnixListener {
    type Moving = os::unix::net::UnixStream;
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<Self::Moving> {
        self.accept().await?.0.into_std()
    }

    fn arrive(moving: Self::Moving) -> io::Result<UnixStream> {
        UnixStream::from_std(moving)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;

    use axum::Router;
    use axum::routing::get;
    use hyper_util::service::TowerToHyperService;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::oneshot;
    use tokio::time::timeout;

    use super::*;
    use crate::cedar::limits::EVALUATION_STACK;

    /// How long anything that is awaited may take on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// Asks which thread answers.
    async fn thread(connection: &mut TcpStream) -> String {
        connection.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut read = Vec::new();
        while !read.ends_with(b"!") {
            assert_ne!(connection.read_buf(&mut read).await.unwrap(), 0, "closed after {read:?}");
        }
        String::from_utf8(read).unwrap().rsplit("\r\n").next().unwrap().to_owned()
    }

    #[tokio::test]
    async fn connections_are_shared_out_evenly_and_each_stays_where_it_is() {
        let workers = Workers::start(NonZero::new(3), EVALUATION_STACK).unwrap();
        let name = || async { format!("{}!", std::thread::current().name().unwrap_or_default()) };
        let service = TowerToHyperService::new(Router::new().route("/", get(name)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = {
            let workers = workers.clone();
            let shutdown = async { drop(stopped.await) };
            tokio::spawn(async move {
                serve(listener, service, &Limits::default(), &workers, shutdown, Duration::ZERO).await
            })
        };
        let mut connections = Vec::new();
        let mut answered_by = Vec::new();
        for _ in 0..6 {
            let mut connection = TcpStream::connect(address).await.unwrap();
            answered_by.push(thread(&mut connection).await);
            connections.push(connection);
        }
        for (connection, first) in connections.iter_mut().zip(&answered_by) {
            assert_eq!(thread(connection).await, *first);
        }
        answered_by.sort_unstable();
        assert_eq!(
            answered_by,
            ["worker 0!", "worker 0!", "worker 1!", "worker 1!", "worker 2!", "worker 2!"]
        );
        stop.send(()).unwrap();
        timeout(PATIENCE, serving).await.unwrap().unwrap().unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }
}
