//! What a resident does: sees who asks, shares, says no, takes it back, erases.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::ClipId;
use crate::requests::{AskedView, Chosen, Desk, HouseholdId, Refusal, RequestId};

use super::super::access::Caller;
use super::super::app::App;
use super::super::extract::{JsonBody, Named};
use super::super::problem::Problem;
use super::shape::{Asking, Choice, Stretch};
use super::{decide, look, own};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(asked))
        .routes(routes!(accept))
        .routes(routes!(deny))
        .routes(routes!(undo))
        .routes(routes!(revoke))
        .routes(routes!(erase))
}

/// A request as a resident sees it who is asked, or was.
#[derive(Debug, Serialize, ToSchema)]
struct AskedShape {
    request: String,
    /// Who asks.
    agency: String,
    /// What the agency says; none while it is screened, and once its words are destroyed.
    submission: Option<Asking>,
    /// When its words were destroyed (RFC 3339), if they were.
    words_gone: Option<String>,
    /// The time that it is about.
    window: Stretch,
    /// The cameras that it is about.
    cameras: Vec<String>,
    /// `screening`, `pending`, `accepted`, `denied`, `opted-out`, `lapsed`, `withdrawn`,
    /// `rejected`, `not-asked`, `disclosed` or `unfetched`.
    answer: &'static str,
    /// Until when it can be answered, or taken back, or what was shared can be fetched.
    until: Option<String>,
    /// What was shared.
    chosen: Vec<Choice>,
    /// Every hold of it on these cameras.
    holds: Vec<String>,
}

impl From<AskedView> for AskedShape {
    fn from(view: AskedView) -> Self {
        Self {
            request: view.request.0.to_string(),
            agency: view.agency.0.to_string(),
            submission: view.submission.map(Asking::from),
            words_gone: view.words_gone.map(|at| at.0.to_string()),
            window: view.window.into(),
            cameras: view.cameras.iter().map(|camera| camera.0.to_string()).collect(),
            answer: view.answer,
            until: view.until.map(|until| until.0.to_string()),
            chosen: view.chosen.into_iter().map(Choice::from).collect(),
            holds: view.holds.iter().map(|hold| hold.0.to_string()).collect(),
        }
    }
}

/// What a home is or was asked, oldest first.
#[derive(Debug, Serialize, ToSchema)]
struct AskedList {
    requests: Vec<AskedShape>,
}

/// Everything that a home is or was asked, and what is held of it
#[utoipa::path(get, path = "/v1/households/{household}/requests", tag = "requests",
    params(("household" = String, Path, description = "The home, like h3")),
    responses((status = 200, body = AskedList), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn asked(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(home): Named<HouseholdId>,
) -> Result<Json<AskedList>, Problem> {
    let asked = look(&app, move |desk| {
        own(desk, &caller, home)?;
        Ok(desk.asked(home)?)
    });
    let requests = asked.await?.into_iter().map(AskedShape::from);
    Ok(Json(AskedList { requests: requests.collect() }))
}

/// Has the desk decide for a home of the caller's.
async fn say(
    app: &App,
    caller: Caller,
    home: HouseholdId,
    work: impl FnOnce(&Desk) -> Result<(), Refusal> + Send + 'static,
) -> Result<StatusCode, Problem> {
    decide(app, move |desk| {
        own(desk, &caller, home)?;
        Ok(work(desk)?)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What is shared.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Sharing {
    /// At least one: to share none, deny.
    clips: Vec<Choice>,
}

/// Share clips, or parts of them, with the agency that asked
///
/// What is not shared is free again at once.
#[utoipa::path(post, path = "/v1/households/{household}/requests/{request}/accept",
    tag = "requests", request_body = Sharing,
    params(("household" = String, Path, description = "The home, like h3"),
        ("request" = String, Path, description = "The request, like r7")),
    responses((status = 204), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
async fn accept(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(home): Named<HouseholdId>,
    Named(id): Named<RequestId>,
    JsonBody(sharing): JsonBody<Sharing>,
) -> Result<StatusCode, Problem> {
    let chosen = sharing.clips.iter().map(Choice::parse);
    let chosen = chosen.collect::<Result<Vec<Chosen>, _>>()?;
    say(&app, caller, home, move |desk| desk.accept(home, id, &chosen)).await
}

/// Say no
///
/// No agency is told. It can be taken back for a day.
#[utoipa::path(post, path = "/v1/households/{household}/requests/{request}/deny",
    tag = "requests",
    params(("household" = String, Path, description = "The home, like h3"),
        ("request" = String, Path, description = "The request, like r7")),
    responses((status = 204), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
async fn deny(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(home): Named<HouseholdId>,
    Named(id): Named<RequestId>,
) -> Result<StatusCode, Problem> {
    say(&app, caller, home, move |desk| desk.deny(home, id)).await
}

/// Take a no back, within a day
#[utoipa::path(post, path = "/v1/households/{household}/requests/{request}/undo",
    tag = "requests",
    params(("household" = String, Path, description = "The home, like h3"),
        ("request" = String, Path, description = "The request, like r7")),
    responses((status = 204), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
async fn undo(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(home): Named<HouseholdId>,
    Named(id): Named<RequestId>,
) -> Result<StatusCode, Problem> {
    say(&app, caller, home, move |desk| desk.undo_denial(home, id)).await
}

/// Take back what was shared, before the agency has it
#[utoipa::path(post, path = "/v1/households/{household}/requests/{request}/revoke",
    tag = "requests",
    params(("household" = String, Path, description = "The home, like h3"),
        ("request" = String, Path, description = "The request, like r7")),
    responses((status = 204), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
async fn revoke(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(home): Named<HouseholdId>,
    Named(id): Named<RequestId>,
) -> Result<StatusCode, Problem> {
    say(&app, caller, home, move |desk| desk.revoke(home, id)).await
}

/// Deny and erase a clip
///
/// Deletes it although requests hold it: for this clip they are answered. A court's order stands
/// above it: 409 `held`.
#[utoipa::path(delete, path = "/v1/households/{household}/clips/{clip}", tag = "requests",
    params(("household" = String, Path, description = "The home, like h3"),
        ("clip" = String, Path, description = "The clip, like 42-7")),
    responses((status = 204), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
async fn erase(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(home): Named<HouseholdId>,
    Named(clip): Named<ClipId>,
) -> Result<StatusCode, Problem> {
    say(&app, caller, home, move |desk| desk.erase(home, clip)).await
}
