//! What an agency does: asks, looks, takes back, renews, fetches what was shared.
//!
//! Every answer is paced, and a failure of the store is one answer whatever failed: neither says
//! what there is.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::ClipId;
use crate::requests::{AgencyId, AgencyView, Desk, Refusal, RequestId};

use super::super::app::App;
use super::super::extract::{self, JsonBody, Named};
use super::super::problem::Problem;
use super::super::watch;
use super::pace::paced;
use super::shape::{Asking, Stretch};
use super::{decide, look};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(submit, list))
        .routes(routes!(show))
        .routes(routes!(withdraw))
        .routes(routes!(renew))
        .routes(routes!(bundle))
        .routes(routes!(acknowledge))
}

/// A request as its agency sees it: the same bytes whatever there is.
#[derive(Debug, Serialize, ToSchema)]
struct RequestShape {
    request: String,
    /// When it was taken in (RFC 3339).
    submitted: String,
    window: Stretch,
    /// `received`, `rejected`, `open`, `closed` or `withdrawn`.
    status: &'static str,
    /// Until when residents may answer, once it is open.
    deadline: Option<String>,
    /// What residents shared and did not take back.
    shared: Vec<SharedShape>,
}

/// A clip that was shared.
#[derive(Debug, Serialize, ToSchema)]
struct SharedShape {
    clip: String,
    /// Only this part of it, if its resident chose so.
    part: Option<Stretch>,
    /// Until when it can be fetched; none once it was acknowledged.
    until: Option<String>,
}

impl From<AgencyView> for RequestShape {
    fn from(view: AgencyView) -> Self {
        let shared = view.shared.into_iter().map(|shared| SharedShape {
            clip: shared.clip.0.to_string(),
            part: shared.part.map(Stretch::from),
            until: shared.until.map(|until| until.0.to_string()),
        });
        Self {
            request: view.request.0.to_string(),
            submitted: view.submitted.0.to_string(),
            window: view.window.into(),
            status: view.status,
            deadline: view.deadline.map(|deadline| deadline.0.to_string()),
            shared: shared.collect(),
        }
    }
}

/// Requests, oldest first.
#[derive(Debug, Serialize, ToSchema)]
struct RequestList {
    requests: Vec<RequestShape>,
}

/// What an agency is told of a refusal: all of it follows from what the agency itself did, but for
/// what the store says, which is for the operator.
fn told(refusal: Refusal) -> Problem {
    let Refusal::Store(error) = refusal else { return refusal.into() };
    tracing::error!(error = ?error, "a request could not be dealt with");
    Problem::unavailable("not now: the operator is told", 60)
}

/// Has the desk decide for an agency, and answers what it then sees.
async fn told_view(
    app: &App,
    work: impl FnOnce(&Desk) -> Result<AgencyView, Refusal> + Send + 'static,
) -> Result<Json<RequestShape>, Problem> {
    let view = paced(app, decide(app, |desk| work(desk).map_err(told))).await?;
    Ok(Json(view.into()))
}

