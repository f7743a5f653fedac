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

/// Whether the store is open and takes footage: the newest write went well, and the disk has as
/// much free as is to be left to others. While the store is being opened, `opening` says how far
/// that has come. Figures are at most a second old.
#[utoipa::path(get, path = "/readyz", tag = "operation",
    responses((status = 200, body = Health), (status = 503, body = Problem)))]
async fn readyz(State(app): State<App>) -> Result<Json<Health>, Problem> {
    let figures = app.figures().await?;
    let floor = app.config().store.free_space_floor_bytes;
    let wrong = if figures.recording_stopped.is_some() {
        "the store takes no footage"
    } else if !app.metrics().last_write_is_good() {
        "the newest write failed"
    } else if figures.free_bytes.saturating_add(figures.reusable_bytes) < floor {
        "less is free on the disk than store.free_space_floor_bytes"
    } else {
        return Ok(Json(Health { status: "ok" }));
    };
    Err(Problem::unavailable(wrong, 5))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use axum::body::Body;
    use axum::http::{Request, header};
    use axum::response::Response;
    use http_body_util::BodyExt as _;
    use serde_json::Value;
    use tower::ServiceExt as _;

    use super::super::access::{Access, TokenFile};
    use super::super::config::Config;
    use super::super::disk::Progress;
    use super::super::metrics::Metrics;
    use super::super::router;
    use super::*;

    /// A daemon whose store is being opened: three of ten segments were looked at.
    fn opening() -> App {
        let flags = ["access.tokens=false".to_owned()];
        let config = Config::new("unused", "", |_| None, &flags).unwrap();
        let (access, _) = Access::open(false, 0, TokenFile::of(Path::new("nowhere"))).unwrap();
        let progress = Progress::default();
        progress.listed(10);
        (0..3).for_each(|_| progress.opened());
        App::new(config, access, Metrics::new(), progress)
    }

    fn ask(app: &App, method: &str, path: &str) -> (Response, Value) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
            let response = router::build(app.clone()).oneshot(request).await.unwrap();
            let (head, body) = response.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            (Response::from_parts(head, Body::empty()), serde_json::from_slice(&body).unwrap())
        })
    }

    #[test]
    fn while_the_store_is_opened_the_process_is_alive_and_says_how_far_it_is() {
        let app = opening();
        assert_eq!(ask(&app, "GET", "/healthz").0.status(), 200);
        let (response, problem) = ask(&app, "GET", "/readyz");
        assert_eq!(response.status(), 503);
        assert_eq!(problem["code"], "unavailable");
        assert_eq!(problem["opening"]["segments_opened"], 3);
        assert_eq!(problem["opening"]["segments"], 10);
    }

    #[test]
    fn while_the_store_is_opened_every_route_that_needs_it_says_when_to_try_again() {
        let app = opening();
        let routes = [
            ("GET", "/v1/cameras"),
            ("GET", "/v1/clips/1-1/media"),
            ("GET", "/metrics"),
            ("POST", "/v1/cameras/front/stream"),
            ("PUT", "/v1/cameras/front/clips"),
            ("PUT", "/v1/cameras/front/hls/init.mp4"),
            ("POST", "/v1/sweep"),
        ];
        for (method, path) in routes {
            let (response, problem) = ask(&app, method, path);
            assert_eq!(response.status(), 503, "{method} {path}: {problem}");
            assert!(response.headers().contains_key(header::RETRY_AFTER), "{method} {path}");
            assert_eq!(problem["opening"]["segments"], 10, "{method} {path}");
        }
    }
}
