//! The cameras that a caller may know of.

use axum::extract::State;
use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::Caller;
use super::app::App;
use super::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list))
}

/// The cameras, in order of their ids.
#[derive(Debug, Serialize, ToSchema)]
struct Cameras {
    cameras: Vec<Camera>,
}

/// One camera, and what of it can be read.
#[derive(Debug, Serialize, ToSchema)]
struct Camera {
    /// Its immutable id.
    id: String,
    /// Its readable clips.
    clips: u64,
    /// Their bytes.
    bytes: u64,
    /// When its oldest readable clip starts (RFC 3339).
    oldest: Option<String>,
    /// When its newest readable clip ends (RFC 3339).
    newest: Option<String>,
    /// Seconds that its new clips are kept at least.
    at_least_seconds: u64,
    /// Seconds after which its new clips go, unless a hold covers them.
    at_most_seconds: u64,
}

/// The cameras that the token is for.
#[utoipa::path(get, path = "/v1/cameras", tag = "cameras",
    responses((status = 200, body = Cameras), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Cameras>, Problem> {
    let stats = app.read(crate::Store::stats).await?;
    let seen = stats.cameras.iter().filter(|of| !of.removed && caller.sees(&of.camera));
    let cameras = seen.map(|of| Camera {
        id: of.camera.to_string(),
        clips: of.clips,
        bytes: of.bytes,
        oldest: of.oldest.map(|at| at.to_string()),
        newest: of.newest.map(|at| at.to_string()),
        at_least_seconds: of.retention.at_least().as_secs(),
        at_most_seconds: of.retention.at_most().as_secs(),
    });
    Ok(Json(Cameras { cameras: cameras.collect() }))
}
