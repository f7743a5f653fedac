//! Whether the process answers, and whether it can do its work. Neither tells anything else.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::app::App;
use super::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz))
}

/// All is well.
#[derive(Debug, Serialize, ToSchema)]
struct Health {
    /// Always `ok`.
    status: &'static str,
}

/// Whether the process answers. Does no I/O.
#[utoipa::path(get, path = "/healthz", tag = "operation",
    responses((status = 200, body = Health)))]
async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Whether the store is open and takes footage.
#[utoipa::path(get, path = "/readyz", tag = "operation",
    responses((status = 200, body = Health), (status = 503, body = Problem)))]
async fn readyz(State(app): State<App>) -> Result<Json<Health>, Problem> {
    let stopped = app.read(|store| Ok(store.stats()?.recording_stopped)).await?;
    match stopped {
        Some(_) => Err(Problem::unavailable("the store takes no footage", 5)),
        None => Ok(Json(Health { status: "ok" })),
    }
}
