//! The bytes of one clip, as they were received.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::header::CONTENT_DISPOSITION;
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::requests::evidence::{Bundle, Mp4};
use crate::{ClipId, ClipReader, Media};

use super::super::access::Caller;
use super::super::app::App;
use super::super::desk;
use super::super::extract::Named;
use super::super::problem::Problem;
use super::answer::{Content, answer};
use super::source::Source;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(media)).routes(routes!(media_mp4))
}

/// The bytes of a clip, or a range of them.
///
/// The `ETag` is the BLAKE3 digest that was taken as they arrived. While a clip is being recorded
/// it becomes longer, and its `ETag` another one.
#[utoipa::path(get, path = "/v1/clips/{clip}/media", tag = "watch",
    params(("clip" = String, Path, description = "The clip's id, such as 42-7")),
    responses((status = 200, description = "All bytes"), (status = 206, description = "The range"),
        (status = 304, description = "The client has them"), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn media(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(id): Named<ClipId>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let reader = app.read(move |store| store.read(id)).await?;
    let camera = reader.clip().camera().clone();
    caller.must_see(&camera)?;
    desk::looked(&app, &caller, &method, std::slice::from_ref(reader.clip()))?;
    send_clip(&app, &method, &headers, format!("{camera}_{id}"), reader).await
}

/// Answers with the bytes of a clip that may be shown, or a range of them, under the file's `name`.
pub(in crate::daemon) async fn send_clip(
    app: &App,
    method: &Method,
    headers: &HeaderMap,
    name: String,
    reader: ClipReader,
) -> Result<Response, Problem> {
    let clip = reader.clip().clone();
    let (media_type, extension) = media_type(clip.media());
    let content = Content {
        len: clip.len(),
        digest: *clip.digest(),
        media_type,
        file_name: Some(format!("{name}.{extension}")),
        more: Vec::new(),
        source: Source::Clip(Box::new(reader)),
    };
    answer(app, method, headers, content).await
}

/// Answers with a bundle of evidence, or a range of it, under the file's `name`.
pub(in crate::daemon) async fn send_bundle(
    app: &App,
    method: &Method,
    headers: &HeaderMap,
    name: &str,
    bundle: &Bundle,
) -> Result<Response, Problem> {
    let content = Content {
        len: bundle.len(),
        digest: *bundle.digest(),
        media_type: "application/zip",
        file_name: None,
        more: vec![(CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\""))],
        source: Source::Bundle(bundle.reader(Arc::new(Mp4))),
    };
    answer(app, method, headers, content).await
}

/// The same under a name that players accept: some go by what a URL ends in.
#[utoipa::path(get, path = "/v1/clips/{clip}/media.mp4", tag = "watch",
    params(("clip" = String, Path, description = "The clip's id, such as 42-7")),
    responses((status = 200, description = "All bytes"), (status = 206, description = "The range"),
        (status = 304, description = "The client has them"), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn media_mp4(
    state: State<App>,
    caller: Extension<Caller>,
    id: Named<ClipId>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    media(state, caller, id, method, headers).await
}

/// The media type of bytes, and what names of files with them end in.
fn media_type(media: Media) -> (&'static str, &'static str) {
    match media {
        Media::Mp4 | Media::FragmentedMp4 => ("video/mp4", "mp4"),
        Media::MpegTs => ("video/mp2t", "ts"),
        Media::Jpeg => ("image/jpeg", "jpg"),
        Media::Unknown => ("application/octet-stream", "bin"),
    }
}