/// Ask
///
/// The request is screened first. The same submission with the same key again answers the same
/// request and changes nothing.
#[utoipa::path(post, path = "/v1/agencies/{agency}/requests", tag = "requests",
    request_body = Asking,
    params(("agency" = String, Path, description = "Who asks"),
        ("Idempotency-Key" = Option<String>, Header, description = "Asks once")),
    responses((status = 201, body = RequestShape), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn submit(
    State(app): State<App>,
    Named(agency): Named<AgencyId>,
    headers: HeaderMap,
    JsonBody(asking): JsonBody<Asking>,
) -> Result<(StatusCode, Json<RequestShape>), Problem> {
    let submission = asking.submission(extract::idempotency_key(&headers)?)?;
    let view = told_view(&app, move |desk| desk.submit(&agency, &submission)).await?;
    Ok((StatusCode::CREATED, view))
}

/// The agency's requests, oldest first
#[utoipa::path(get, path = "/v1/agencies/{agency}/requests", tag = "requests",
    params(("agency" = String, Path, description = "Who asked")),
    responses((status = 200, body = RequestList), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn list(
    State(app): State<App>,
    Named(agency): Named<AgencyId>,
) -> Result<Json<RequestList>, Problem> {
    let views = look(&app, move |desk| desk.agency_views(&agency).map_err(told));
    let requests = paced(&app, views).await?.into_iter().map(RequestShape::from);
    Ok(Json(RequestList { requests: requests.collect() }))
}

/// A request of the agency
#[utoipa::path(get, path = "/v1/agencies/{agency}/requests/{request}", tag = "requests",
    params(("agency" = String, Path, description = "Who asked"),
        ("request" = String, Path, description = "Its id, like r7")),
    responses((status = 200, body = RequestShape), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn show(
    State(app): State<App>,
    Named(agency): Named<AgencyId>,
    Named(id): Named<RequestId>,
) -> Result<Json<RequestShape>, Problem> {
    let view = look(&app, move |desk| desk.agency_view(&agency, id).map_err(told));
    Ok(Json(paced(&app, view).await?.into()))
}

/// Take a request back
///
/// What was shared and not fetched is not shared any more.
#[utoipa::path(post, path = "/v1/agencies/{agency}/requests/{request}/withdraw", tag = "requests",
    params(("agency" = String, Path, description = "Who asked"),
        ("request" = String, Path, description = "Its id, like r7")),
    responses((status = 200, body = RequestShape), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn withdraw(
    State(app): State<App>,
    Named(agency): Named<AgencyId>,
    Named(id): Named<RequestId>,
) -> Result<Json<RequestShape>, Problem> {
    told_view(&app, move |desk| desk.withdraw(&agency, id)).await
}

/// Give residents more time, once
#[utoipa::path(post, path = "/v1/agencies/{agency}/requests/{request}/renew", tag = "requests",
    params(("agency" = String, Path, description = "Who asked"),
        ("request" = String, Path, description = "Its id, like r7")),
    responses((status = 200, body = RequestShape), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn renew(
    State(app): State<App>,
    Named(agency): Named<AgencyId>,
    Named(id): Named<RequestId>,
) -> Result<Json<RequestShape>, Problem> {
    told_view(&app, move |desk| desk.renew(&agency, id)).await
}

/// Fetch what was shared
///
/// One zip file with the proofs of it: `clipkeep verify FILE` checks it without the store. 409
/// `over` when nothing is shared.
#[utoipa::path(get, path = "/v1/agencies/{agency}/requests/{request}/bundle", tag = "requests",
    params(("agency" = String, Path, description = "Who asked"),
        ("request" = String, Path, description = "Its id, like r7")),
    responses((status = 200, description = "The bundle", content_type = "application/zip"),
        (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
async fn bundle(
    State(app): State<App>,
    Named(agency): Named<AgencyId>,
    Named(id): Named<RequestId>,
) -> Result<Response, Problem> {
    let bytes = decide(&app, move |desk| {
        let mut bytes = Vec::new();
        desk.bundle(&agency, id, &watch::Mp4, &mut bytes).map_err(told)?;
        desk.hand_over(&agency, id).map_err(told)?;
        Ok(bytes)
    });
    let bytes = paced(&app, bytes).await?;
    let named = format!("attachment; filename=\"evidence-{id}.zip\"");
    let headers = [
        (CONTENT_TYPE, "application/zip"),
        (CONTENT_DISPOSITION, named.as_str()),
        (CACHE_CONTROL, "private, no-store"),
    ];
    Ok((headers, Body::from(bytes)).into_response())
}

/// The clips that an agency has.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Fetched {
    clips: Vec<String>,
}

/// Say that these clips were fetched
///
/// Their holds end. Doing it twice is as once.
#[utoipa::path(post, path = "/v1/agencies/{agency}/requests/{request}/acknowledge",
    tag = "requests", request_body = Fetched,
    params(("agency" = String, Path, description = "Who asked"),
        ("request" = String, Path, description = "Its id, like r7")),
    responses((status = 200, body = RequestShape), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn acknowledge(
    State(app): State<App>,
    Named(agency): Named<AgencyId>,
    Named(id): Named<RequestId>,
    JsonBody(fetched): JsonBody<Fetched>,
) -> Result<Json<RequestShape>, Problem> {
    let clips = fetched.clips.iter().map(|clip| clip.parse());
    let clips = clips.collect::<crate::Result<Vec<ClipId>>>()?;
    told_view(&app, move |desk| desk.acknowledge(&agency, id, &clips)).await
}
