//! Holds over HTTP: placed, listed, narrowed, renewed, released.
//!
//! Owns who may do what to a hold of which cause; what a hold protects is the store's to say. An
//! order is released by two persons: two operators' tokens.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::requests::Desk;
use crate::{
    CameraId, Hold, HoldCause, HoldId, HoldReceipt, HoldState, MissedReason, NewHold, Release,
    ReleaseCause, Store, Window,
};

use super::access::{Caller, Role};
use super::app::App;
use super::extract::{self, JsonBody, Named, Params};
use super::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(place, list))
        .routes(routes!(show))
        .routes(routes!(receipt))
        .routes(routes!(narrow))
        .routes(routes!(renew))
        .routes(routes!(release))
}

/// The most holds of one answer.
const PAGE: usize = 200;

/// A camera and a stretch of time.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Range {
    camera: String,
    /// RFC 3339.
    from: String,
    /// RFC 3339, not included.
    to: String,
}

impl Range {
    fn parse(&self) -> Result<(CameraId, Window), Problem> {
        Ok((self.camera.parse()?, extract::window(&self.from, &self.to)?))
    }

    fn of(camera: &CameraId, window: Window) -> Self {
        let (from, to) = (window.start().to_string(), window.end().to_string());
        Self { camera: camera.to_string(), from, to }
    }
}

/// What to hold, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WantedHold {
    /// What it covers: at most 1024 ranges.
    scope: Vec<Range>,
    /// `keep`, a resident's own; `provisional`, `request`, `disclosure` or `order`, an operator's.
    cause: String,
    /// The case that it belongs to.
    #[serde(default)]
    reference: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    agency: String,
    /// How long it lasts; without: what its cause says. An order must say.
    seconds: Option<u64>,
    /// How long it goes on protecting when it ends: an order may say.
    grace_seconds: Option<u64>,
}

/// A hold.
#[derive(Debug, Serialize, ToSchema)]
struct HoldShape {
    id: String,
    cause: &'static str,
    /// `active`, `grace` or `ended`.
    state: &'static str,
    /// Whether what it covers is protected now.
    protects: bool,
    scope: Vec<Range>,
    reference: String,
    reason: String,
    /// Who placed it.
    actor: String,
    agency: String,
    /// Trusted time (RFC 3339).
    placed: String,
    deadline: String,
    renewals: u32,
    released: Option<String>,
    /// The entry of the ledger that placed it.
    position: u64,
}

impl HoldShape {
    fn new(hold: &Hold) -> Self {
        let scope = hold.scope().iter().map(|(camera, window)| Range::of(camera, *window));
        Self {
            id: hold.id().to_string(),
            cause: hold.cause().name(),
            state: match hold.state() {
                HoldState::Active => "active",
                HoldState::Grace { .. } => "grace",
                HoldState::Ended => "ended",
            },
            protects: hold.protects(),
            scope: scope.collect(),
            reference: hold.reference().to_owned(),
            reason: hold.reason().to_owned(),
            actor: hold.actor().to_owned(),
            agency: hold.agency().to_owned(),
            placed: hold.placed_at().to_string(),
            deadline: hold.deadline().to_string(),
            renewals: hold.renewals(),
            released: hold.released_at().map(|at| at.to_string()),
            position: hold.position(),
        }
    }
}

/// Holds, the newest first.
#[derive(Debug, Serialize, ToSchema)]
struct Holds {
    holds: Vec<HoldShape>,
    /// Give it as `before` to get the next ones.
    next: Option<String>,
}

/// What a hold covers, proof that it was asked for in time.
#[derive(Debug, Serialize, ToSchema)]
struct Receipt {
    hold: String,
    /// The entry of the ledger: decisions before it win, decisions after it lose.
    position: u64,
    placed: String,
    deadline: String,
    clips: u64,
    bytes: u64,
    newly_pinned_bytes: u64,
    /// Parts of its windows without footage.
    missed: Vec<Missed>,
    /// Until when the first of its clips would have been kept anyway.
    kept_anyway_until: Option<String>,
    /// Whether an earlier request with the same key placed it.
    placed_before: bool,
    /// Segments that cannot be read; what is in them is held like the rest.
    uncounted: usize,
}

