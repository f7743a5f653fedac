//! Who looks at footage that somebody asks for: taken in before the first byte leaves, noted in the
//! ledger a little later.

use axum::http::Method;

use crate::Clip;
use crate::requests::Viewer;

use super::super::access::Caller;
use super::super::app::App;
use super::super::problem::Problem;
use super::decide;

/// Takes in that `caller` is about to get bytes of `clips`.
///
/// # Errors
///
/// `unavailable` when more looks wait to be noted than there is room for: no footage is shown then.
pub(in crate::daemon) fn looked(
    app: &App,
    caller: &Caller,
    method: &Method,
    clips: &[Clip],
) -> Result<(), Problem> {
    // Until the desk is open nobody can ask for anything, and what is asked already is not known.
    let Some(desk) = app.desk().ok().filter(|_| *method == Method::GET) else { return Ok(()) };
    let agency = caller.agency().cloned();
    let who = agency.as_ref().map_or_else(|| caller.name().to_owned(), ToString::to_string);
    let taken_in = desk.looked(&Viewer { who, agency }, clips);
    taken_in.map_err(|refusal| Problem::unavailable(refusal.to_string(), 5))
}

/// Notes the looks that were taken in.
pub(in crate::daemon) async fn note(app: &App) -> Result<(), Problem> {
    decide(app, |desk| Ok(desk.note_looks()?)).await
}
