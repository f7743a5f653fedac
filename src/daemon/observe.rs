//! `GET /metrics`, and the counting of every answer.

use axum::extract::{MatchedPath, Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::{Rule, Touches};
use super::app::App;
use super::metrics::{Coming, Timer};
use super::problem::{Problem, ProblemCode};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(metrics))
}

/// The daemon's and the store's figures, for Prometheus (`OpenMetrics` text).
#[utoipa::path(get, path = "/metrics", tag = "operation",
    responses((status = 200, body = String, content_type = "application/openmetrics-text"),
        (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
async fn metrics(State(app): State<App>) -> Result<impl IntoResponse, Problem> {
    let stats = app.figures().await?;
    let count = |many: usize| u64::try_from(many).unwrap_or(u64::MAX);
    let coming = Coming {
        streams: count(app.intake().lanes.live()),
        memory_bytes: app.intake().memory.used(),
        connections: count(app.places().taken()),
        connections_max: count(app.places().max()),
    };
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let holds = app.read(|store| Ok(store.holds())).await?;
    Ok(([(header::CONTENT_TYPE, kind)], app.metrics().text(&stats, &holds, coming)))
}

/// Counts every answer, and tells of those that failed.
pub(super) async fn count(State(app): State<App>, request: Request, next: Next) -> Response {
    let timer = Timer::start();
    let method = request.method().clone();
    let path = request.extensions().get::<MatchedPath>().cloned();
    let route = path.as_ref().map_or("", MatchedPath::as_str).to_owned();
    let response = next.run(request).await;
    let rule = Rule::of(&method, &route);
    // What somebody makes up is no label.
    let (known, route) = if rule.is_some() { (method.as_str(), &*route) } else { ("", "") };
    let is_ingest = rule.is_some_and(|rule| rule.touches == Touches::Ingest);
    let status = response.status().as_u16();
    app.metrics().answered(known, route, status, (!is_ingest).then_some(timer));
    if let Some(ProblemCode(code)) = response.extensions().get() {
        app.metrics().problem(code);
        tracing::debug!(method = known, route, status, code, "refused");
    }
    response
}
