//! The departments that may ask: the public list, and the operator's word on who is on it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::requests::AgencyId;

use super::super::app::App;
use super::super::extract::{JsonBody, Named};
use super::super::problem::Problem;
use super::{decide, look};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(partners, join))
        .routes(routes!(suspend))
        .routes(routes!(reinstate))
}

/// A partner department.
#[derive(Debug, Serialize, ToSchema)]
struct PartnerShape {
    agency: String,
    /// When it joined (RFC 3339).
    joined: String,
    /// Whether it may not ask at present.
    suspended: bool,
    /// How many requests it made.
    requests: u64,
    /// How many of them were rejected in screening, or not screened in time.
    rejected: u64,
    /// How many of them were taken back.
    withdrawn: u64,
    /// How many of them came to their deadline.
    closed: u64,
    /// In how many of these something was shared.
    shared: u64,
}

/// Everybody who is or was a partner.
#[derive(Debug, Serialize, ToSchema)]
struct Partners {
    agencies: Vec<PartnerShape>,
}

/// The departments that may ask, since when, how often they asked, and how that ended
#[utoipa::path(get, path = "/v1/agencies", tag = "requests",
    responses((status = 200, body = Partners), (status = "5XX", body = Problem)))]
async fn partners(State(app): State<App>) -> Result<Json<Partners>, Problem> {
    let partners = look(&app, |desk| Ok(desk.partners())).await?;
    let shape = |partner: crate::requests::Partner| PartnerShape {
        agency: partner.agency.0.to_string(),
        joined: partner.joined.0.to_string(),
        suspended: partner.suspended,
        requests: partner.requests,
        rejected: partner.rejected,
        withdrawn: partner.withdrawn,
        closed: partner.closed,
        shared: partner.shared,
    };
    Ok(Json(Partners { agencies: partners.into_iter().map(shape).collect() }))
}

/// A department that becomes a partner.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPartner {
    /// Its name: 1 to 64 lower-case letters, digits and `-`.
    agency: String,
    /// How to reach it; kept beside the ledger.
    #[serde(default)]
    contact: String,
}

/// Make a department a partner from now on
#[utoipa::path(post, path = "/v1/agencies", tag = "requests", request_body = NewPartner,
    responses((status = 204), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
async fn join(
    State(app): State<App>,
    JsonBody(new): JsonBody<NewPartner>,
) -> Result<StatusCode, Problem> {
    let agency: AgencyId = new.agency.parse()?;
    decide(&app, move |desk| Ok(desk.join_agency(&agency, &new.contact)?)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Suspend a partner
///
/// It may neither ask nor fetch, and what it asked is withdrawn. Doing it twice is as once.
#[utoipa::path(post, path = "/v1/agencies/{agency}/suspend", tag = "requests",
    params(("agency" = String, Path, description = "Its name")),
    responses((status = 204), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
async fn suspend(
    State(app): State<App>,
    Named(agency): Named<AgencyId>,
) -> Result<StatusCode, Problem> {
    decide(&app, move |desk| Ok(desk.suspend_agency(&agency)?)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Let a suspended partner ask again
///
/// What was withdrawn stays so.
#[utoipa::path(post, path = "/v1/agencies/{agency}/reinstate", tag = "requests",
    params(("agency" = String, Path, description = "Its name")),
    responses((status = 204), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
async fn reinstate(
    State(app): State<App>,
    Named(agency): Named<AgencyId>,
) -> Result<StatusCode, Problem> {
    decide(&app, move |desk| Ok(desk.reinstate_agency(&agency)?)).await?;
    Ok(StatusCode::NO_CONTENT)
}
