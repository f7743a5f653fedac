//! What an operator does with requests: screens them, serves orders, sees who is to be told.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::requests::{HouseholdId, Notice, RequestId};

use super::super::app::App;
use super::super::extract::{JsonBody, Named};
use super::super::problem::Problem;
use super::outbox::Way;
use super::shape::Asking;
use super::{decide, look};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(screening))
        .routes(routes!(approve))
        .routes(routes!(reject))
        .routes(routes!(order))
        .routes(routes!(noticed))
        .routes(routes!(notices))
}

/// A request that waits for screening.
#[derive(Debug, Serialize, ToSchema)]
struct ScreeningShape {
    request: String,
    agency: String,
    /// When it came (RFC 3339).
    submitted: String,
    /// What it says.
    submission: Asking,
    /// How many households it would ask.
    households: usize,
    /// Nothing is held for them: the hold budget does not suffice, or it would ask more than 1,024
    /// cameras (then it asks nobody).
    unheld: bool,
    /// It was approved, and its agency is told that it is open; nobody is asked for lack of room.
    /// Make room, and approve it again.
    open: bool,
}

/// What waits for screening, oldest first.
#[derive(Debug, Serialize, ToSchema)]
struct ScreeningList {
    screening: Vec<ScreeningShape>,
}

/// What waits for screening
#[utoipa::path(get, path = "/v1/screening", tag = "requests",
    responses((status = 200, body = ScreeningList), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn screening(State(app): State<App>) -> Result<Json<ScreeningList>, Problem> {
    let waiting = look(&app, |desk| Ok(desk.screening()?)).await?;
    let shape = |one: crate::requests::Screening| ScreeningShape {
        request: one.request.0.to_string(),
        agency: one.agency.0.to_string(),
        submitted: one.submitted.0.to_string(),
        submission: one.submission.into(),
        households: one.households,
        unheld: one.unheld,
        open: one.open,
    };
    Ok(Json(ScreeningList { screening: waiting.into_iter().map(shape).collect() }))
}

/// What approving came to.
#[derive(Debug, Serialize, ToSchema)]
struct Approved {
    /// How many households are asked now.
    asked: usize,
    /// How many are not, because there is no room for the holds: make room, and approve again.
    not_asked: usize,
}

/// Let a request through
///
/// Each household that it matches is asked, and what it has is held for it. Where there is no room
/// for the holds nobody is asked, and its agency is told that it is open like any other.
#[utoipa::path(post, path = "/v1/requests/{request}/approve", tag = "requests",
    params(("request" = String, Path, description = "Its id, like r7")),
    responses((status = 200, body = Approved), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn approve(
    State(app): State<App>,
    Named(id): Named<RequestId>,
) -> Result<Json<Approved>, Problem> {
    let done = decide(&app, move |desk| Ok(desk.approve(id)?)).await?;
    Ok(Json(Approved { asked: done.asked, not_asked: done.not_asked }))
}

/// Refuse a request
///
/// What it held is free at once.
#[utoipa::path(post, path = "/v1/requests/{request}/reject", tag = "requests",
    params(("request" = String, Path, description = "Its id, like r7")),
    responses((status = 204), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
async fn reject(
    State(app): State<App>,
    Named(id): Named<RequestId>,
) -> Result<StatusCode, Problem> {
    decide(&app, move |desk| Ok(desk.reject(id)?)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A court's order.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OrderShape {
    /// On whom it is served.
    household: String,
    /// How long it is to be kept.
    seconds: u64,
}

/// The hold of an order.
#[derive(Debug, Serialize, ToSchema)]
struct Ordered {
    hold: String,
}

/// Serve a court's order
///
/// What the household has of the request is kept, also against the resident. Nobody sees it.
#[utoipa::path(post, path = "/v1/requests/{request}/order", tag = "requests",
    request_body = OrderShape, params(("request" = String, Path, description = "Its id, like r7")),
    responses((status = 201, body = Ordered), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn order(
    State(app): State<App>,
    Named(id): Named<RequestId>,
    JsonBody(order): JsonBody<OrderShape>,
) -> Result<(StatusCode, Json<Ordered>), Problem> {
    let household: HouseholdId = order.household.parse()?;
    let lasts = Duration::from_secs(order.seconds);
    let hold = decide(&app, move |desk| Ok(desk.order(id, household, lasts)?)).await?;
    Ok((StatusCode::CREATED, Json(Ordered { hold: hold.to_string() })))
}

/// Whether a household was told.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Telling {
    household: String,
    /// False: it could not be reached, which is no answer.
    reached: bool,
}

/// Note that a household was told of a request, or could not be reached
#[utoipa::path(post, path = "/v1/requests/{request}/noticed", tag = "requests",
    request_body = Telling, params(("request" = String, Path, description = "Its id, like r7")),
    responses((status = 204), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
async fn noticed(
    State(app): State<App>,
    Named(id): Named<RequestId>,
    JsonBody(telling): JsonBody<Telling>,
) -> Result<StatusCode, Problem> {
    let household: HouseholdId = telling.household.parse()?;
    decide(&app, move |desk| Ok(desk.noticed(id, household, telling.reached)?)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A household that is to be told of a request.
#[derive(Debug, Serialize, ToSchema)]
struct NoticeShape {
    request: String,
    household: String,
    /// How to reach it.
    contact: String,
    /// `mail`, `webhook` or `mail and webhook`; `by hand` where the daemon has no way to it.
    way: &'static str,
    /// Until when it can answer (RFC 3339).
    deadline: String,
    /// How often it was tried in vain. That is no answer.
    unreached: u32,
    /// When the next try is; none: at once.
    next_try: Option<String>,
}

/// Who is to be told.
#[derive(Debug, Serialize, ToSchema)]
struct NoticeList {
    notices: Vec<NoticeShape>,
}

/// Who is to be told of what, and who was not reached
#[utoipa::path(get, path = "/v1/notices", tag = "requests",
    responses((status = 200, body = NoticeList), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn notices(State(app): State<App>) -> Result<Json<NoticeList>, Problem> {
    let notices = look(&app, |desk| Ok(desk.notices()?)).await?;
    let settings = &app.config().requests;
    let shape = |notice: Notice| NoticeShape {
        request: notice.request.0.to_string(),
        household: notice.household.0.to_string(),
        way: Way::to(settings, &notice.contact).name(),
        contact: notice.contact,
        deadline: notice.deadline.0.to_string(),
        unreached: notice.unreached,
        next_try: notice.next_try.map(|at| at.0.to_string()),
    };
    Ok(Json(NoticeList { notices: notices.into_iter().map(shape).collect() }))
}
