//! What an agency does: asks, looks, takes back, renews, fetches what was shared.
//!
//! Every answer is paced, and a failure of the store is one answer whatever failed: neither says
//! what there is.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::RANGE;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::ClipId;
use crate::requests::evidence::{Bundle, Mp4};
use crate::requests::{AgencyId, AgencyView, Desk, Refusal, RequestId};

use super::super::app::App;
use super::super::extract::{self, JsonBody, Named};
use super::super::problem::Problem;
use super::super::watch::{self, Cache};
use super::pace::paced;
use super::shape::{Asking, Stretch};
use super::{decide, look};

/// The most memory of bundles that are kept: some 30 with a hundred clips each.
const BEGUN_BYTES_MAX: usize = 16 << 20;

/// Bundles that somebody began to fetch, without their footage: what broke off goes on in the same
/// one, although every decision on the hub would give the next one another checkpoint.
#[derive(Clone, Debug)]
struct Begun(Arc<Cache<[u8; 32], Bundle>>);

impl Begun {
    fn key(agency: &AgencyId, id: RequestId) -> [u8; 32] {
        *blake3::hash(format!("{agency} {id}").as_bytes()).as_bytes()
    }
}

pub(super) fn routes() -> OpenApiRouter<App> {
    let begun = Begun(Arc::new(Cache::new(BEGUN_BYTES_MAX)));
    OpenApiRouter::new()
        .routes(routes!(submit, list))
        .routes(routes!(show))
        .routes(routes!(withdraw))
        .routes(routes!(renew))
        .routes(routes!(bundle))
        .routes(routes!(acknowledge))
        .layer(Extension(begun))
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
    not_now()
}

fn not_now() -> Problem {
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
/// `over` when nothing is shared. What broke off goes on by `Range`, best with `If-Range`, as long
/// as the same is shared and the daemon was not restarted.
#[utoipa::path(get, path = "/v1/agencies/{agency}/requests/{request}/bundle", tag = "requests",
    params(("agency" = String, Path, description = "Who asked"),
        ("request" = String, Path, description = "Its id, like r7")),
    responses((status = 200, description = "The bundle", content_type = "application/zip"),
        (status = 206, description = "The range"),
        (status = 304, description = "The client has it"),
        (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
async fn bundle(
    State(app): State<App>,
    Extension(begun): Extension<Begun>,
    Named(agency): Named<AgencyId>,
    Named(id): Named<RequestId>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let key = Begun::key(&agency, id);
    let kept = begun.0.find(key).filter(|_| headers.contains_key(RANGE));
    let is_handed_over = method == Method::GET;
    let bundle = decide(&app, move |desk| {
        if let Some(kept) = kept
            && desk.may_go_on(&agency, id, &kept).map_err(told)?
        {
            return Ok(Bundle::clone(&kept));
        }
        let bundle = desk.open_bundle(&agency, id, &Mp4).map_err(told)?;
        if is_handed_over {
            desk.hand_over(&agency, id).map_err(told)?;
            begun.0.keep(key, bundle.clone(), bundle.memory_bytes());
        }
        Ok(bundle)
    });
    let bundle = paced(&app, bundle).await?;
    let name = format!("evidence-{id}.zip");
    watch::send_bundle(&app, &method, &headers, &name, &bundle).await.map_err(|problem| {
        if problem.code() == "precondition-failed" {
            return problem;
        }
        tracing::error!(code = problem.code(), "a bundle cannot be read");
        not_now()
    })
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
