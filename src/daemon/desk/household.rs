//! Homes over HTTP: registered by the operator, and out of it all in one step.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::requests::{Home, HouseholdId, NewHousehold, Place, Text};

use super::super::access::Caller;
use super::super::app::App;
use super::super::extract::{JsonBody, Named};
use super::super::problem::Problem;
use super::{decide, look, own};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, join))
        .routes(routes!(opt_out))
        .routes(routes!(opt_in))
        .routes(routes!(leave))
}

/// A home; where it is and who lives there is not shown.
#[derive(Debug, Serialize, ToSchema)]
struct HomeShape {
    household: String,
    cameras: Vec<String>,
    /// Whether it wants to be asked by nobody.
    opted_out: bool,
}

impl From<Home> for HomeShape {
    fn from(home: Home) -> Self {
        Self {
            household: home.household.0.to_string(),
            cameras: home.cameras.iter().map(|camera| camera.0.to_string()).collect(),
            opted_out: home.opted_out,
        }
    }
}

/// Homes, oldest first.
#[derive(Debug, Serialize, ToSchema)]
struct HomeList {
    households: Vec<HomeShape>,
}

/// The homes all of whose cameras are the caller's
#[utoipa::path(get, path = "/v1/households", tag = "requests",
    responses((status = 200, body = HomeList), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<HomeList>, Problem> {
    let homes = look(&app, |desk| Ok(desk.homes())).await?;
    let own = homes.into_iter().filter(|home| home.cameras.iter().all(|own| caller.sees(&own.0)));
    Ok(Json(HomeList { households: own.map(HomeShape::from).collect() }))
}

/// A home that takes part.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewHome {
    cameras: Vec<Placed>,
    /// How to reach it; kept beside the ledger.
    #[serde(default)]
    contact: String,
}

/// A camera, and roughly where it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Placed {
    camera: String,
    /// Only as exact as the home likes.
    place: Place,
}

/// The id of a new home.
#[derive(Debug, Serialize, ToSchema)]
struct Joined {
    household: String,
}

/// Register a home
#[utoipa::path(post, path = "/v1/households", tag = "requests", request_body = NewHome,
    responses((status = 201, body = Joined), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn join(
    State(app): State<App>,
    JsonBody(new): JsonBody<NewHome>,
) -> Result<(StatusCode, Json<Joined>), Problem> {
    let cameras = new.cameras.iter().map(|placed| Ok((Text(placed.camera.parse()?), placed.place)));
    let cameras = cameras.collect::<crate::Result<Vec<_>>>()?;
    let new = NewHousehold { cameras, contact: new.contact };
    let id = decide(&app, move |desk| Ok(desk.join_household(&new)?)).await?;
    Ok((StatusCode::CREATED, Json(Joined { household: id.to_string() })))
}

/// Never ask this home again
///
/// One step: what waits for its answer is over, and held for it no longer. No agency is told.
#[utoipa::path(post, path = "/v1/households/{household}/opt-out", tag = "requests",
    params(("household" = String, Path, description = "Its id, like h3")),
    responses((status = 204), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
async fn opt_out(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(id): Named<HouseholdId>,
) -> Result<StatusCode, Problem> {
    decide(&app, move |desk| {
        own(desk, &caller, id)?;
        Ok(desk.opt_out(id)?)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ask this home again from now on
#[utoipa::path(post, path = "/v1/households/{household}/opt-in", tag = "requests",
    params(("household" = String, Path, description = "Its id, like h3")),
    responses((status = 204), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
async fn opt_in(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(id): Named<HouseholdId>,
) -> Result<StatusCode, Problem> {
    decide(&app, move |desk| {
        own(desk, &caller, id)?;
        Ok(desk.opt_in(id)?)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove a home
///
/// As opting out; and what is personal about it is destroyed. Revoke its tokens too: its cameras
/// may join another home.
#[utoipa::path(post, path = "/v1/households/{household}/leave", tag = "requests",
    params(("household" = String, Path, description = "Its id, like h3")),
    responses((status = 204), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
async fn leave(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(id): Named<HouseholdId>,
) -> Result<StatusCode, Problem> {
    decide(&app, move |desk| {
        own(desk, &caller, id)?;
        Ok(desk.leave(id)?)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
