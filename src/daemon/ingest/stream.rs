//! `POST /v1/cameras/{camera}/stream`: one long body of fragmented MP4, durable by fragment.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::ingest::{Recorded, StreamRecorder};
use crate::media::{FragmentParser, Piece};
use crate::{CameraId, Clock as _, SystemClock, Timestamp};

use super::super::app::App;
use super::super::extract::{Named, Params};
use super::super::metrics::Timer;
use super::super::problem::Problem;
use super::lanes::{Lane, Place};
use super::memory::Share;
use super::{Incoming, Received, admit, stated_start};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(push)).routes(routes!(put))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Query {
    /// When the stream began (RFC 3339). Also taken from the header `X-Start-Time`. Without: what
    /// the stream says of itself, else its arrival.
    start: Option<String>,
}

/// What of a stream is in the store.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Streamed {
    /// Clips that it was cut into.
    clips: u64,
    /// Fragments, all of them durable.
    fragments: u64,
    /// Their bytes.
    bytes: u64,
    /// Bytes at the end that were no whole fragment, and are not kept.
    dropped_bytes: u64,
}

/// Record a live stream
///
/// The body is fragmented MP4 of any length, in any chunks. Each fragment is durable before more
/// than a few of the next are read; the answer comes when the body ends, and few senders wait for
/// it: nothing depends on it. Whatever goes wrong later, what was taken before stays.
#[utoipa::path(post, path = "/v1/cameras/{camera}/stream", tag = "ingest",
    params(("camera" = String, Path, description = "The camera"), Query),
    request_body(content = Vec<u8>, content_type = "video/mp4"),
    responses((status = 200, body = Streamed), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn push(
    State(app): State<App>,
    Named(camera): Named<CameraId>,
    Params(query): Params<Query>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Streamed>, Problem> {
    let start = stated_start(query.start.as_deref(), &headers)?;
    let place = admit(&app, &camera).await?;
    let lane = app.intake().lanes.take(&camera)?;
    let stream = Stream::new(&app, &camera, start, lane, place)?;
    let task = tokio::spawn(stream.run(Incoming::stream(&app, &camera, body)));
    task.await.map_err(|failed| {
        tracing::error!(%failed, "a stream's task panicked");
        Problem::new("internal", "the stream failed")
    })?
}

/// Record a live stream
///
/// The same as with POST.
#[utoipa::path(put, path = "/v1/cameras/{camera}/stream", tag = "ingest",
    params(("camera" = String, Path, description = "The camera"), Query),
    request_body(content = Vec<u8>, content_type = "video/mp4"),
    responses((status = 200, body = Streamed), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn put(
    state: State<App>,
    camera: Named<CameraId>,
    query: Params<Query>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Streamed>, Problem> {
    push(state, camera, query, headers, body).await
}

/// A stream on its way into the store.
pub(super) struct Stream {
    app: App,
    camera: CameraId,
    parser: FragmentParser,
    /// On the pool while it writes; lost when a call of the store panicked.
    recorder: Option<StreamRecorder>,
    /// Bytes that the parser has and that are no whole piece yet.
    pending: u64,
    memory: Share,
    /// Whether it comes in whole files, for the memory of which somebody has waited already.
    is_of_files: bool,
    /// When the file that is taken began, and the media time of its first fragment.
    announced: Option<(Timestamp, Option<Duration>)>,
    lane: Lane,
    _place: Place,
}

impl Stream {
    pub(super) fn new(
        app: &App,
        camera: &CameraId,
        start: Option<Timestamp>,
        lane: Lane,
        place: Place,
    ) -> Result<Self, Problem> {
        let split = Duration::from_secs(app.config().ingest.clip_seconds);
        Ok(Self {
            camera: camera.clone(),
            parser: FragmentParser::new(),
            recorder: Some(StreamRecorder::new(&app.store()?, camera, start, split)),
            pending: 0,
            memory: app.intake().memory.share(camera),
            is_of_files: false,
            announced: None,
            lane,
            app: app.clone(),
            _place: place,
        })
    }

    /// The same, of files that were read as a whole before.
    pub(super) fn of_files(self) -> Self {
        Self { is_of_files: true, ..self }
    }

    /// The next file began at `start`, if somebody says so.
    pub(super) fn announce(&mut self, start: Option<Timestamp>) {
        self.announced = start.map(|start| (start, None));
    }

    async fn run(mut self, mut incoming: Incoming) -> Result<Json<Streamed>, Problem> {
        let taken = self.take_all(&mut incoming).await;
        self.ended(taken).await.map(Json)
    }

    /// Whether the stream said how it is to be decoded.
    pub(super) fn has_init(&self) -> bool {
        self.parser.init().is_some()
    }

    /// Returns when another sender has taken over.
    pub(super) async fn replaced(&mut self) {
        self.lane.replaced().await;
    }

    /// Ends the recording: `taken` says how the stream ended.
    ///
    /// # Errors
    ///
    /// That, or why the end could not be written.
    pub(super) async fn ended(mut self, taken: Result<(), Problem>) -> Result<Streamed, Problem> {
        // A sender that vanished leaves a clip that says so; any other end is an end.
        let vanished = taken.as_ref().is_err_and(|problem| problem.code() == "body-cut-off");
        let ended = self.end(!vanished).await;
        let parser = std::mem::take(&mut self.parser);
        let dropped_bytes = parser.finish();
        self.app.metrics().stream_ended(&self.camera, dropped_bytes, taken.as_ref().err());
        let recorded = self.recorded();
        let (clips, fragments, bytes) = (recorded.clips, recorded.fragments, recorded.bytes);
        let outcome = taken.and(ended);
        let code = outcome.as_ref().err().map_or("done", Problem::code);
        let why = outcome.as_ref().err().map_or("", Problem::detail);
        let camera = self.camera.as_str();
        tracing::info!(camera, code, why, clips, fragments, bytes, dropped_bytes, "stream ended");
        outcome?;
        Ok(Streamed { clips, fragments, bytes, dropped_bytes })
    }

    fn recorded(&self) -> Recorded {
        self.recorder.as_ref().map(StreamRecorder::recorded).unwrap_or_default()
    }

    /// Takes the body to its end. What came before an error is in the store.
    async fn take_all(&mut self, incoming: &mut Incoming) -> Result<(), Problem> {
        loop {
            let received = tokio::select! {
                received = incoming.next() => received,
                () = self.lane.replaced() => {
                    let detail = "another sender took over after a silence";
                    return Err(Problem::new("stream-busy", detail).closing());
                }
            };
            match received {
                Received::Bytes(bytes) => self.take(&bytes, SystemClock.wall()).await?,
                Received::End => return Ok(()),
                Received::CutOff(why) => {
                    return Err(Problem::new("body-cut-off", why).closing());
                }
                Received::TooSlow => {
                    return Err(Problem::new("body-timeout", "nothing came for long").closing());
                }
                Received::Stopping => {
                    return Err(Problem::unavailable("the daemon stops", 5).closing());
                }
            }
        }
    }

    /// Takes the next bytes of the stream, which came at `arrival`. Its whole fragments are durable
    /// on return.
    ///
    /// # Errors
    ///
    /// Why the stream cannot go on; what was taken before stays.
    pub(super) async fn take(&mut self, bytes: &[u8], arrival: Timestamp) -> Result<(), Problem> {
        self.lane.heard();
        self.parser.push(bytes);
        self.pending += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let limit = self.app.config().ingest.fragment_bytes_max;
        if self.pending > limit {
            let detail = format!("a fragment above {limit} bytes");
            return Err(Problem::new("too-large", detail).closing());
        }
        if self.is_of_files {
            self.memory.state(self.pending);
        } else {
            self.memory.set(self.pending).await?;
        }
        loop {
            let (pieces, whole) = self.pieces();
            if pieces.is_empty() {
                self.memory.state(self.pending);
                return whole;
            }
            let last = pieces.iter().filter_map(end).max().unwrap_or_default();
            for piece in pieces {
                let waited = end(&piece).map_or(Duration::ZERO, |end| last.saturating_sub(end));
                self.store(piece, arrival, waited).await?;
            }
            whole?;
        }
    }

    /// The next piece, of a file all that are in it; and why there can be no more.
    fn pieces(&mut self) -> (Vec<Piece>, Result<(), Problem>) {
        let mut pieces = Vec::new();
        while pieces.is_empty() || self.is_of_files {
            match self.parser.next() {
                Ok(Some(piece)) => {
                    self.pending = self.pending.saturating_sub(length(&piece));
                    pieces.push(self.placed(piece));
                }
                Ok(None) => break,
                Err(error) => return (pieces, Err(Problem::from(error).closing())),
            }
        }
        (pieces, Ok(()))
    }

    /// `piece` with the time that was announced, where its own media time says none.
    fn placed(&mut self, piece: Piece) -> Piece {
        let Some((start, first)) = &mut self.announced else { return piece };
        let Piece::Fragment(mut fragment) = piece else { return piece };
        let first = *first.get_or_insert(fragment.start);
        let after = fragment.start.saturating_sub(first);
        fragment.epoch = fragment.epoch.or(Some(start.saturating_add(after)));
        Piece::Fragment(fragment)
    }

    async fn store(
        &mut self,
        piece: Piece,
        arrival: Timestamp,
        waited: Duration,
    ) -> Result<(), Problem> {
        let Some(mut recorder) = self.recorder.take() else {
            return Err(Problem::new("internal", "the stream failed").closing());
        };
        let bytes = match &piece {
            Piece::Fragment(fragment) => Some(fragment.bytes.len()),
            Piece::Init(_) => None,
        };
        let timer = Timer::start();
        let (recorder, taken) = self
            .app
            .pool()
            .write(move || {
                let taken = recorder.take(piece, arrival, waited);
                (recorder, taken)
            })
            .await?;
        self.recorder = Some(recorder);
        let taken = taken.map_err(|error| Problem::from(error).closing());
        self.app.metrics().written(taken.as_ref().err());
        taken?;
        if let Some(bytes) = bytes {
            let end = self.recorded().newest_end;
            self.app.metrics().fragment_stored(&self.camera, bytes, timer, end);
        }
        Ok(())
    }

    /// Ends the clip that is being recorded: complete, or cut off.
    async fn end(&mut self, complete: bool) -> Result<(), Problem> {
        let Some(mut recorder) = self.recorder.take() else { return Ok(()) };
        let ended = self.app.pool().write(move || {
            // Abandoning commits what waits, so it belongs on the pool as well.
            if complete {
                let finished = recorder.finish();
                return (recorder, finished);
            }
            recorder.abandon();
            (recorder, Ok(()))
        });
        let (recorder, ended) = ended.await?;
        self.recorder = Some(recorder);
        ended.map_err(Problem::from)
    }
}

/// Where the footage of `piece` ends, by the stream's own clock.
fn end(piece: &Piece) -> Option<Duration> {
    match piece {
        Piece::Init(_) => None,
        Piece::Fragment(fragment) => Some(fragment.start.saturating_add(fragment.duration)),
    }
}

/// The bytes of the stream that `piece` took.
fn length(piece: &Piece) -> u64 {
    let bytes = match piece {
        Piece::Init(init) => init.bytes().len(),
        Piece::Fragment(fragment) => fragment.bytes.len(),
    };
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
