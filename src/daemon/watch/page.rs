//! The page for looking at footage: embedded, without anything from elsewhere.
//!
//! It shows what the routes give to whoever looks, and has no rights of its own: where a token is
//! needed it changes one for a session, because media elements cannot send any.

use axum::http::HeaderName;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::IntoResponse;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::app::App;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(index)).routes(routes!(script)).routes(routes!(style))
}

/// Nothing from elsewhere, no scripts or styles but ours, and in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

pub(in crate::daemon) type Page = ([(HeaderName, &'static str); 4], &'static str);

/// A file of a page, with what keeps it from loading anything from elsewhere.
pub(in crate::daemon) const fn page(media_type: &'static str, text: &'static str) -> Page {
    let headers = [
        (CONTENT_TYPE, media_type),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Small, and a new version must not meet the script of an old one.
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, text)
}

/// The page for looking at footage.
#[utoipa::path(get, path = "/", tag = "page",
    responses((status = 200, description = "The page", content_type = "text/html")))]
async fn index() -> impl IntoResponse {
    page("text/html; charset=utf-8", include_str!("page/index.html"))
}

/// Its script.
#[utoipa::path(get, path = "/page/page.js", tag = "page",
    responses((status = 200, description = "A module", content_type = "text/javascript")))]
async fn script() -> impl IntoResponse {
    page("text/javascript; charset=utf-8", include_str!("page/page.js"))
}

/// Its style.
#[utoipa::path(get, path = "/page/page.css", tag = "page",
    responses((status = 200, description = "A style", content_type = "text/css")))]
async fn style() -> impl IntoResponse {
    page("text/css; charset=utf-8", include_str!("page/page.css"))
}
