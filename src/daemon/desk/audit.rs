//! Who did what, when and why, for each who may know of it.

use axum::extract::State;
use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::requests::{AgencyId, AuditLine, HouseholdId};

use super::super::access::Caller;
use super::super::app::App;
use super::super::extract::Named;
use super::super::problem::Problem;
use super::pace::paced;
use super::{look, own};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(of_home)).routes(routes!(of_agency)).routes(routes!(of_all))
}

/// Something that somebody did.
#[derive(Debug, Serialize, ToSchema)]
struct AuditShape {
    /// When (RFC 3339).
    at: String,
    /// `operator`, `resident`, an agency, `time`, or whom the ledger names.
    who: String,
    /// What, in words.
    what: String,
    request: Option<String>,
    household: Option<String>,
    clips: Vec<String>,
}

/// What was done, the newest first; no more than a thousand lines.
#[derive(Debug, Serialize, ToSchema)]
struct Audit {
    lines: Vec<AuditShape>,
}

impl From<Vec<AuditLine>> for Audit {
    fn from(lines: Vec<AuditLine>) -> Self {
        let shape = |line: AuditLine| AuditShape {
            at: line.at.0.to_string(),
            who: line.who,
            what: line.what,
            request: line.request.map(|request| request.0.to_string()),
            household: line.household.map(|household| household.0.to_string()),
            clips: line.clips.iter().map(|clip| clip.0.to_string()).collect(),
        };
        Self { lines: lines.into_iter().map(shape).collect() }
    }
}

/// Who asked for, held, shared, fetched and deleted what of a home
#[utoipa::path(get, path = "/v1/households/{household}/audit", tag = "requests",
    params(("household" = String, Path, description = "The home, like h3")),
    responses((status = 200, body = Audit), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn of_home(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(home): Named<HouseholdId>,
) -> Result<Json<Audit>, Problem> {
    let lines = look(&app, move |desk| {
        own(desk, &caller, home)?;
        Ok(desk.audit_of_household(home)?)
    });
    Ok(Json(lines.await?.into()))
}

/// What an agency asked, and what came of it
#[utoipa::path(get, path = "/v1/agencies/{agency}/audit", tag = "requests",
    params(("agency" = String, Path, description = "Who asked")),
    responses((status = 200, body = Audit), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn of_agency(
    State(app): State<App>,
    Named(agency): Named<AgencyId>,
) -> Result<Json<Audit>, Problem> {
    let lines = look(&app, move |desk| Ok(desk.audit_of_agency(&agency)?));
    let lines = paced(&app, lines).await.map_err(|_error| {
        // What the store fails with is the operator's to know.
        Problem::unavailable("not now: the operator is told", 60)
    })?;
    Ok(Json(lines.into()))
}

/// What everybody did, without saying to which clips
#[utoipa::path(get, path = "/v1/audit", tag = "requests",
    responses((status = 200, body = Audit), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn of_all(State(app): State<App>) -> Result<Json<Audit>, Problem> {
    Ok(Json(look(&app, |desk| Ok(desk.audit()?)).await?.into()))
}
