//! `PUT /v1/cameras/{camera}/hls/..`: a recorder that can only push files, as `ffmpeg -f hls`.
//!
//! Fragmented MP4 is put together again into one stream, init segment first, and recorded like one
//! that came in one body. Segments of MPEG-TS are clips of their own. Playlists are not kept, for
//! the store makes its own; they say when segments began.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{Mutex as FairMutex, OwnedMutexGuard, mpsc, oneshot};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::{CameraId, Clock as _, SystemClock, Timestamp};

use super::super::app::App;
use super::super::extract::Named;
use super::super::problem::Problem;
use super::clip::{append_whole, read_all};
use super::stream::Stream;
use super::{Incoming, admit, resume};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(put))
}

/// The largest playlist.
const PLAYLIST_BYTES_MAX: u64 = 4 << 20;

/// A file for the task that records a camera.
#[derive(Debug)]
struct Delivery {
    bytes: Bytes,
    /// When it had come whole.
    arrival: Timestamp,
    /// When it began, if a playlist says so.
    announced: Option<Timestamp>,
    /// Where to say what became of it.
    tell: oneshot::Sender<Result<(), Problem>>,
}

/// The recordings that are put together from files, by camera.
#[derive(Clone, Debug, Default)]
pub(in crate::daemon) struct Recordings(Arc<Mutex<BTreeMap<CameraId, mpsc::Sender<Delivery>>>>);

/// Who may deliver next, by camera. Senders that open a connection for each file and do not wait
/// for answers have several under way: they count in the order in which they began.
#[derive(Clone, Debug, Default)]
pub(in crate::daemon) struct Turns(Arc<Mutex<BTreeMap<CameraId, Arc<FairMutex<()>>>>>);

impl Turns {
    async fn take(&self, camera: &CameraId) -> OwnedMutexGuard<()> {
        let line = Arc::clone(self.0.lock().entry(camera.clone()).or_default());
        line.lock_owned().await
    }

    /// Forgets lines in which nobody stands.
    fn tidy(&self) {
        self.0.lock().retain(|_, line| Arc::strong_count(line) > 1);
    }
}

/// Put a file of an HLS push
///
/// What `ffmpeg -f hls -method PUT` sends: an init segment (`.mp4`), segments (`.m4s` or `.ts`),
/// and playlists (`.m3u8`), which are not kept: their `EXT-X-PROGRAM-DATE-TIME` says when segments
/// began, those that are listed and the one that comes next. The footage is durable when the answer
/// comes.
/// A push that went on over a restart of the daemon needs no init segment again: segments that go
/// on where the newest clip of the camera ended are recorded with that clip's. Others without one
/// before them answer 412.
#[utoipa::path(put, path = "/v1/cameras/{camera}/hls/{file}", tag = "ingest",
    params(("camera" = String, Path, description = "The camera"),
        ("file" = String, Path, description = "The file")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 204), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
async fn put(
    State(app): State<App>,
    Named(camera): Named<CameraId>,
    Path(path): Path<Vec<(String, String)>>,
    body: Body,
) -> Result<StatusCode, Problem> {
    let name = path.last().map_or_else(String::new, |(_, file)| file.clone());
    let limit = match name.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "m3u8" => PLAYLIST_BYTES_MAX,
        "mp4" | "m4s" | "ts" => app.config().ingest.fragment_bytes_max,
        _ => {
            let detail = "want .mp4, .m4s, .ts or .m3u8";
            return Err(Problem::new("unsupported-media", detail).closing());
        }
    };
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    let (is_playlist, is_ts) = (extension == Some("m3u8"), extension == Some("ts"));
    // Before anything that waits for something else, or the order would be lost.
    let turns = app.intake().turns.clone();
    let turn = if is_playlist { None } else { Some(turns.take(&camera).await) };
    let place = admit(&app, &camera).await?;
    let mut incoming = Incoming::new(&app, &camera, body);
    let task = tokio::spawn(async move {
        let _turn = turn;
        let mut memory = app.intake().memory.share(&camera);
        let bytes = read_all(&mut incoming, limit, &mut memory).await?;
        drop(place);
        let announced = &app.intake().announced;
        if is_playlist {
            announced.playlist(&camera, &bytes);
        }
        // ffmpeg puts an empty file where it could not open its output.
        if is_playlist || bytes.is_empty() {
            return Ok(());
        }
        let arrival = SystemClock.wall();
        let start = announced.start_of(&camera, &name, arrival);
        if is_ts {
            return append_whole(&app, &camera, bytes, start).await.map(drop);
        }
        // From here on the recording counts it.
        drop(memory);
        let (tell, told) = oneshot::channel();
        let delivery = Delivery { bytes, arrival, announced: start, tell };
        deliver(&app, &camera, delivery).await?;
        // A recording that ends of itself leaves what came in its last moment unanswered.
        told.await.map_err(|_gone| Problem::unavailable("the recording has just ended", 1))?
    });
    let done = task.await;
    turns.tidy();
    done.map_err(|failed| {
        tracing::error!(%failed, "an upload's task panicked");
        Problem::new("internal", "the upload failed")
    })??;
    Ok(StatusCode::NO_CONTENT)
}

