//! HLS over the stored bytes: a playlist whose segments are ranges of clips, for players.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, Method};
use axum::response::Response;
use bytes::Bytes;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::media::{ClipIndex, Playlist, PlaylistClip};
use crate::{CameraId, Clip, ClipState, Error, ErrorKind, Result as StoreResult, Store, Window};

use super::super::access::Caller;
use super::super::app::App;
use super::super::extract::{Named, Params};
use super::super::problem::Problem;
use super::Watch;
use super::answer::{Content, answer};
use super::source::Source;
use super::span::Span;
use super::window::{Stored, clips};

/// Names the clips that are in the window and not in the playlist: damaged, or of another kind.
const LEFT_OUT: HeaderName = HeaderName::from_static("clipkeep-left-out");
/// The codecs of the first clip, so that a page can tell whether its browser plays them.
const CODECS: HeaderName = HeaderName::from_static("clipkeep-codecs");
/// Bytes of an index for each fragment, and besides.
const INDEX_BYTES: (usize, usize) = (96, 512);

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(playlist))
}

/// An HLS playlist of a window: what was recorded, in the ranges in which it is stored.
///
/// It begins at the key frame before the window. While the newest clip is being recorded, and the
/// window goes beyond it, the playlist has no end and players ask again.
#[utoipa::path(get, path = "/v1/cameras/{camera}/playlist.m3u8", tag = "watch",
    params(("camera" = String, Path, description = "The camera's id"), Span),
    responses((status = 200, description = "The playlist"),
        (status = 206, description = "The range"),
        (status = 304, description = "The client has it"), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn playlist(
    State(app): State<App>,
    Extension(watch): Extension<Watch>,
    Extension(caller): Extension<Caller>,
    Named(camera): Named<CameraId>,
    Params(span): Params<Span>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.must_see(&camera)?;
    let window = span.shown()?;
    let shown = app.read(move |store| shown(store, &watch, &camera, window)).await?;
    let text = Bytes::from(shown.text);
    let mut more = vec![(CODECS, shown.codecs)];
    if !shown.left_out.is_empty() {
        more.push((LEFT_OUT, shown.left_out));
    }
    let content = Content {
        len: u64::try_from(text.len()).unwrap_or(u64::MAX),
        digest: *blake3::hash(&text).as_bytes(),
        media_type: "application/vnd.apple.mpegurl",
        file_name: None,
        more,
        source: Source::Memory(text),
    };
    answer(&app, &method, &headers, content).await
}

struct Shown {
    text: String,
    codecs: String,
    left_out: String,
}

fn shown(store: &Store, watch: &Watch, camera: &CameraId, window: Window) -> StoreResult<Shown> {
    let clips = clips(store, camera, window)?;
    let mut listed = Vec::with_capacity(clips.len());
    let mut codecs = None;
    let mut left_out = String::new();
    let mut first_error = None;
    for clip in &clips {
        match index(store, watch, clip) {
            Ok(index) => {
                codecs.get_or_insert_with(|| index.codecs().to_owned());
                // Relative, so that it is right behind a proxy with a path of its own.
                let uri = format!("../../clips/{}/media.mp4", clip.id());
                listed.push(PlaylistClip::new(clip.window().start(), uri, index));
            }
            // One clip that is damaged, or just expired, costs the others nothing.
            Err(error) if is_of_the_clip(&error) => {
                let comma = if left_out.is_empty() { "" } else { ", " };
                write!(left_out, "{comma}{}", clip.id()).ok();
                first_error.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    if let (true, Some(error)) = (listed.is_empty(), first_error) {
        return Err(error);
    }
    let mut playlist = Playlist::plan(&listed, Some(window))?;
    let newest = clips.last().filter(|clip| clip.state() == ClipState::Recording);
    if newest.is_some_and(|newest| newest.window().end() < window.end()) {
        playlist = playlist.still_growing()?;
    }
    Ok(Shown { text: playlist.to_string(), codecs: codecs.unwrap_or_default(), left_out })
}

fn is_of_the_clip(error: &Error) -> bool {
    let kind = error.kind();
    matches!(kind, ErrorKind::Media | ErrorKind::Corrupt | ErrorKind::Expired | ErrorKind::NotFound)
}

/// Where the fragments of `clip` lie: from those that are kept, or read.
fn index(store: &Store, watch: &Watch, clip: &Clip) -> StoreResult<Arc<ClipIndex>> {
    let key = (clip.id(), clip.len());
    if let Some(index) = watch.0.indexes.find(key) {
        return Ok(index);
    }
    let index = ClipIndex::read(&Stored::open(store, clip)?)?;
    let bytes = index.fragments() * INDEX_BYTES.0 + INDEX_BYTES.1;
    Ok(watch.0.indexes.keep(key, index, bytes))
}
