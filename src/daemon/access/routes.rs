//! Tokens over HTTP: made, listed, revoked; and the cookie for pages.
//!
//! Nobody hands out more than they have: an operator has no access to footage and so makes no
//! token that has; a resident makes tokens for their own cameras.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::requests::HouseholdId;
use crate::{CameraId, Clock as _, Result as StoreResult, SystemClock};

use super::super::app::App;
use super::super::extract::JsonBody;
use super::super::problem::Problem;
use super::rules::Role;
use super::token::{NewToken, Token};
use super::{Caller, cameras_of, presented};

/// The name of the cookie.
pub(super) const COOKIE: &str = "clipkeep";

/// How long a page stays signed in.
const SESSION_SECONDS: u32 = 12 * 3_600;

pub(in crate::daemon) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(make, list))
        .routes(routes!(revoke))
        .routes(routes!(sign_in, sign_out))
}

/// What a new token is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WantedToken {
    role: Role,
    /// The cameras that it is for; none: all that the caller has.
    #[serde(default)]
    cameras: Vec<String>,
    /// The home whose cameras it is for, those that it gets later too; instead of `cameras`.
    household: Option<String>,
    /// The agency that it is of: an agency's token names one.
    agency: Option<String>,
    /// What a person calls it.
    #[serde(default)]
    name: String,
    /// Seconds after which it ends by itself; without: never.
    expires_in_seconds: Option<u32>,
}

/// A new token: shown here and never again.
#[derive(Debug, Serialize, ToSchema)]
struct Made {
    id: String,
    /// The secret: for `Authorization: Bearer`.
    token: String,
}

/// What is known of a token.
#[derive(Debug, Serialize, ToSchema)]
struct Known {
    id: String,
    role: Role,
    /// The cameras that it is for; none: all.
    cameras: Vec<String>,
    /// The home that it is of.
    household: Option<String>,
    /// The agency that it is of.
    agency: Option<String>,
    name: String,
    /// When it was made (RFC 3339).
    made: String,
    /// When it ends by itself.
    expires: Option<String>,
    /// When it was revoked.
    revoked: Option<String>,
}

/// Tokens, the oldest first.
#[derive(Debug, Serialize, ToSchema)]
struct List {
    tokens: Vec<Known>,
}

/// Whether `caller` has to do with tokens of this role and these cameras.
fn is_for(caller: &Caller, role: Role, cameras: &[CameraId]) -> bool {
    if caller.role.is_none() {
        return true;
    }
    let within = caller.sees_all() || !cameras.is_empty();
    let within = within && cameras.iter().all(|camera| caller.sees(camera));
    match role {
        Role::Camera => within,
        Role::Resident => within && caller.is(Role::Resident),
        Role::Agency | Role::Operator | Role::Public => caller.is(Role::Operator) && within,
    }
}

