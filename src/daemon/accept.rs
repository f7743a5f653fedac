//! Taking in connections: so many at a time, and whoever comes on top is told so.
//!
//! Owns the places. A connection that is refused is answered before a byte of it is read, so that a
//! crowd costs no more than the accepting.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use axum_server::accept::Accept;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::app::App;
use super::connection::Connection;
use super::problem::Problem;

/// Places for connections.
#[derive(Clone, Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    max: usize,
}

impl Places {
    pub(super) fn new(max: usize) -> Self {
        let max = max.min(Semaphore::MAX_PERMITS);
        Self { free: Arc::new(Semaphore::new(max)), max }
    }

    /// How many there are, and how many of them are taken.
    pub(super) fn taken(&self) -> usize {
        self.max - self.free.available_permits().min(self.max)
    }

    /// How many there are.
    pub(super) fn max(&self) -> usize {
        self.max
    }
}

/// Gives each connection a place before `inner` speaks with it.
#[derive(Clone)]
pub(super) struct Placing<A> {
    inner: A,
    app: App,
}

impl<A> Placing<A> {
    pub(super) fn new(inner: A, app: &App) -> Self {
        Self { inner, app: app.clone() }
    }
}

impl<A> fmt::Debug for Placing<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Placing").finish_non_exhaustive()
    }
}

type Accepted<S, T> = Pin<Box<dyn Future<Output = io::Result<(Connection<S>, T)>> + Send>>;

impl<A, T> Accept<TcpStream, T> for Placing<A>
where
    A: Accept<TcpStream, T> + Clone + Send + 'static,
    A::Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A::Service: Send + 'static,
    A::Future: Send + 'static,
    T: Send + 'static,
{
    type Stream = Connection<A::Stream>;
    type Service = A::Service;
    type Future = Accepted<A::Stream, A::Service>;

    fn accept(&self, stream: TcpStream, service: T) -> Self::Future {
        let Self { inner, app } = self.clone();
        Box::pin(async move {
            match Arc::clone(&app.places().free).try_acquire_owned() {
                Ok(place) => {
                    let (stream, service) = inner.accept(stream, service).await?;
                    Ok((Connection::new(stream, place), service))
                }
                Err(_) => Err(refuse(&app, stream).await),
            }
        })
    }
}

/// Tells the client why, where it does not expect TLS, and answers the same.
async fn refuse(app: &App, mut stream: TcpStream) -> io::Error {
    app.metrics().connection_refused();
    let said = "too many connections at a time";
    if !app.config().has_tls() {
        let answer = Problem::unavailable(said, 5).as_http1();
        // It fits into the socket's empty buffer. Whoever is gone already needs no answer.
        let told = stream.write_all(&answer).await;
        let ended = stream.shutdown().await;
        tracing::debug!(told = told.is_ok(), ended = ended.is_ok(), said);
    }
    io::Error::other(said)
}
