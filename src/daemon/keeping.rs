//! What is kept for how long: cameras, policies, the plan, the sweep, and the owner's delete.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::{CameraId, ClipId, PlanAction, PolicyScope, Retention, SweepPlan};

use super::access::Caller;
use super::app::App;
use super::extract::{JsonBody, Named, Params};
use super::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(add_camera, remove_camera))
        .routes(routes!(policy, set_policy))
        .routes(routes!(set_camera_policy))
        .routes(routes!(plan))
        .routes(routes!(sweep))
        .routes(routes!(delete_clip))
}

/// Make a camera known before its first clip
///
/// Doing it twice is as once; a removed camera comes back.
#[utoipa::path(put, path = "/v1/cameras/{camera}", tag = "cameras",
    params(("camera" = String, Path, description = "The camera")),
    responses((status = 204), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
async fn add_camera(
    State(app): State<App>,
    Named(camera): Named<CameraId>,
) -> Result<StatusCode, Problem> {
    app.write(move |store| store.add_camera(&camera)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove a camera
///
/// It is listed no more. Its clips live out their time, and holds on them stay.
#[utoipa::path(delete, path = "/v1/cameras/{camera}", tag = "cameras",
    params(("camera" = String, Path, description = "The camera")),
    responses((status = 204), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
async fn remove_camera(
    State(app): State<App>,
    Named(camera): Named<CameraId>,
) -> Result<StatusCode, Problem> {
    app.write(move |store| store.remove_camera(&camera)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How long clips are kept.
#[derive(Debug, Serialize, ToSchema)]
struct Policy {
    at_least_seconds: u64,
    at_most_seconds: u64,
}

/// How long clips shall be kept.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Change {
    at_least_seconds: u64,
    at_most_seconds: u64,
    /// Also clips that are there already: some may be due at once.
    #[serde(default)]
    existing_too: bool,
}

/// How long clips of cameras without a policy of their own are kept
#[utoipa::path(get, path = "/v1/policy", tag = "retention",
    responses((status = 200, body = Policy), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn policy(State(app): State<App>) -> Result<Json<Policy>, Problem> {
    let retention = app.read(|store| Ok(store.retention(None))).await?;
    let at_least_seconds = retention.at_least().as_secs();
    Ok(Json(Policy { at_least_seconds, at_most_seconds: retention.at_most().as_secs() }))
}

/// Change it
#[utoipa::path(put, path = "/v1/policy", tag = "retention", request_body = Change,
    responses((status = 204), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
async fn set_policy(
    State(app): State<App>,
    JsonBody(change): JsonBody<Change>,
) -> Result<StatusCode, Problem> {
    set(&app, None, &change).await
}

/// Give a camera a policy of its own
#[utoipa::path(put, path = "/v1/cameras/{camera}/policy", tag = "retention",
    request_body = Change, params(("camera" = String, Path, description = "The camera")),
    responses((status = 204), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
async fn set_camera_policy(
    State(app): State<App>,
    Named(camera): Named<CameraId>,
    JsonBody(change): JsonBody<Change>,
) -> Result<StatusCode, Problem> {
    set(&app, Some(camera), &change).await
}

async fn set(app: &App, camera: Option<CameraId>, change: &Change) -> Result<StatusCode, Problem> {
    let seconds = Duration::from_secs;
    let retention =
        Retention::new(seconds(change.at_least_seconds), seconds(change.at_most_seconds))?;
    let existing = change.existing_too;
    let scope = if existing { PolicyScope::ExistingToo } else { PolicyScope::NewClips };
    app.write(move |store| store.set_retention(camera.as_ref(), retention, scope)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a sweep would do.
#[derive(Debug, Serialize, ToSchema)]
struct Plan {
    /// Trusted time (RFC 3339).
    now: String,
    items: Vec<Item>,
    freed_bytes: u64,
    /// Bytes that are needed and cannot be freed.
    short_bytes: u64,
    /// Segments that are due and wait for a later sweep.
    deferred: u64,
}

/// One segment of which something goes.
#[derive(Debug, Serialize, ToSchema)]
struct Item {
    segment: u32,
    /// `drop`, `move-held-then-drop` or `expire-clips`.
    action: &'static str,
    /// Why, in a sentence.
    reason: String,
    clips: u64,
    bytes: u64,
    held_clips: u64,
    due: String,
}

impl Plan {
    fn new(plan: &SweepPlan) -> Self {
        let items = plan.items().iter().map(|item| Item {
            segment: item.segment().0,
            action: match item.action() {
                PlanAction::Drop => "drop",
                PlanAction::MoveHeldThenDrop => "move-held-then-drop",
                PlanAction::ExpireClips => "expire-clips",
            },
            reason: item.to_string(),
            clips: item.clips(),
            bytes: item.bytes(),
            held_clips: item.held_clips(),
            due: item.due().to_string(),
        });
        Self {
            now: plan.now().to_string(),
            items: items.collect(),
            freed_bytes: plan.freed_bytes(),
            short_bytes: plan.short_bytes(),
            deferred: plan.deferred(),
        }
    }
}

/// What a sweep would do now
#[utoipa::path(get, path = "/v1/plan", tag = "retention",
    responses((status = 200, body = Plan), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn plan(State(app): State<App>) -> Result<Json<Plan>, Problem> {
    Ok(Json(Plan::new(&app.read(crate::Store::plan_sweep).await?)))
}

/// What a sweep did.
#[derive(Debug, Serialize, ToSchema)]
struct Swept {
    segments_dropped: u64,
    clips_expired: u64,
    bytes_expired: u64,
    clips_expired_early: u64,
    clips_moved: u64,
    holds_lapsed: u64,
    holds_ended: u64,
    segments_deferred: u64,
    clips_awaiting_readers: u64,
    /// What went wrong with single segments.
    problems: usize,
}

/// Sweep now
///
/// The daemon does it by itself as well, every `store.sweep_seconds`.
#[utoipa::path(post, path = "/v1/sweep", tag = "retention",
    responses((status = 200, body = Swept), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn sweep(State(app): State<App>) -> Result<Json<Swept>, Problem> {
    let report = app.write(crate::Store::sweep).await?;
    for problem in &report.problems {
        tracing::error!(problem = ?problem, "a segment was not swept");
    }
    Ok(Json(Swept {
        segments_dropped: report.segments_dropped,
        clips_expired: report.clips_expired,
        bytes_expired: report.bytes_expired,
        clips_expired_early: report.clips_expired_early,
        clips_moved: report.clips_moved,
        holds_lapsed: report.holds_lapsed,
        holds_ended: report.holds_ended,
        segments_deferred: report.segments_deferred,
        clips_awaiting_readers: report.clips_awaiting_readers,
        problems: report.problems.len(),
    }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Deletion {
    /// Why, for the record.
    #[serde(default)]
    reason: String,
}

/// Delete a clip
///
/// On its owner's word: it is gone from every interface when the answer comes. A hold stands
/// against it.
#[utoipa::path(delete, path = "/v1/clips/{clip}", tag = "clips",
    params(("clip" = String, Path, description = "The clip"), Deletion),
    responses((status = 204), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
async fn delete_clip(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(id): Named<ClipId>,
    Params(why): Params<Deletion>,
) -> Result<StatusCode, Problem> {
    let store = app.store()?;
    let deleted = app.pool().write(move || {
        caller.must_see(store.clip(id)?.camera())?;
        Ok::<_, Problem>(store.delete_clip(id, caller.name(), &why.reason)?)
    });
    deleted.await??;
    Ok(StatusCode::NO_CONTENT)
}
