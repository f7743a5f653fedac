//! All routes in one place, and what stands before them.

use axum::Router;
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use super::app::App;
use super::problem::Problem;
use super::{access, cameras, health, holds, ingest, inspect, keeping, observe, watch};

/// The routes and their documentation. Each file of handlers is merged here.
fn documented() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(health::routes())
        .merge(observe::routes())
        .merge(access::routes())
        .merge(cameras::routes())
        .merge(ingest::routes())
        .merge(holds::routes())
        .merge(keeping::routes())
        .merge(inspect::routes())
        .merge(watch::routes())
}

/// The service.
pub(super) fn build(app: App) -> Router {
    let (router, _document) = parts();
    router
        .method_not_allowed_fallback(async || {
            Problem::new("method-not-allowed", "the route has no such method")
        })
        .route_layer(middleware::from_fn_with_state(app.clone(), access::guard))
        .fallback(async || Problem::new("no-such-route", "there is no such route"))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(app.clone(), observe::count))
        .with_state(app)
}

fn parts() -> (Router<App>, OpenApi) {
    documented().split_for_parts()
}

/// A handler that panics costs its request, and says so in the log.
fn panicked(cause: Box<dyn std::any::Any + Send>) -> Response {
    let said = cause.downcast_ref::<&str>().copied();
    let said = said.or_else(|| cause.downcast_ref::<String>().map(String::as_str));
    tracing::error!(cause = said.unwrap_or("unknown"), "a handler panicked");
    Problem::new("internal", "the request failed").into_response()
}
