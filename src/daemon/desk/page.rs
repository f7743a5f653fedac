//! The pages of the desk: the resident's inbox, the agency's, and everybody's.
//!
//! Embedded, without anything from elsewhere, and without rights of their own: each shows what the
//! routes give to whoever signed in. The cookie of a session only reads; what changes something
//! goes with the token, which a page keeps until its tab is closed.

use axum::response::IntoResponse;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::app::App;
use super::super::watch::page;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(inbox))
        .routes(routes!(inbox_script))
        .routes(routes!(ask))
        .routes(routes!(ask_script))
        .routes(routes!(partners))
        .routes(routes!(partners_script))
        .routes(routes!(script))
        .routes(routes!(style))
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The resident's page: who asks for what, and the answer.
#[utoipa::path(get, path = "/inbox", tag = "page",
    responses((status = 200, description = "The page", content_type = "text/html")))]
async fn inbox() -> impl IntoResponse {
    page(HTML, include_str!("page/inbox.html"))
}

/// Its script.
#[utoipa::path(get, path = "/page/inbox.js", tag = "page",
    responses((status = 200, description = "A module", content_type = "text/javascript")))]
async fn inbox_script() -> impl IntoResponse {
    page(SCRIPT, include_str!("page/inbox.js"))
}

/// The agency's page: asks, and fetches what was shared.
#[utoipa::path(get, path = "/ask", tag = "page",
    responses((status = 200, description = "The page", content_type = "text/html")))]
async fn ask() -> impl IntoResponse {
    page(HTML, include_str!("page/ask.html"))
}

/// Its script.
#[utoipa::path(get, path = "/page/ask.js", tag = "page",
    responses((status = 200, description = "A module", content_type = "text/javascript")))]
async fn ask_script() -> impl IntoResponse {
    page(SCRIPT, include_str!("page/ask.js"))
}

/// Everybody's page: the departments that may ask.
#[utoipa::path(get, path = "/partners", tag = "page",
    responses((status = 200, description = "The page", content_type = "text/html")))]
async fn partners() -> impl IntoResponse {
    page(HTML, include_str!("page/partners.html"))
}

/// Its script.
#[utoipa::path(get, path = "/page/partners.js", tag = "page",
    responses((status = 200, description = "A module", content_type = "text/javascript")))]
async fn partners_script() -> impl IntoResponse {
    page(SCRIPT, include_str!("page/partners.js"))
}

/// What the scripts share.
#[utoipa::path(get, path = "/page/desk.js", tag = "page",
    responses((status = 200, description = "A module", content_type = "text/javascript")))]
async fn script() -> impl IntoResponse {
    page(SCRIPT, include_str!("page/desk.js"))
}

/// The style of these pages.
#[utoipa::path(get, path = "/page/desk.css", tag = "page",
    responses((status = 200, description = "A style", content_type = "text/css")))]
async fn style() -> impl IntoResponse {
    page("text/css; charset=utf-8", include_str!("page/desk.css"))
}