/// A part of a window without footage.
#[derive(Debug, Serialize, ToSchema)]
struct Missed {
    camera: String,
    from: String,
    to: String,
    /// `never-recorded`, `expired`, `not-yet` or `unreadable`.
    reason: &'static str,
}

impl Receipt {
    fn new(receipt: &HoldReceipt) -> Self {
        let missed = receipt.missed.iter().map(|missed| Missed {
            camera: missed.camera.to_string(),
            from: missed.window.start().to_string(),
            to: missed.window.end().to_string(),
            reason: match missed.reason {
                MissedReason::NeverRecorded => "never-recorded",
                MissedReason::Expired => "expired",
                MissedReason::NotYet => "not-yet",
                MissedReason::Unreadable => "unreadable",
            },
        });
        Self {
            hold: receipt.id.to_string(),
            position: receipt.position,
            placed: receipt.placed.to_string(),
            deadline: receipt.deadline.to_string(),
            clips: receipt.clips,
            bytes: receipt.bytes,
            newly_pinned_bytes: receipt.newly_pinned_bytes,
            missed: missed.collect(),
            kept_anyway_until: receipt.kept_anyway_until.map(|at| at.to_string()),
            placed_before: receipt.placed_before,
            uncounted: receipt.uncounted.len(),
        }
    }
}

/// Whose holds of this cause are: a resident's own wish is theirs, the rest is the operator's.
fn owner(cause: HoldCause) -> Role {
    if cause == HoldCause::Keep { Role::Resident } else { Role::Operator }
}

/// Refuses whoever may not end or change `hold` in this way.
fn may_end(caller: &Caller, hold: &Hold, release: ReleaseCause) -> Result<(), Problem> {
    let cause = hold.cause();
    must_be_alone(hold)?;
    // The answer to a request is the resident's: no, or other clips instead.
    let answers = matches!(release, ReleaseCause::Denied | ReleaseCause::Disclosed)
        && matches!(cause, HoldCause::Request | HoldCause::Disclosure);
    let role = if answers { Role::Resident } else { owner(cause) };
    if caller.is(role) {
        return Ok(());
    }
    let detail = format!("a {cause} hold is for a token with the role {role} to end like this");
    Err(Problem::new("forbidden", detail))
}

/// Refuses to touch a hold that a request relies on: the request would wait on without it.
fn must_be_alone(hold: &Hold) -> Result<(), Problem> {
    if !Desk::relies_on(hold) {
        return Ok(());
    }
    let of = hold.reference();
    let detail = format!("a hold of the desk's ({of}): answer, reject or withdraw that instead");
    Err(Problem::new("forbidden", detail))
}

/// The hold, if all it covers is the caller's.
fn seen(store: &Store, id: HoldId, caller: &Caller) -> Result<Hold, Problem> {
    let hold = store.hold(id)?;
    for (camera, _) in hold.scope() {
        caller.must_see(camera)?;
    }
    Ok(hold)
}

