//! From a listener to the workers: each connection goes to the one that has the fewest, and stays there.

use std::future::pending;
use std::io::{self, ErrorKind};
use std::marker::PhantomData;
use std::time::Duration;
use std::{net, os};

use axum::ServiceExt as _;
use axum_server::{AddrListener, Address, Handle, Server};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::sleep;

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

/// A connection with its place.
#[derive(Debug)]
pub(super) struct Placed<S> {
    pub(super) stream: S,
    pub(super) place: Place,
}

/// What one worker gets of a listener.
struct Share<L: Shared>(Mutex<mpsc::UnboundedReceiver<Placed<L::Moving>>>);

/// Stands for the address of a share, which nobody asks for.
struct Anywhere<L>(PhantomData<fn(L)>);

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
pub(super) async fn serve<L: Shared>(
    listener: L,
    service: impl Answering,
    limits: &Limits,
    workers: &Workers,
    shutdown: impl Future<Output = ()>,
    grace: Duration,
) -> io::Result<()> {
    let mut serving = JoinSet::new();
    let mut handles = Vec::with_capacity(workers.iter().len());
    let mut shares = Vec::with_capacity(workers.iter().len());
    for worker in workers.iter() {
        let (give, share) = mpsc::unbounded_channel();
        let handle = Handle::new();
        let server = prepared(Server::from_listener(Share::<L>(Mutex::new(share))), limits, &handle);
        let serve = server.acceptor(KeepAlive::new(limits)).serve(service.clone().into_make_service());
        serving.spawn_on(serve, worker.runtime());
        handles.push(handle);
        shares.push((worker, give));
    }
    tokio::select! {
        never = share_out(&listener, &shares) => never,
        // None ends before it is told to, unless something is broken.
        Some(ended) = serving.join_next() => return ended?,
        () = shutdown => {}
    }
    // Whoever comes now is refused at once.
    drop(listener);
    for handle in handles {
        handle.graceful_shutdown(Some(grace));
    }
    while let Some(ended) = serving.join_next().await {
        ended??;
    }
    Ok(())
}

fn prepared<L: Shared>(
    mut server: Server<Anywhere<L>>,
    limits: &Limits,
    handle: &Handle<Anywhere<L>>,
) -> Server<Anywhere<L>> {
    let http = server.http_builder();
    http.http1().max_buf_size(limits.token.saturating_add(HEADERS_BESIDE_TOKEN));
    http.http2().max_header_list_size(HEADER_LIST).max_concurrent_streams(STREAMS);
    server.handle(handle.clone())
}

/// Accepts for everybody.
async fn share_out<L: Shared>(
    listener: &L,
    shares: &[(&Worker, mpsc::UnboundedSender<Placed<L::Moving>>)],
) -> ! {
    loop {
        let stream = match listener.accept().await {
            Ok(stream) => stream,
            // That one has gone already.
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(PAUSE).await;
                continue;
            }
        };
        if let Some((worker, share)) = shares.iter().min_by_key(|(worker, _)| worker.connections()) {
            // A worker that is gone takes its connections with it.
            let _ = share.send(Placed { stream, place: worker.place() });
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

impl<L: Shared> AddrListener<Placed<L::Stream>, Anywhere<L>> for Share<L> {
    async fn bind_to(_: Anywhere<L>) -> io::Result<Self> {
        Err(ErrorKind::Unsupported.into())
    }

    async fn accept_stream(&self) -> io::Result<(Placed<L::Stream>, Anywhere<L>)> {
        match self.0.lock().await.recv().await {
            Some(Placed { stream, place }) => {
                Ok((Placed { stream: L::arrive(stream)?, place }, Anywhere::default()))
            }
            // The service stops, and this is told of it on another way.
            None => pending().await,
        }
    }

    fn get_local_addr(&self) -> io::Result<Anywhere<L>> {
        Ok(Anywhere::default())
    }
}

impl<L: Shared> Address for Anywhere<L> {
    type Stream = Placed<L::Stream>;
    type Listener = Share<L>;
}

impl<L> Default for Anywhere<L> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<L> Clone for Anywhere<L> {
    fn clone(&self) -> Self {
        Self::default()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;

    use axum::Router;
    use axum::routing::get;
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
        let service = Router::new().route("/", get(name));
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
