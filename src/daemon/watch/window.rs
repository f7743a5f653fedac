//! All that a camera recorded in a window, as one file that plays and seeks.
//!
//! Only indexes are read to plan the file; a range of it then costs what that range needs. Plans
//! are kept for the next range of the same player, and clips are not: see `source`.

use std::error::Error as _;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, Method};
use axum::response::Response;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::media::{ClipBytes, DecoderChange, Export, ExportClip, ExportPlan, Format};
use crate::{CameraId, Clip, ClipReader, Error, ErrorKind, Result as StoreResult, Store, Window};

use super::super::access::Caller;
use super::super::app::App;
use super::super::desk;
use super::super::extract::{Named, Params};
use super::super::problem::Problem;
use super::Watch;
use super::answer::{Content, answer};
use super::source::Source;
use super::span::Span;

/// The most pictures and packets of sound in one file: some four hours with sound, which take
/// 100 MB while the file is planned.
const SAMPLES_MAX: usize = 1 << 20;
/// Says in every answer which window the file really shows, from key frame to end.
const COVERED: HeaderName = HeaderName::from_static("clipkeep-covered");

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(window_mp4))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Layout {
    /// `mp4` (one index in front: for people) or `fmp4` (fragments: for pipes). Default: `mp4`.
    #[param(inline)]
    format: Option<LayoutName>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum LayoutName {
    #[default]
    Mp4,
    Fmp4,
}

/// One playable file of all that a camera recorded in a window.
///
/// It begins at the key frame before the window; gaps stay gaps; pictures and sounds are as they
/// were recorded. Length, `ETag` and any range are known before the first byte. Where the camera
/// changed its decoder set-up the answer is 409 and says which two windows to ask for instead.
#[utoipa::path(get, path = "/v1/cameras/{camera}/window.mp4", tag = "watch",
    params(("camera" = String, Path, description = "The camera's id"), Span, Layout),
    responses((status = 200, description = "The file"), (status = 206, description = "The range"),
        (status = 304, description = "The client has it"), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
#[expect(clippy::too_many_arguments, reason = "extractors, each a part of the request")]
async fn window_mp4(
    State(app): State<App>,
    Extension(watch): Extension<Watch>,
    Extension(caller): Extension<Caller>,
    Named(camera): Named<CameraId>,
    Params(span): Params<Span>,
    Params(layout): Params<Layout>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.must_see(&camera)?;
    let window = span.shown()?;
    let format = match layout.format.unwrap_or_default() {
        LayoutName::Mp4 => Format::Mp4,
        LayoutName::Fmp4 => Format::Fragmented,
    };
    let of = camera.clone();
    let clips = app.read(move |store| clips(store, &of, window)).await?;
    let plan = plan(&app, &watch, &clips, window, format).await?;
    desk::looked(&app, &caller, &method, &clips)?;
    let covered = plan.covered();
    let content = Content {
        len: plan.len(),
        digest: plan.digest().ok_or_else(|| Problem::new("internal", "a plan has no digest"))?,
        media_type: "video/mp4",
        file_name: Some(file_name(&camera, covered)),
        more: vec![(COVERED, covered.to_string())],
        source: Source::Window { plan, clips },
    };
    answer(&app, &method, &headers, content).await
}

/// The clips of the window; none is an error.
pub(super) fn clips(store: &Store, camera: &CameraId, window: Window) -> StoreResult<Vec<Clip>> {
    let clips: Vec<Clip> = store.clips(camera, window)?.collect();
    if clips.is_empty() {
        let message = format!("no clip of camera {camera} in {window}");
        return Err(Error::new(ErrorKind::NotFound, message));
    }
    Ok(clips)
}

/// The plan of the file: from those that are kept, or made.
async fn plan(
    app: &App,
    watch: &Watch,
    clips: &[Clip],
    window: Window,
    format: Format,
) -> Result<Arc<ExportPlan>, Problem> {
    let key = key(clips, window, format);
    if let Some(plan) = watch.0.plans.find(key) {
        return Ok(plan);
    }
    let turn = watch.0.planners.acquire().await;
    let _turn = turn.or(Err(Problem::unavailable("the daemon stops", 5)))?;
    // Whoever had the turn before may have asked for the same.
    if let Some(plan) = watch.0.plans.find(key) {
        return Ok(plan);
    }
    let parts = clips.to_vec();
    let store = app.store()?;
    let planned = app.pool().read(move || made(&store, &parts, window, format)).await?;
    let plan = planned.map_err(explained)?;
    let bytes = plan.memory_bytes();
    Ok(watch.0.plans.keep(key, plan, bytes))
}

/// What decides the bytes of the file: which clips, as long as they are now, which window of them,
/// and the layout.
fn key(clips: &[Clip], window: Window, format: Format) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    let layout: u8 = match format {
        Format::Mp4 => 0,
        Format::Fragmented => 1,
    };
    hasher.update(&[layout]);
    for at in [window.start(), window.end()] {
        hasher.update(&at.as_micros().to_le_bytes());
    }
    for clip in clips {
        // The digest alone would do for the samples; the start says where they go.
        hasher.update(&clip.window().start().as_micros().to_le_bytes());
        hasher.update(&clip.len().to_le_bytes());
        hasher.update(clip.digest());
        hasher.update(clip.id().to_string().as_bytes());
    }
    *hasher.finalize().as_bytes()
}

fn made(store: &Store, clips: &[Clip], window: Window, format: Format) -> StoreResult<ExportPlan> {
    let mut parts = Vec::with_capacity(clips.len());
    for clip in clips {
        let bytes = Arc::new(Stored::open(store, clip)?);
        let part = ExportClip::new(clip.window().start(), clip.id().to_string(), bytes);
        parts.push(part.digest(*clip.digest()));
    }
    Export::plan_at_most(SAMPLES_MAX, &parts, Some(window), format).map(Export::into_plan)
}

/// A change of the decoder set-up is a conflict, with the way out of it in the detail.
fn explained(error: Error) -> Problem {
    let change = error.source().and_then(|source| source.downcast_ref::<DecoderChange>());
    match change {
        Some(change) => Problem::new("decoder-change", change.to_string()),
        None if error.kind() == ErrorKind::Media => {
            // What is wrong with the bytes is in the source, and names no file of this machine.
            let why = error.source().map(|source| format!(": {source}")).unwrap_or_default();
            Problem::new("media", format!("{error}{why}"))
        }
        None => Problem::from(error),
    }
}

fn file_name(camera: &CameraId, covered: Window) -> String {
    let start = covered.start().to_string();
    let plain: String = start.chars().filter(char::is_ascii_alphanumeric).collect();
    format!("{camera}_{plain}.mp4")
}

/// A stored clip as it was when it was listed: one that is being recorded may be longer by now.
#[derive(Debug)]
pub(super) struct Stored {
    reader: ClipReader,
    len: u64,
}

impl Stored {
    pub(super) fn open(store: &Store, clip: &Clip) -> StoreResult<Self> {
        Ok(Self { reader: store.read(clip.id())?, len: clip.len() })
    }
}

impl ClipBytes for Stored {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> StoreResult<()> {
        self.reader.read_at(offset, buf)
    }
}
