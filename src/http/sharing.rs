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
use crate::workers::{Place, Worker, Workers};

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

/// Serves on all workers until `shutdown`, then lets what runs finish. What takes longer than `grace` is cut off.
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
    // One for each worker: its connections look at it whenever they wake up.
    let shares: Vec<_> = workers.iter().map(|worker| (worker, GracefulShutdown::new())).collect();
    let mut connections = JoinSet::new();
    let served = tokio::select! {
        Err(worker_ended) = share_out(&listener, &serving, &shares, &mut connections) => Err(worker_ended),
        () = shutdown => Ok(()),
    };
    // Whoever comes now is refused at once.
    drop(listener);
    for (_, graceful) in shares {
        tokio::spawn(graceful.shutdown());
    }
    served.and(drain(connections, grace).await)
}

async fn drain(mut connections: JoinSet<()>, grace: Duration) -> io::Result<()> {
    let mut drained = Ok(());
    let finish = async {
        while let Some(ended) = connections.join_next().await {
            drained = std::mem::replace(&mut drained, Ok(())).and(judge(ended));
        }
    };
    if timeout(grace, finish).await.is_err() {
        connections.shutdown().await;
    }
    drained
}

/// Accepts for everybody.
async fn share_out<L: Shared>(
    listener: &L,
    serving: &Arc<Serving<impl Answering>>,
    shares: &[(&Worker, GracefulShutdown)],
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
                if let Some((worker, graceful)) = shares.iter().min_by_key(|(worker, _)| worker.connections())
                {
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
    use std::future::pending;
    use std::net::SocketAddr;
    use std::num::NonZero;

    use axum::Router;
    use axum::routing::get;
    use hyper_util::service::TowerToHyperService;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::{Notify, oneshot};
    use tokio::task::JoinHandle;

    use super::*;
    use crate::cedar::limits::EVALUATION_STACK;
    use crate::model::Period;

    /// How long anything that is awaited may take on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(20);

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

    /// Asks, and reads an answer that ends in `!`.
    async fn ask(connection: &mut TcpStream) -> String {
        connection.write_all(REQUEST).await.unwrap();
        let mut read = Vec::new();
        while !read.ends_with(b"!") {
            assert_ne!(connection.read_buf(&mut read).await.unwrap(), 0, "closed after {read:?}");
        }
        String::from_utf8(read).unwrap().rsplit("\r\n").next().unwrap().to_owned()
    }

    /// A service of three workers, and what stops it.
    struct Served {
        /// They outlive the service, as they do where batches are shared.
        _workers: Workers,
        address: SocketAddr,
        stop: oneshot::Sender<()>,
        serving: JoinHandle<io::Result<()>>,
    }

    impl Served {
        async fn of(router: Router, grace: Duration) -> Self {
            let workers = Workers::start(NonZero::new(3), EVALUATION_STACK).unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let (stop, stopped) = oneshot::channel::<()>();
            let ours = workers.clone();
            let serving = tokio::spawn(async move {
                // No connection ends because it is silent.
                let hour = Period(Duration::from_hours(1));
                let limits = Limits { headers: hour, idle: hour, ..Limits::default() };
                let (service, shutdown) = (TowerToHyperService::new(router), async { drop(stopped.await) });
                serve(listener, service, &limits, &ours, shutdown, grace).await
            });
            Self { _workers: workers, address, stop, serving }
        }

        async fn client(&self) -> TcpStream {
            TcpStream::connect(self.address).await.unwrap()
        }

        async fn ends(serving: JoinHandle<io::Result<()>>) {
            timeout(PATIENCE, serving).await.unwrap().unwrap().unwrap();
        }
    }

    async fn is_hung_up_on(mut connection: TcpStream) {
        let mut read = Vec::new();
        let _reset = timeout(PATIENCE, connection.read_to_end(&mut read)).await.expect("still open");
        assert_eq!(read, b"");
    }

    #[tokio::test]
    async fn connections_are_shared_out_evenly_and_each_stays_where_it_is() {
        let name = || async { format!("{}!", std::thread::current().name().unwrap_or_default()) };
        let served = Served::of(Router::new().route("/", get(name)), Duration::ZERO).await;
        let mut connections = Vec::new();
        let mut answered_by = Vec::new();
        for _ in 0..6 {
            let mut connection = served.client().await;
            answered_by.push(ask(&mut connection).await);
            connections.push(connection);
        }
        for (connection, first) in connections.iter_mut().zip(&answered_by) {
            assert_eq!(ask(connection).await, *first);
        }
        answered_by.sort_unstable();
        assert_eq!(
            answered_by,
            ["worker 0!", "worker 0!", "worker 1!", "worker 1!", "worker 2!", "worker 2!"]
        );
        served.stop.send(()).unwrap();
        Served::ends(served.serving).await;
        assert!(TcpStream::connect(served.address).await.is_err());
    }

    #[tokio::test]
    async fn what_runs_when_the_service_stops_is_answered_and_what_idles_is_closed() {
        let (asked, answer) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let slow = {
            let (asked, answer) = (Arc::clone(&asked), Arc::clone(&answer));
            async move || {
                asked.notify_one();
                answer.notified().await;
                "done!"
            }
        };
        let served = Served::of(Router::new().route("/", get(slow)), PATIENCE).await;
        let idle = served.client().await;
        let mut asking = served.client().await;
        let answered = tokio::spawn(async move { ask(&mut asking).await });
        asked.notified().await;
        served.stop.send(()).unwrap();
        is_hung_up_on(idle).await;
        answer.notify_one();
        assert_eq!(answered.await.unwrap(), "done!");
        Served::ends(served.serving).await;
    }

    #[tokio::test]
    async fn what_takes_longer_than_is_waited_for_is_cut_off() {
        let asked = Arc::new(Notify::new());
        let never = {
            let asked = Arc::clone(&asked);
            async move || {
                asked.notify_one();
                pending::<()>().await;
            }
        };
        let served = Served::of(Router::new().route("/", get(never)), Duration::from_millis(1)).await;
        let mut asking = served.client().await;
        asking.write_all(REQUEST).await.unwrap();
        asked.notified().await;
        served.stop.send(()).unwrap();
        Served::ends(served.serving).await;
        is_hung_up_on(asking).await;
    }

    #[tokio::test]
    async fn a_connection_that_panics_ends_alone() {
        let router = Router::new()
            .route("/", get(async || "well!"))
            .route("/panic", get(async || -> &'static str { panic!("one of many") }));
        let served = Served::of(router, Duration::ZERO).await;
        let (mut well, mut panicking) = (served.client().await, served.client().await);
        assert_eq!(ask(&mut well).await, "well!");
        panicking.write_all(b"GET /panic HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        is_hung_up_on(panicking).await;
        assert_eq!(ask(&mut well).await, "well!");
        assert_eq!(ask(&mut served.client().await).await, "well!");
        served.stop.send(()).unwrap();
        Served::ends(served.serving).await;
    }
}
