//! How long a connection is kept: for the headers of a request, and between requests.
//!
//! Hyper's own limit on headers begins with the silence before them, so that it would close the idle
//! connections that clients keep for their next request. Here it begins with a request's first byte.
//! Over HTTP/2, where bytes may belong to no request, it is for the first request alone.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::http::{Request, Version};
use hyper::service::Service;
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use crate::model::Limits;
use crate::workers::Place;

/// What time is measured in at least, so that an alarm never rings all the time.
const MOMENT: Duration = Duration::from_millis(1);

/// What can still be added to any instant.
const FOREVER: Duration = Duration::from_hours(24 * 365);

/// Limits the waiting of connections.
#[derive(Debug, Clone)]
pub(super) struct KeepAlive {
    headers: Duration,
    idle: Duration,
}

/// A connection that ends when nothing has come for too long.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    /// With the worker that it was given to.
    _place: Place,
    requests: Arc<Requests>,
    headers: Duration,
    idle: Duration,
    awaiting: Awaiting,
    /// It may ring early, never late: hyper does not always read when a request has been answered, so
    /// that there is not always a time to set it anew.
    alarm: Pin<Box<Sleep>>,
}

/// The service of one connection, which counts its requests.
#[derive(Debug, Clone)]
pub(super) struct Counted<S> {
    service: S,
    requests: Arc<Requests>,
}

pin_project! {
    /// The answer to one request, while it is made.
    #[derive(Debug)]
    pub(super) struct Answering<F> {
        #[pin]
        answer: F,
        request: Begun,
    }
}

/// A request that has begun and ends with this.
#[derive(Debug)]
struct Begun(Arc<Requests>);

/// The requests of one connection: what its stream cannot see and its service can.
#[derive(Debug, Default)]
struct Requests {
    begun: AtomicUsize,
    ended: AtomicUsize,
    /// Requests come side by side, between frames that belong to none.
    is_http2: AtomicBool,
}

/// What a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaiting {
    /// The rest of the headers of the request after so many; since they did not come in one piece.
    Headers { since: Option<Instant>, after: usize },
    /// A request's answer, which has its own time limit.
    Answer,
    /// The next request.
    Request { since: Instant },
}

impl KeepAlive {
    pub(super) fn new(limits: &Limits) -> Self {
        let within = |limit: Duration| limit.clamp(MOMENT, FOREVER);
        Self { headers: within(limits.headers.0), idle: within(limits.idle.0) }
    }

    /// A connection with its place among those of its worker, and the service that answers its requests.
    pub(super) fn watch<S, T>(&self, stream: S, place: Place, service: T) -> (Watched<S>, Counted<T>) {
        let Self { headers, idle } = *self;
        let requests = Arc::new(Requests::default());
        // Whoever connects has something to ask.
        let awaiting = Awaiting::Headers { since: Some(Instant::now()), after: 0 };
        let alarm = Box::pin(sleep(headers.min(idle)));
        let counted = Arc::clone(&requests);
        let stream = Watched { stream, _place: place, requests, headers, idle, awaiting, alarm };
        (stream, Counted { service, requests: counted })
    }
}

impl<S> Watched<S> {
    /// Bytes have come: of a request's body, or of the headers of the next.
    fn heard(&mut self) {
        if !self.requests.are_answered() {
            self.awaiting = Awaiting::Answer;
        } else if !self.requests.is_http2.load(Ordering::Relaxed) && !self.awaits_headers() {
            self.awaiting = Awaiting::Headers { since: None, after: self.requests.begun() };
        }
    }

    /// Nothing has come, or an answer goes out.
    fn look(&mut self) {
        if !self.requests.are_answered() {
            self.awaiting = Awaiting::Answer;
            return;
        }
        match &mut self.awaiting {
            Awaiting::Headers { since, after } if *after == self.requests.begun() => {
                since.get_or_insert_with(Instant::now);
            }
            Awaiting::Request { .. } => {}
            Awaiting::Headers { .. } | Awaiting::Answer => {
                self.awaiting = Awaiting::Request { since: Instant::now() };
            }
        }
    }

    /// Whether headers have begun that are no request yet.
    fn awaits_headers(&self) -> bool {
        matches!(self.awaiting, Awaiting::Headers { after, .. } if after == self.requests.begun())
    }

    /// When the waiting ends; never for an answer.
    fn deadline(&self) -> Option<Instant> {
        match self.awaiting {
            Awaiting::Headers { since, .. } => since.map(|since| since + self.headers),
            Awaiting::Answer => None,
            Awaiting::Request { since } => Some(since + self.idle),
        }
    }

    /// Ready when too much time has passed. The alarm is set anew where it would ring too late, or
    /// has rung too early, which is once in a while and not for each request.
    fn poll_given_up(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.look();
        let deadline = self.deadline();
        if let Some(deadline) = deadline.filter(|deadline| *deadline < self.alarm.deadline()) {
            self.alarm.as_mut().reset(deadline);
        }
        loop {
            ready!(self.alarm.as_mut().poll(context));
            if deadline.is_some_and(|deadline| deadline <= self.alarm.deadline()) {
                return Poll::Ready(());
            }
            let idle = Instant::now() + self.idle;
            self.alarm.as_mut().reset(deadline.map_or(idle, |deadline| deadline.min(idle)));
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(context, buffer) {
            if buffer.filled().len() > before {
                self.heard();
            }
            return Poll::Ready(read);
        }
        ready!(self.poll_given_up(context));
        Poll::Ready(match self.awaiting {
            // As if the client had closed it, which both sides are prepared for.
            Awaiting::Request { .. } => Ok(()),
            Awaiting::Headers { .. } | Awaiting::Answer => Err(ErrorKind::TimedOut.into()),
        })
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.look();
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.look();
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl<S, B> Service<Request<B>> for Counted<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Answering<S::Future>;

    fn call(&self, request: Request<B>) -> Self::Future {
        let begun = Begun::new(&self.requests, request.version());
        Answering { answer: self.service.call(request), request: begun }
    }
}

impl<F: Future> Future for Answering<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.project().answer.poll(context)
    }
}

impl Begun {
    fn new(requests: &Arc<Requests>, version: Version) -> Self {
        if version == Version::HTTP_2 {
            requests.is_http2.store(true, Ordering::Relaxed);
        }
        requests.begun.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(requests))
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

impl Requests {
    fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }

    /// Whether none is under way.
    fn are_answered(&self) -> bool {
        self.ended.load(Ordering::Relaxed) == self.begun()
    }
}

#[cfg(test)]
mod tests;
