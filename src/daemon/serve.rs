//! From settings to a running daemon and back: the runtime, the socket, opening and closing.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use axum_server::Handle;
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};

use crate::types::{Error, ErrorKind, Result};
use crate::{Retention, Store, WhenFull};

use super::access::Access;
use super::app::App;
use super::config::{Config, WhenFullName};
use super::router;

/// What a daemon that has started says of itself.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Started {
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether it speaks TLS.
    pub tls: bool,
}

/// Runs the daemon until it is told to stop by SIGTERM or SIGINT; `started` is called when it
/// listens.
///
/// # Errors
///
/// Why it could not start, or what went wrong when the store was closed.
pub fn serve(config: Config, started: impl FnOnce(&Started)) -> Result<()> {
    let runtime = runtime::Builder::new_multi_thread()
        .max_blocking_threads(config.http.reader_threads + config.http.writer_threads + 8)
        .enable_all()
        .build()
        .map_err(|error| system("start the async runtime", error))?;
    let outcome = runtime.block_on(run(config, started));
    // What is still on the pool after the stop's bound is not waited for.
    runtime.shutdown_background();
    outcome
}

async fn run(config: Config, started: impl FnOnce(&Started)) -> Result<()> {
    let listen = config.http.listen;
    let listener =
        TcpListener::bind(listen).map_err(|error| system(&format!("listen on {listen}"), error))?;
    let address = listener.local_addr().map_err(|error| system("listen", error))?;
    let stop = Duration::from_secs(config.http.stop_seconds);
    let tls = config.has_tls();
    let app = App::new(config.clone(), Access::new(config.access.tokens));
    let handle = Handle::new();
    let mut server = axum_server::from_tcp(listener)
        .map_err(|error| system("listen", error))?
        .http1_only()
        .handle(handle.clone());
    server
        .http_builder()
        .http1()
        // A sender that closes its side after the last byte is not gone: it waits for nothing.
        .half_close(true)
        .header_read_timeout(Duration::from_secs(config.http.header_seconds));
    let service = router::build(app.clone()).into_make_service();
    let serving = tokio::spawn(server.serve(service));
    started(&Started { address, tls });
    let store = open(config).await?;
    app.open(store.clone());
    terminated().await?;
    handle.graceful_shutdown(Some(stop));
    match tokio::time::timeout(stop, serving).await {
        Ok(Ok(served)) => served.map_err(|error| system("serve", error))?,
        Ok(Err(failed)) => return Err(Error::new(ErrorKind::Io, format!("serve: {failed}"))),
        Err(_) => tracing::warn!("the stop took too long: connections are dropped"),
    }
    store.close()
}

async fn open(config: Config) -> Result<Store> {
    let opened = tokio::task::spawn_blocking(move || options(&config)?.open(&config.dir)).await;
    opened.map_err(|failed| Error::new(ErrorKind::Io, format!("open store: {failed}")))?
}

fn options(config: &Config) -> Result<crate::StoreOptions> {
    let store = &config.store;
    let given = |bytes: u64| (bytes > 0).then_some(bytes);
    let mut options = Store::options()
        .retention(Retention::days(store.keep_days_at_least, store.keep_days_at_most)?)
        .free_space_floor(store.free_space_floor_bytes)
        .segment_bytes(store.segment_bytes)
        .sweeper(Duration::from_secs(store.sweep_seconds))
        .when_full(match store.when_full {
            WhenFullName::DropOldest => WhenFull::DropOldest,
            WhenFullName::Refuse => WhenFull::Refuse,
        });
    if let Some(bytes) = given(store.quota_bytes) {
        options = options.quota(bytes);
    }
    if let Some(bytes) = given(store.hold_budget_bytes) {
        options = options.hold_budget(bytes);
    }
    if let Some(bytes) = given(store.agency_hold_budget_bytes) {
        options = options.agency_hold_budget(bytes);
    }
    Ok(options)
}

/// Returns when somebody wants the daemon to stop.
async fn terminated() -> Result<()> {
    let listen = |kind| signal(kind).map_err(|error| system("listen for signals", error));
    let (mut terminate, mut interrupt) =
        (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

fn system(operation: &str, error: io::Error) -> Error {
    Error::io(operation, Path::new(""), error)
}
