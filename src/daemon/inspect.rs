//! Looking at the store itself: figures, the ledger, the clock, and the check of everything.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::{LedgerLine, Progress, VerifyDepth, VerifyReport};

use super::access::Caller;
use super::app::App;
use super::extract::{JsonBody, Params};
use super::problem::Problem;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(stats))
        .routes(routes!(ledger))
        .routes(routes!(start_check, check))
        .routes(routes!(confirm_clock))
}

/// Bytes by state, and whether the promise is kept.
#[derive(Debug, Serialize, ToSchema)]
struct Figures {
    /// Trusted time (RFC 3339).
    now: String,
    /// How the wall clock compares with it.
    clock: String,
    clips: u64,
    live_bytes: u64,
    held_clips: u64,
    held_bytes: u64,
    expired_bytes: u64,
    overhead_bytes: u64,
    reserved_bytes: u64,
    file_bytes: u64,
    ghost_bytes: u64,
    free_bytes: u64,
    ledger_entries: u64,
    holds_active: u64,
    promise_broken_clips: u64,
    /// Why nothing is deleted, if so.
    deletion_frozen: Option<String>,
    /// Why nothing is recorded, if so.
    recording_stopped: Option<String>,
    /// What went wrong since the start and was survived: see the log.
    problems: usize,
}

