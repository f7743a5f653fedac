//! Taking in connections: so many at a time, and whoever comes on top is told so.
//!
//! Owns the places. A connection that is refused is answered before a byte of it is read, so that a
//! crowd costs no more than the accepting.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use axum_server::accept::Accept;
use tokio::io::AsyncWriteExt as _;
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

/// Gives each connection a place before anybody speaks with it.
#[derive(Clone, Debug)]
pub(super) struct Placing(App);

impl Placing {
    pub(super) fn new(app: &App) -> Self {
        Self(app.clone())
    }
}

type Accepted<T> = Pin<Box<dyn Future<Output = io::Result<(Connection, T)>> + Send>>;

impl<T: Send + 'static> Accept<TcpStream, T> for Placing {
    type Stream = Connection;
    type Service = T;
    type Future = Accepted<T>;

    fn accept(&self, stream: TcpStream, service: T) -> Self::Future {
        let app = self.0.clone();
        Box::pin(async move {
            match Arc::clone(&app.places().free).try_acquire_owned() {
                Ok(place) => Ok((Connection::new(stream, place), service)),
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
