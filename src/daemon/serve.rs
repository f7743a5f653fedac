//! From settings to a running daemon and back: the runtime, the socket, opening and closing.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use axum_server::accept::Accept;
use sd_notify::NotifyState;
use tokio::net::TcpStream;
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use crate::{Error, ErrorKind, Result, Store};

use super::accept::Placing;
use super::access::{Access, Issued, Role, TokenFile};
use super::app::App;
use super::config::Config;
use super::disk::Progress;
use super::metrics::Metrics;
use super::{desk, log, opening, router, tls};

/// How often files that others may change (tokens, certificates) are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What a daemon that has started says of itself.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Started {
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether it speaks TLS.
    pub tls: bool,
    /// Whether it asks for tokens.
    pub wants_tokens: bool,
    /// The first tokens, by role: made now, and never shown again.
    pub tokens: Vec<(String, String)>,
}

/// Runs the daemon until it is told to stop by SIGTERM or SIGINT; `started` is called when it
/// listens. Requests are answered as soon as the store is open.
///
/// # Errors
///
/// Why it could not start, or what went wrong when the store was closed.
pub fn serve(config: Config, started: impl FnOnce(&Started)) -> Result<()> {
    log::begin(&config.log);
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
    opening::may_be_made(&config)?;
    let (metrics, progress) = (Metrics::new(), Progress::default());
    let open = || opening::open(config.clone(), metrics.syncs(), progress.clone());
    // A store is made in an empty folder alone: tokens come after it.
    let made = if opening::is_new(&config.dir) { Some(open().await?) } else { None };
    let settings = &config.access;
    let file = TokenFile::of(&config.dir);
    let (access, issued) = Access::open(settings.tokens, settings.requests_per_second, file)?;
    let opening = open();
    let app = App::new(config.clone(), access, metrics, progress);
    let handle = Handle::new();
    let (address, serving) = listen(&app, &handle).await?;
    started(&Started {
        address,
        tls: config.has_tls(),
        wants_tokens: settings.tokens,
        tokens: issued.into_iter().map(shown).collect(),
    });
    let looking = tokio::spawn(look_at_tokens(app.clone()));
    let store = match made {
        Some(store) => store,
        None => opening.await?,
    };
    app.open(store.clone());
    let tending = tokio::spawn(desk::tend(app.clone()));
    tell_systemd(&[NotifyState::Ready]);
    tracing::info!(%address, "serving");
    terminated().await?;
    tell_systemd(&[NotifyState::Stopping]);
    tracing::info!("stopping");
    looking.abort();
    tending.abort();
    let bound = Duration::from_secs(config.http.stop_seconds);
    if tokio::time::timeout(bound, stop(&app, &handle, serving, bound)).await.is_err() {
        tracing::warn!("the stop took too long: what is still open ends at its last fragment");
    }
    if let Err(problem) = desk::note(&app).await {
        tracing::warn!(code = problem.code(), "who looked last is in this log alone");
    }
    close(store, bound).await
}

fn shown(issued: Issued) -> (String, String) {
    (Role::name(issued.role).to_owned(), issued.secret)
}

/// Binds the socket and answers on it.
pub(super) async fn listen(
    app: &App,
    handle: &Handle<SocketAddr>,
) -> Result<(SocketAddr, JoinHandle<io::Result<()>>)> {
    let listen = app.config().http.listen;
    let failed = |error| system(&format!("listen on {listen}"), error);
    let listener = TcpListener::bind(listen).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let_go(&listener, app.config().http.body_idle_seconds).map_err(failed)?;
    let router = router::build(app.clone());
    let serving = if app.config().has_tls() {
        let settings = tls::open(&app.config().http).await?;
        tokio::spawn(tls::follow(settings.clone(), app.config().http.clone(), LOOK));
        let server = axum_server::from_tcp_rustls(listener, settings).map_err(failed)?;
        let server = server.map(|tls| tls.acceptor(Placing::new(app)));
        answer(server.handle(handle.clone()), app, router)
    } else {
        let server = axum_server::from_tcp(listener).map_err(failed)?;
        let server = server.acceptor(Placing::new(app));
        answer(server.handle(handle.clone()), app, router)
    };
    Ok((address, serving))
}

/// Ends connections, of those that `listener` will accept, that take nothing of an answer for
/// `seconds`. What is on its way to a socket is lent by the store: whoever stops reading and stays
/// connected would keep footage that has expired on the disk for as long.
fn let_go(listener: &TcpListener, seconds: u64) -> io::Result<()> {
    let ms = u32::try_from(seconds.saturating_mul(1_000)).unwrap_or(u32::MAX);
    rustix::net::sockopt::set_tcp_user_timeout(listener, ms).map_err(io::Error::from)
}

type Server<A> = axum_server::Server<SocketAddr, A>;

fn answer<A>(server: Server<A>, app: &App, router: Router) -> JoinHandle<io::Result<()>>
where
    A: Accept<TcpStream, Router> + Clone + Send + Sync + 'static,
    A::Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send,
    A::Service:
        axum_server::service::SendService<axum::http::Request<hyper::body::Incoming>> + Send,
    A::Future: Send,
{
    let headers = Duration::from_secs(app.config().http.header_seconds);
    let mut server = server.http1_only();
    server
        .http_builder()
        .http1()
        // A sender that closes its side after the last byte is not gone: it waits for nothing.
        .half_close(true)
        .max_buf_size(HEADER_BYTES_MAX)
        .header_read_timeout(headers);
    tokio::spawn(server.serve(router.into_make_service()))
}

/// Room for the headers of one request, and for what is read of its body at a time.
const HEADER_BYTES_MAX: usize = 64 << 10;

/// Ends senders first, so that what they have sent of a clip is finished and durable; then waits
/// for the answers that are under way.
async fn stop(
    app: &App,
    handle: &Handle<SocketAddr>,
    serving: JoinHandle<io::Result<()>>,
    bound: Duration,
) {
    handle.graceful_shutdown(Some(bound));
    app.intake().stop().await;
    match serving.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the socket failed"),
        Err(failed) => tracing::error!(%failed, "the server panicked"),
    }
}

/// The command line may have made or revoked a token.
#[expect(clippy::infinite_loop, reason = "it ends with the task it runs in")]
async fn look_at_tokens(app: App) {
    let mut every = tokio::time::interval(LOOK);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let again = app.clone();
        if app.pool().read(move || again.access().reload()).await.is_err() {
            tracing::warn!("nobody was free to look at the tokens");
        }
    }
}

/// Makes everything durable that can be in time: a disk that hangs keeps nobody for ever. What was
/// acknowledged is durable already.
async fn close(store: Store, bound: Duration) -> Result<()> {
    let closing = tokio::task::spawn_blocking(move || store.close());
    let failed = |why: String| Error::new(ErrorKind::Io, format!("close store: {why}"));
    match tokio::time::timeout(bound, closing).await {
        Ok(closed) => closed.map_err(|panicked| failed(panicked.to_string()))?,
        Err(_) => Err(failed(format!("the disk did not answer for {} s", bound.as_secs()))),
    }
}

/// Without systemd there is nobody to tell.
fn tell_systemd(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "systemd cannot be told");
    }
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

pub(super) fn system(operation: &str, error: io::Error) -> Error {
    Error::io(operation, Path::new(""), error)
}