/// Make a token
#[utoipa::path(post, path = "/v1/tokens", tag = "tokens", request_body = WantedToken,
    responses((status = 201, body = Made), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn make(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    JsonBody(wanted): JsonBody<WantedToken>,
) -> Result<(StatusCode, Json<Made>), Problem> {
    let parsed: StoreResult<Vec<CameraId>> = wanted.cameras.iter().map(|id| id.parse()).collect();
    let mut cameras = parsed?;
    let home = wanted.household.as_deref().map(str::parse).transpose()?;
    let mut household: Option<HouseholdId> = home;
    if cameras.is_empty() && household.is_none() {
        household = caller.household;
        cameras = if household.is_some() { Vec::new() } else { caller.cameras().to_vec() };
    }
    let reached = match household {
        Some(home) => cameras_of(&app, home).await.map_err(|problem| match problem.code() {
            "token-invalid" => Problem::new("not-found", "there is no such home"),
            _ => problem,
        })?,
        None => cameras.clone(),
    };
    if !is_for(&caller, wanted.role, &reached) {
        let detail = format!("nobody hands out more than they have: no {} token", wanted.role);
        return Err(Problem::new("forbidden", detail));
    }
    let lasts = wanted.expires_in_seconds.map(|seconds| Duration::from_secs(seconds.into()));
    let expires = lasts.map(|lasts| SystemClock.wall().saturating_add(lasts));
    let agency = wanted.agency.as_deref().map(str::parse).transpose()?;
    let (role, name) = (wanted.role, wanted.name);
    let new = NewToken { role, cameras, household, agency, name, expires };
    let file = app.access().file.clone();
    let issued = app.pool().write(move || file.add(&new)).await??;
    reload(&app).await?;
    tracing::info!(who = caller.name(), made = issued.id, role = %issued.role, "token made");
    Ok((StatusCode::CREATED, Json(Made { id: issued.id, token: issued.secret })))
}

/// The tokens that the caller may know of
#[utoipa::path(get, path = "/v1/tokens", tag = "tokens",
    responses((status = 200, body = List), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<List>, Problem> {
    let set = app.access().set.read().clone();
    let known = set.tokens.iter().filter(|token| may_know(&caller, token)).cloned();
    let tokens = known.map(|token| Known {
        id: token.id,
        role: token.role,
        cameras: token.cameras,
        household: token.household,
        agency: token.agency,
        name: token.name,
        made: token.made,
        expires: token.expires,
        revoked: token.revoked,
    });
    Ok(Json(List { tokens: tokens.collect() }))
}

/// An operator ends any token, a lost telephone's too; a resident those of their cameras.
fn may_know(caller: &Caller, token: &Token) -> bool {
    let cameras = token.scope().unwrap_or_default();
    let is_operator = caller.is(Role::Operator) && caller.sees_all();
    let is_own_home =
        caller.household.is_some() && token.home().is_ok_and(|home| home == caller.household);
    is_operator || is_own_home || is_for(caller, token.role, &cameras)
}

/// Revoke a token
///
/// It ends at once. Revoking twice is as once.
#[utoipa::path(delete, path = "/v1/tokens/{token}", tag = "tokens",
    params(("token" = String, Path, description = "The token's id, not its secret")),
    responses((status = 204), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
async fn revoke(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let set = app.access().set.read().clone();
    let token = set.tokens.iter().find(|token| token.id == id && may_know(&caller, token));
    if token.is_none() {
        return Err(Problem::new("not-found", "there is no such token"));
    }
    let (file, revoked) = (app.access().file.clone(), id.clone());
    app.pool().write(move || file.revoke(&revoked)).await??;
    reload(&app).await?;
    tracing::info!(who = caller.name(), revoked = id, "token revoked");
    Ok(StatusCode::NO_CONTENT)
}

async fn reload(app: &App) -> Result<(), Problem> {
    let again = app.clone();
    app.pool().write(move || again.access().reload()).await
}

/// Sign a page in
///
/// Puts the token of `Authorization` into a cookie that no script can read and no other site can
/// send. It counts for reading alone.
#[utoipa::path(post, path = "/v1/session", tag = "tokens",
    responses((status = 204), (status = "4XX", body = Problem)))]
async fn sign_in(
    State(app): State<App>,
    headers: HeaderMap,
) -> Result<(StatusCode, HeaderMap), Problem> {
    let token = presented(&axum::http::Method::POST, &headers).unwrap_or_default();
    cookie(&app, &token, SESSION_SECONDS)
}

/// Sign a page out
#[utoipa::path(delete, path = "/v1/session", tag = "tokens",
    responses((status = 204), (status = "4XX", body = Problem)))]
async fn sign_out(State(app): State<App>) -> Result<(StatusCode, HeaderMap), Problem> {
    cookie(&app, "", 0)
}

fn cookie(app: &App, token: &str, seconds: u32) -> Result<(StatusCode, HeaderMap), Problem> {
    let secure = if app.config().has_tls() { "; Secure" } else { "" };
    let text =
        format!("{COOKIE}={token}; HttpOnly; SameSite=Strict; Path=/; Max-Age={seconds}{secure}");
    let value = HeaderValue::try_from(text).map_err(|error| Problem::invalid(error.to_string()))?;
    Ok((StatusCode::NO_CONTENT, HeaderMap::from_iter([(header::SET_COOKIE, value)])))
}