/// Place a hold
///
/// Durable when the answer comes. The same `Idempotency-Key` with the same scope answers the hold
/// that was placed before, for ever.
#[utoipa::path(post, path = "/v1/holds", tag = "holds", request_body = WantedHold,
    params(("Idempotency-Key" = Option<String>, Header, description = "Places it once")),
    responses((status = 201, body = Receipt), (status = 200, body = Receipt),
        (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
async fn place(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    JsonBody(wanted): JsonBody<WantedHold>,
) -> Result<(StatusCode, Json<Receipt>), Problem> {
    let cause: HoldCause = wanted.cause.parse()?;
    if !caller.is(owner(cause)) {
        let detail = format!("a {cause} hold is placed by a token with the role {}", owner(cause));
        return Err(Problem::new("forbidden", detail));
    }
    let key = extract::idempotency_key(&headers)?;
    let hold = new_hold(&wanted, cause, &caller, key)?;
    let receipt = app.write(move |store| store.place_hold(hold)).await?;
    let status = if receipt.placed_before { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(Receipt::new(&receipt))))
}

fn new_hold(
    wanted: &WantedHold,
    cause: HoldCause,
    caller: &Caller,
    key: Option<String>,
) -> Result<NewHold, Problem> {
    let mut ranges = wanted.scope.iter().map(Range::parse);
    let (camera, window) =
        ranges.next().ok_or_else(|| Problem::invalid("scope: want a range"))??;
    caller.must_see(&camera)?;
    let mut hold = NewHold::new([camera], window);
    for range in ranges {
        let (camera, window) = range?;
        caller.must_see(&camera)?;
        hold = hold.also(&camera, window);
    }
    hold = hold.cause(cause).actor(caller.name());
    hold = hold.reference(&wanted.reference).reason(&wanted.reason).agency(&wanted.agency);
    if let Some(seconds) = wanted.seconds {
        hold = hold.for_duration(Duration::from_secs(seconds));
    }
    if let Some(seconds) = wanted.grace_seconds {
        hold = hold.grace(Duration::from_secs(seconds));
    }
    if let Some(key) = key {
        // Nobody learns of another's holds by trying out keys.
        hold = hold.idempotency_key(format!("{} {key}", caller.name()));
    }
    Ok(hold)
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Query {
    /// Also those that have ended.
    #[serde(default)]
    all: bool,
    /// Only those before this one: `next` of the page before.
    before: Option<String>,
}

/// The holds on the caller's cameras, the newest first
#[utoipa::path(get, path = "/v1/holds", tag = "holds", params(Query),
    responses((status = 200, body = Holds), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Params(query): Params<Query>,
) -> Result<Json<Holds>, Problem> {
    let before: Option<HoldId> = query.before.as_deref().map(str::parse).transpose()?;
    let all = app.read(|store| Ok(store.holds())).await?;
    let mut found = all
        .iter()
        .rev()
        .filter(|hold| before.is_none_or(|before| hold.id() < before))
        .filter(|hold| query.all || hold.protects())
        .filter(|hold| hold.scope().iter().all(|(camera, _)| caller.sees(camera)));
    let page: Vec<HoldShape> = found.by_ref().take(PAGE).map(HoldShape::new).collect();
    let next = found.next().and_then(|_| page.last()).map(|hold| hold.id.clone());
    Ok(Json(Holds { holds: page, next }))
}

/// A hold
#[utoipa::path(get, path = "/v1/holds/{hold}", tag = "holds",
    params(("hold" = String, Path, description = "Its id, like h7")),
    responses((status = 200, body = HoldShape), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn show(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(id): Named<HoldId>,
) -> Result<Json<HoldShape>, Problem> {
    let store = app.store()?;
    let hold = app.pool().read(move || seen(&store, id, &caller)).await??;
    Ok(Json(HoldShape::new(&hold)))
}

/// What a hold covers now
#[utoipa::path(get, path = "/v1/holds/{hold}/receipt", tag = "holds",
    params(("hold" = String, Path, description = "Its id, like h7")),
    responses((status = 200, body = Receipt), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn receipt(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(id): Named<HoldId>,
) -> Result<Json<Receipt>, Problem> {
    let store = app.store()?;
    let receipt = app.pool().read(move || {
        seen(&store, id, &caller)?;
        Ok::<_, Problem>(store.hold_receipt(id)?)
    });
    Ok(Json(Receipt::new(&receipt.await??)))
}

/// The part of a hold that stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Narrowed {
    scope: Vec<Range>,
    /// As for a release: `denied`, `withdrawn`, `rejected`, `disclosed`, `ended` or `owner`.
    cause: String,
    #[serde(default)]
    reason: String,
}

/// Narrow a hold
///
/// The rest is free at once. Whoever may release it may narrow it.
#[utoipa::path(post, path = "/v1/holds/{hold}/narrow", tag = "holds", request_body = Narrowed,
    params(("hold" = String, Path, description = "Its id, like h7")),
    responses((status = 200, body = HoldShape), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn narrow(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(id): Named<HoldId>,
    headers: HeaderMap,
    JsonBody(wanted): JsonBody<Narrowed>,
) -> Result<Json<HoldShape>, Problem> {
    let scope = wanted.scope.iter().map(Range::parse).collect::<Result<Vec<_>, _>>()?;
    let cause = release_cause(&wanted.cause)?;
    let release = signed(&app, &caller, &headers, cause, &wanted.reason)?;
    let store = app.store()?;
    let hold = app.pool().write(move || {
        may_end(&caller, &seen(&store, id, &caller)?, cause)?;
        Ok::<_, Problem>(store.narrow_hold(id, scope, &release)?)
    });
    Ok(Json(HoldShape::new(&hold.await??)))
}

/// A later deadline.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Renewed {
    /// From now.
    seconds: u64,
    #[serde(default)]
    reason: String,
}

/// Renew a hold, where its cause allows it
#[utoipa::path(post, path = "/v1/holds/{hold}/renew", tag = "holds", request_body = Renewed,
    params(("hold" = String, Path, description = "Its id, like h7")),
    responses((status = 200, body = HoldShape), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn renew(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(id): Named<HoldId>,
    JsonBody(wanted): JsonBody<Renewed>,
) -> Result<Json<HoldShape>, Problem> {
    let store = app.store()?;
    let hold = app.pool().write(move || {
        let hold = seen(&store, id, &caller)?;
        must_be_alone(&hold)?;
        let cause = hold.cause();
        if !caller.is(owner(cause)) {
            return Err(Problem::new("forbidden", format!("a {cause} hold is not yours to renew")));
        }
        let lasts = Duration::from_secs(wanted.seconds);
        Ok(store.renew_hold(id, lasts, caller.name(), &wanted.reason)?)
    });
    Ok(Json(HoldShape::new(&hold.await??)))
}

/// Why a hold ends.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Ending {
    /// `denied`, `withdrawn`, `rejected`, `disclosed`, `ended` or `owner`.
    cause: String,
    #[serde(default)]
    reason: String,
}

/// Release a hold
///
/// Releasing twice is as once. An order needs two: the header `Second-Authorization` with the
/// `Bearer` token of another operator.
#[utoipa::path(post, path = "/v1/holds/{hold}/release", tag = "holds", request_body = Ending,
    params(("hold" = String, Path, description = "Its id, like h7")),
    responses((status = 200, body = HoldShape), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn release(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(id): Named<HoldId>,
    headers: HeaderMap,
    JsonBody(wanted): JsonBody<Ending>,
) -> Result<Json<HoldShape>, Problem> {
    let cause = release_cause(&wanted.cause)?;
    let release = signed(&app, &caller, &headers, cause, &wanted.reason)?;
    let store = app.store()?;
    let hold = app.pool().write(move || {
        may_end(&caller, &seen(&store, id, &caller)?, cause)?;
        Ok::<_, Problem>(store.release_hold(id, &release)?)
    });
    Ok(Json(HoldShape::new(&hold.await??)))
}

fn release_cause(text: &str) -> Result<ReleaseCause, Problem> {
    Ok(text.parse()?)
}

/// The release with everybody who signed it.
fn signed(
    app: &App,
    caller: &Caller,
    headers: &HeaderMap,
    cause: ReleaseCause,
    reason: &str,
) -> Result<Release, Problem> {
    let release = Release::new(cause, caller.name()).reason(reason);
    match app.access().second(caller, headers)? {
        Some(second) => Ok(release.second_actor(second.name())),
        None => Ok(release),
    }
}
