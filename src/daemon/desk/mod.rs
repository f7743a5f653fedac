//! The desk of requests over HTTP: agencies ask, operators screen, residents answer.
//!
//! Owns who is who: which token is which agency's, and whose home is whose. What may be asked,
//! answered and shown is the desk's to say, through its public items only. What an agency is told
//! goes through `pace`, so that it does not say by its time either what was found.

mod agency;
mod answer;
mod ask;
mod audit;
mod bounds;
mod feed;
mod household;
mod looks;
mod outbox;
mod pace;
mod page;
mod proof;
mod screening;
mod shape;

use std::time::Duration;

use utoipa_axum::router::OpenApiRouter;

use crate::requests::{Desk, Home, HouseholdId, Refusal};

use super::access::Caller;
use super::app::App;
use super::problem::Problem;

pub(super) use bounds::rules;
pub(super) use looks::{looked, note};
pub(super) use outbox::check;

/// How often it is looked whether time has ended something.
const TEND_EVERY: Duration = Duration::from_secs(5);
/// How often it is looked whether somebody is to be told.
const TELL_EVERY: Duration = Duration::from_secs(5);

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(agency::routes())
        .merge(ask::routes())
        .merge(screening::routes())
        .merge(household::routes())
        .merge(answer::routes())
        .merge(feed::routes())
        .merge(audit::routes())
        .merge(proof::routes())
        .merge(page::routes())
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let code = match &refusal {
            Refusal::Invalid(_) => "invalid-input",
            Refusal::Unknown(_) => "not-found",
            Refusal::NotPartner(_) => "not-a-partner",
            Refusal::Over(_) => "over",
            Refusal::Conflict(_) => "conflict",
            Refusal::OverBudget(_) => "over-budget",
            Refusal::Store(error) => return error.clone().into(),
        };
        Self::new(code, refusal.to_string())
    }
}

/// Asks the desk for something that changes nothing.
async fn look<T: Send + 'static>(
    app: &App,
    work: impl FnOnce(&Desk) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let desk = app.desk()?;
    app.pool().read(move || work(&desk)).await?
}

/// Has the desk decide something.
async fn decide<T: Send + 'static>(
    app: &App,
    work: impl FnOnce(&Desk) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let desk = app.desk()?;
    app.pool().write(move || work(&desk)).await?
}

/// The home, if all its cameras are the caller's.
fn own(desk: &Desk, caller: &Caller, id: HouseholdId) -> Result<Home, Problem> {
    let home = desk.home(id)?;
    home.cameras.iter().try_for_each(|camera| caller.must_see(&camera.0))?;
    Ok(home)
}

/// Opens the desk as soon as the store is open, and from then on ends what time has ended, notes
/// who looked, and tells residents that they are asked. Cameras and those who look do not wait for
/// it, and what time ends does not wait for a mail server.
pub(super) async fn tend(app: App) {
    let ending = every(TEND_EVERY, || end(&app));
    let telling = every(TELL_EVERY, || outbox::deliver(&app));
    tokio::join!(ending, telling);
}

/// Does `work` again and again; that it failed is in the log.
#[expect(clippy::infinite_loop, reason = "it ends with the task it runs in")]
async fn every<F: Future<Output = Result<(), Problem>>>(time: Duration, work: impl Fn() -> F) {
    let mut every = tokio::time::interval(time);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        match work().await {
            Err(problem) if problem.code() != "unavailable" => {
                let (code, detail) = (problem.code(), problem.detail());
                tracing::error!(code, detail, "the desk of requests cannot be tended");
            }
            _ => {}
        }
    }
}

/// Ends what time has ended, and notes who looked.
async fn end(app: &App) -> Result<(), Problem> {
    if app.desk().is_err() {
        let store = app.store()?;
        let rules = app.config().rules()?;
        let opened = app.pool().write(move || Desk::open(store, rules)).await??;
        app.open_desk(opened);
    }
    decide(app, |desk| Ok(desk.settle()?)).await?;
    note(app).await
}

#[cfg(test)]
mod tests;
