//! All routes in one place, and what stands before them.

use axum::Router;
use axum::http::header;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Info, License, OpenApi};
use utoipa_axum::router::OpenApiRouter;

use super::app::App;
use super::problem::Problem;
use super::{
    access, cameras, desk, document, health, holds, ingest, inspect, keeping, observe, watch,
};

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
        .merge(desk::routes())
}

/// The service.
pub(super) fn build(app: App) -> Router {
    let (router, document) = parts();
    // A document of ours always has a form; an empty one would be seen by its test.
    let document = Bytes::from(document.to_json().unwrap_or_default());
    router
        .route("/openapi.json", get(async move || described(document.clone())))
        .method_not_allowed_fallback(async || {
            Problem::new("method-not-allowed", "the route has no such method")
        })
        .route_layer(middleware::from_fn_with_state(app.clone(), access::guard))
        .fallback(async || Problem::new("no-such-route", "there is no such route"))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(app.clone(), observe::count))
        .with_state(app)
}

fn described(document: Bytes) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], document)
}

/// The routes, and the document that is made from them and their rules.
fn parts() -> (Router<App>, OpenApi) {
    let (router, mut document) = documented().split_for_parts();
    // In full: what the router puts in by itself is of the crate that it comes from.
    document.info = Info::new("Clipkeep", env!("CARGO_PKG_VERSION"));
    document.info.description = Some(DESCRIPTION.to_owned());
    document.info.license = Some(License::new(env!("CARGO_PKG_LICENSE")));
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("token", bearer);
    for (path, item) in &mut document.paths.paths {
        let methods = [
            ("GET", &mut item.get),
            ("PUT", &mut item.put),
            ("POST", &mut item.post),
            ("DELETE", &mut item.delete),
        ];
        for (method, operation) in methods {
            let rule = access::RULES.iter().find(|rule| rule.method == method && rule.path == path);
            if let (Some(operation), Some(rule)) = (operation, rule)
                && rule.roles.is_some()
            {
                let needs = SecurityRequirement::new::<_, [&str; 0], &str>("token", []);
                operation.security = Some(vec![needs]);
            }
        }
    }
    document::correct(&mut document);
    (router, document)
}

const DESCRIPTION: &str = "Clip storage for cameras: push, find, play, hold. Times are RFC 3339, \
                           windows do not include their end. Errors are problem documents \
                           (RFC 9457) with a stable `code`.";

/// A handler that panics costs its request, and says so in the log.
#[expect(clippy::needless_pass_by_value, reason = "the layer that calls it gives the box away")]
fn panicked(cause: Box<dyn std::any::Any + Send>) -> Response {
    let said = cause.downcast_ref::<&str>().copied();
    let said = said.or_else(|| cause.downcast_ref::<String>().map(String::as_str));
    tracing::error!(cause = said.unwrap_or("unknown"), "a handler panicked");
    Problem::new("internal", "the request failed").into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the document has, and the one route that serves it.
    fn documented_routes() -> Vec<(String, String)> {
        let document = serde_json::to_value(parts().1).unwrap();
        let mut found = vec![("GET".to_owned(), "/openapi.json".to_owned())];
        for (path, item) in document["paths"].as_object().unwrap() {
            let methods = item.as_object().unwrap().keys();
            found.extend(methods.map(|method| (method.to_uppercase(), path.clone())));
        }
        found
    }

    #[test]
    fn every_route_has_a_rule_and_every_rule_a_route() {
        let routes = documented_routes();
        let rules = access::RULES.iter();
        let mut rules: Vec<_> =
            rules.map(|rule| (rule.method.to_owned(), rule.path.to_owned())).collect();
        for route in &routes {
            assert!(rules.contains(route), "{route:?} has no rule: nobody may use it");
        }
        rules.retain(|rule| !routes.contains(rule));
        assert!(rules.is_empty(), "rules for nothing: {rules:?}");
    }

    #[test]
    fn problems_and_footage_have_their_own_media_types() {
        let document = serde_json::to_value(parts().1).unwrap();
        let put = &document["paths"]["/v1/cameras/{camera}/clips"]["put"];
        assert!(put["responses"]["201"]["content"]["application/json"].is_object());
        assert!(put["responses"]["4XX"]["content"]["application/problem+json"].is_object());
        assert!(put["responses"]["4XX"]["content"]["application/json"].is_null());
        let body = &put["requestBody"]["content"]["video/mp4"]["schema"];
        assert_eq!((&body["type"], &body["format"]), (&"string".into(), &"binary".into()));
    }

    #[test]
    fn every_reference_of_the_document_leads_somewhere() {
        let document = serde_json::to_value(parts().1).unwrap();
        let text = document.to_string();
        let found = text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next());
        for reference in found {
            assert!(document.pointer(reference).is_some(), "{reference} leads nowhere");
        }
    }

    #[test]
    fn routes_that_need_a_token_say_so() {
        let document = serde_json::to_value(parts().1).unwrap();
        assert!(document["paths"]["/v1/cameras"]["get"]["security"][0]["token"].is_array());
        assert!(document["paths"]["/healthz"]["get"]["security"].is_null());
    }
}