/// The store's figures
#[utoipa::path(get, path = "/v1/stats", tag = "operation",
    responses((status = 200, body = Figures), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn stats(State(app): State<App>) -> Result<Json<Figures>, Problem> {
    let (stats, problems) = app.read(|store| Ok((store.stats()?, store.problems().len()))).await?;
    Ok(Json(Figures {
        now: stats.now.to_string(),
        clock: stats.clock.to_string(),
        clips: stats.clips,
        live_bytes: stats.live_bytes,
        held_clips: stats.held_clips,
        held_bytes: stats.held_bytes,
        expired_bytes: stats.expired_bytes,
        overhead_bytes: stats.overhead_bytes,
        reserved_bytes: stats.reserved_bytes,
        file_bytes: stats.file_bytes,
        ghost_bytes: stats.ghost_bytes,
        free_bytes: stats.free_bytes,
        ledger_entries: stats.ledger_entries,
        holds_active: stats.holds_active,
        promise_broken_clips: stats.promise_broken_clips,
        deletion_frozen: stats.deletion_frozen,
        recording_stopped: stats.recording_stopped,
        problems,
    }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Page {
    /// The first position to show: `next` of the page before.
    #[serde(default)]
    from: u64,
    /// How many entries, at most 1000.
    #[serde(default = "page")]
    limit: usize,
}

const fn page() -> usize {
    100
}

/// The most entries of one answer.
const ENTRIES_MAX: usize = 1_000;

/// Entries of the ledger, the oldest first.
#[derive(Debug, Serialize, ToSchema)]
struct Ledger {
    entries: Vec<Entry>,
    /// Give it as `from` to go on: also at the end, for what comes later.
    next: u64,
}

/// One decision on record.
#[derive(Debug, Serialize, ToSchema)]
struct Entry {
    position: u64,
    /// Trusted time (RFC 3339).
    at: String,
    kind: &'static str,
    text: String,
    /// BLAKE3, which the next entry repeats.
    hash: String,
}

/// The ledger
#[utoipa::path(get, path = "/v1/ledger", tag = "operation", params(Page),
    responses((status = 200, body = Ledger), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn ledger(
    State(app): State<App>,
    Params(page): Params<Page>,
) -> Result<Json<Ledger>, Problem> {
    if page.limit == 0 || page.limit > ENTRIES_MAX {
        return Err(Problem::invalid(format!("limit: want 1 to {ENTRIES_MAX}")));
    }
    let lines = app.read(move |store| {
        let mut lines: Vec<LedgerLine> = Vec::new();
        store.inspect_ledger(page.from, &mut |line| {
            lines.push(line);
            lines.len() < page.limit
        })?;
        Ok(lines)
    });
    let lines = lines.await?;
    let next = lines.last().map_or(page.from, |line| line.position.saturating_add(1));
    let entries = lines.into_iter().map(|line| Entry {
        position: line.position,
        at: line.at.to_string(),
        kind: line.kind,
        text: line.text,
        hash: blake3::Hash::from_bytes(line.hash).to_hex().to_string(),
    });
    Ok(Json(Ledger { entries: entries.collect(), next }))
}

/// The check of everything: the one that runs, or the last one.
#[derive(Clone, Debug, Default)]
pub(super) struct Check(Arc<Mutex<CheckState>>);

#[derive(Clone, Debug, Default)]
struct CheckState {
    running: bool,
    progress: Progress,
    outcome: Option<Result<VerifyReport, String>>,
}

/// How deep to look.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Depth {
    /// `presence`, `headers` or `bytes`.
    depth: String,
}

/// How far a check is, and what it found.
#[derive(Debug, Serialize, ToSchema)]
struct CheckShape {
    /// `none`, `running`, `whole`, `faults` or `failed`.
    state: &'static str,
    done_bytes: u64,
    total_bytes: u64,
    segments: u64,
    clips: u64,
    /// What is not as it should be, in sentences.
    faults: Vec<String>,
}

/// Check the store
///
/// It runs while everything else goes on; one at a time.
#[utoipa::path(post, path = "/v1/verify", tag = "operation", request_body = Depth,
    responses((status = 202, body = CheckShape), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn start_check(
    State(app): State<App>,
    JsonBody(wanted): JsonBody<Depth>,
) -> Result<(StatusCode, Json<CheckShape>), Problem> {
    let depth = match wanted.depth.as_str() {
        "presence" => VerifyDepth::Presence,
        "headers" => VerifyDepth::Headers,
        "bytes" => VerifyDepth::Bytes,
        _ => return Err(Problem::invalid("depth: want presence, headers or bytes")),
    };
    let (store, check) = (app.store()?, app.check().clone());
    {
        let mut state = check.0.lock();
        if state.running {
            return Err(Problem::new("conflict", "a check is running").retry_after(10));
        }
        *state = CheckState { running: true, ..CheckState::default() };
    }
    let (pool, running) = (app.pool().clone(), check.clone());
    tokio::spawn(async move {
        let seen = running.clone();
        let looked = pool
            .read(move || store.verify(depth, &mut |progress| seen.0.lock().progress = progress));
        let outcome = looked.await.map_err(|problem| problem.detail().to_owned());
        let outcome = outcome.and_then(|report| report.map_err(|error| error.to_string()));
        let mut state = running.0.lock();
        (state.running, state.outcome) = (false, Some(outcome));
    });
    let state = check.0.lock().clone();
    Ok((StatusCode::ACCEPTED, Json(shape(&state))))
}

/// The check that runs, or the last one
#[utoipa::path(get, path = "/v1/verify", tag = "operation",
    responses((status = 200, body = CheckShape), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn check(State(app): State<App>) -> Json<CheckShape> {
    let state = app.check().0.lock().clone();
    Json(shape(&state))
}

fn shape(state: &CheckState) -> CheckShape {
    let (progress, none) = (state.progress, VerifyReport::default());
    let report = match &state.outcome {
        Some(Ok(report)) => report,
        _ => &none,
    };
    let name = match &state.outcome {
        _ if state.running => "running",
        None => "none",
        Some(Ok(report)) if report.faults.is_empty() => "whole",
        Some(Ok(_)) => "faults",
        Some(Err(_)) => "failed",
    };
    let mut faults: Vec<String> = report
        .faults
        .iter()
        .map(|fault| Problem::from(fault.error.clone()).detail().to_owned())
        .collect();
    if let Some(Err(why)) = &state.outcome {
        faults.push(why.clone());
    }
    CheckShape {
        state: name,
        done_bytes: progress.done_bytes,
        total_bytes: progress.total_bytes,
        segments: report.segments,
        clips: report.clips,
        faults,
    }
}

/// The new trusted time.
#[derive(Debug, Serialize, ToSchema)]
struct Confirmed {
    /// RFC 3339.
    now: String,
}

/// Vouch for the wall clock
///
/// Trusted time follows it at once; what is due by then expires with the next sweeps.
#[utoipa::path(post, path = "/v1/clock/confirm", tag = "operation",
    responses((status = 200, body = Confirmed), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn confirm_clock(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Confirmed>, Problem> {
    let now = app.write(move |store| store.confirm_clock(caller.name())).await?;
    Ok(Json(Confirmed { now: now.to_string() }))
}
