//! Who asks, and whether they may.
//!
//! Owns the decision before any handler runs: a route without a rule is closed to everybody.

mod rules;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;

use crate::CameraId;

use super::app::App;
use super::problem::Problem;

pub(super) use rules::{RULES, Role, Rule};

/// Who may come in.
#[derive(Debug)]
pub(super) struct Access {
    tokens: bool,
}

impl Access {
    pub(super) fn new(tokens: bool) -> Self {
        Self { tokens }
    }
}

/// Who asks: a value that every handler behind a rule finds in its request.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// `None`: tokens are switched off, and this is whoever reached the port.
    role: Option<Role>,
    /// The cameras that the token is for; empty: all.
    cameras: Vec<CameraId>,
    /// For decisions on record and for the log: a token's id, never the token.
    name: String,
}

impl Caller {
    /// Whether the token is for `camera`.
    pub(super) fn sees(&self, camera: &CameraId) -> bool {
        self.cameras.is_empty() || self.cameras.contains(camera)
    }

    /// Refuses cameras that the token is not for, in the words of a camera that does not exist
    /// to those who look: nobody can try out names.
    ///
    /// # Errors
    ///
    /// `out-of-scope`.
    pub(super) fn must_see(&self, camera: &CameraId) -> Result<(), Problem> {
        if self.sees(camera) {
            return Ok(());
        }
        Err(Problem::new("out-of-scope", "the token is for other cameras"))
    }

    /// Who it is, for decisions on record.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The role; `None` where tokens are switched off.
    pub(super) fn role(&self) -> Option<Role> {
        self.role
    }
}

/// Lets a request through to its handler, or not. Stands before every route.
pub(super) async fn guard(State(app): State<App>, mut request: Request, next: Next) -> Response {
    match decide(&app, &request) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => axum::response::IntoResponse::into_response(problem),
    }
}

fn decide(app: &App, request: &Request) -> Result<Caller, Problem> {
    let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let rule = Rule::of(request.method(), path)
        .ok_or_else(|| Problem::new("forbidden", "nobody may use this route"))?;
    let anybody = Caller { role: None, cameras: Vec::new(), name: "anybody".to_owned() };
    if rule.is_open() || !app.access().tokens {
        return Ok(anybody);
    }
    Err(Problem::new("token-missing", "this route needs a token"))
}
