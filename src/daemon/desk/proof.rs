//! What can be checked without the daemon: its key, its checkpoints, certificates of deletion.

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::ClipId;

use super::super::access::Caller;
use super::super::app::App;
use super::super::extract::Named;
use super::super::problem::Problem;
use super::{decide, look};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(key))
        .routes(routes!(checkpoint))
        .routes(routes!(certificate))
}

/// The key that bundles, checkpoints and certificates are checked with.
#[derive(Debug, Serialize, ToSchema)]
struct KeyShape {
    /// For `clipkeep verify --key`.
    key: String,
}

/// The key that bundles, checkpoints and certificates are checked with
#[utoipa::path(get, path = "/v1/key", tag = "requests",
    responses((status = 200, body = KeyShape), (status = "5XX", body = Problem)))]
async fn key(State(app): State<App>) -> Result<Json<KeyShape>, Problem> {
    let key = look(&app, |desk| Ok(desk.verifying_key()?)).await?;
    Ok(Json(KeyShape { key: key.to_string() }))
}

/// What the ledger is now, signed.
#[derive(Debug, Serialize, ToSchema)]
struct CheckpointShape {
    /// A signed note (C2SP tlog-checkpoint).
    checkpoint: String,
}

/// Sign what the ledger is now, for witnesses
#[utoipa::path(post, path = "/v1/checkpoint", tag = "requests",
    responses((status = 200, body = CheckpointShape), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn checkpoint(State(app): State<App>) -> Result<Json<CheckpointShape>, Problem> {
    let checkpoint = decide(&app, |desk| Ok(desk.checkpoint()?)).await?;
    Ok(Json(CheckpointShape { checkpoint }))
}

/// The certificate that a clip has ended and its bytes were removed
///
/// For tokens that are for all cameras: of a clip that is gone nobody knows any more whose it was.
#[utoipa::path(get, path = "/v1/clips/{clip}/certificate", tag = "requests",
    params(("clip" = String, Path, description = "The clip's id, such as 42-7")),
    responses((status = 200, description = "For `clipkeep verify`",
            content_type = "application/json"),
        (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
async fn certificate(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(clip): Named<ClipId>,
) -> Result<impl IntoResponse, Problem> {
    if !caller.sees_all() {
        let detail = "a certificate is for a token that is for all cameras";
        return Err(Problem::new("out-of-scope", detail));
    }
    let bytes = decide(&app, move |desk| Ok(desk.deletion_certificate(clip)?)).await?;
    Ok(([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")], bytes))
}