/// Hands the file to the task that records `camera`, beginning one when there is none.
async fn deliver(app: &App, camera: &CameraId, delivery: Delivery) -> Result<(), Problem> {
    let live = app.intake().recordings.0.lock().get(camera).cloned();
    let gone = match live {
        Some(live) => match live.send(delivery).await {
            Ok(()) => None,
            Err(unsent) => Some(unsent.0),
        },
        None => Some(delivery),
    };
    match gone {
        Some(first) => begin(app, camera, first).await,
        None => Ok(()),
    }
}

async fn begin(app: &App, camera: &CameraId, first: Delivery) -> Result<(), Problem> {
    let init = init_before(app, camera, &first.bytes).await?;
    let (place, lane) = (app.intake().lanes.enter(camera)?, app.intake().lanes.take(camera)?);
    let stream = Stream::new(app, camera, None, lane, place)?.of_files();
    let (send, receive) = mpsc::channel(1);
    app.intake().recordings.0.lock().insert(camera.clone(), send);
    tokio::spawn(record(app.clone(), camera.clone(), stream, init, first, receive));
    Ok(())
}

/// What must be recorded before `file`, the first of a recording: nothing, or the init segment of
/// the push that goes on with it.
async fn init_before(app: &App, camera: &CameraId, file: &Bytes) -> Result<Option<Bytes>, Problem> {
    if resume::is_init(file) {
        return Ok(None);
    }
    let (camera, file) = (camera.clone(), file.clone());
    app.read(move |store| resume::init_for(store, &camera, &file)).await
}

/// Records until no file has come for as long as a body may be silent.
async fn record(
    app: App,
    camera: CameraId,
    mut stream: Stream,
    mut init: Option<Bytes>,
    first: Delivery,
    mut deliveries: mpsc::Receiver<Delivery>,
) {
    let idle = std::time::Duration::from_secs(app.config().http.body_idle_seconds);
    let mut stopping = app.intake().stopping();
    let mut next = Some(first);
    let mut failed = None;
    while let Some(Delivery { bytes, arrival, announced, tell }) = next {
        let taken = match init.take() {
            Some(init) => stream.take(&init, arrival).await,
            None => Ok(()),
        };
        let taken = match taken {
            Ok(()) => {
                stream.announce(announced);
                stream.take(&bytes, arrival).await
            }
            failed => failed,
        };
        if let Err(problem) = taken {
            failed = Some((problem, tell));
            break;
        }
        // Whoever asked may be gone.
        tell.send(Ok(())).ok();
        next = tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => None,
            delivery = tokio::time::timeout(idle, deliveries.recv()) => delivery.ok().flatten(),
            () = stream.replaced() => None,
        };
    }
    app.intake().recordings.0.lock().remove(&camera);
    let has_init = stream.has_init();
    let why = failed.as_ref().map_or(Ok(()), |(problem, _)| Err(problem.clone()));
    if let Err(problem) = stream.ended(why).await {
        tracing::warn!(camera = camera.as_str(), code = problem.code(), "an HLS push ended badly");
    }
    // Told when the camera's lane is free again, so that the sender may begin anew at once.
    if let Some((problem, tell)) = failed {
        let told = match problem.code() {
            "media" if !has_init => {
                Problem::new("precondition-failed", "the init segment must come first")
            }
            _ => problem,
        };
        tell.send(Err(told)).ok();
    }
}
