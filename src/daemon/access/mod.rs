//! Who asks, and whether they may.
//!
//! Owns the decision before any handler runs: a route without a rule is closed to everybody. Says
//! in the log who looked at which footage, and never writes a token there.

mod file;
mod limit;
mod routes;
mod rules;
mod token;

use std::sync::Arc;

use axum::RequestExt as _;
use axum::extract::{MatchedPath, RawPathParams, Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use parking_lot::{Mutex, RwLock};

use crate::requests::{AgencyId, HouseholdId};
use crate::{CameraId, Clock as _, Result as StoreResult, SystemClock};

use super::app::App;
use super::problem::Problem;
use limit::Limit;
use token::TokenSet;

pub(crate) use file::TokenFile;
#[cfg(feature = "cli")]
pub(crate) use file::TokenLine;
pub(super) use routes::routes;
pub(crate) use rules::Role;
pub(super) use rules::{RULES, Rule, Touches};
pub(crate) use token::{Issued, NewToken};

/// Who may come in.
#[derive(Debug)]
pub(super) struct Access {
    /// Whether tokens are asked for.
    tokens: bool,
    file: TokenFile,
    set: RwLock<Arc<TokenSet>>,
    /// The version of the file that `set` is.
    seen: Mutex<Option<(u64, i64, i64)>>,
    limit: Limit,
}

impl Access {
    /// Reads the tokens; where there never were any, makes one of each role that a home needs and
    /// answers them, to be shown once.
    ///
    /// # Errors
    ///
    /// Those of the file.
    pub(super) fn open(
        tokens: bool,
        per_second: u32,
        file: TokenFile,
    ) -> StoreResult<(Self, Vec<Issued>)> {
        let mut issued = Vec::new();
        if tokens && !file.exists() {
            for role in [Role::Operator, Role::Resident, Role::Camera] {
                let name = "made at the first start".to_owned();
                let cameras = Vec::new();
                let (household, agency, expires) = (None, None, None);
                let new = NewToken { role, cameras, household, agency, name, expires };
                issued.push(file.add(&new)?);
            }
        }
        let seen = Mutex::new(file.version());
        let set = RwLock::new(Arc::new(file.load()?));
        Ok((Self { tokens, file, set, seen, limit: Limit::new(per_second) }, issued))
    }

    /// Reads the file again, if it is another one than it was. What cannot be read changes nothing:
    /// those who were let in yesterday still are, and the log says so.
    pub(super) fn reload(&self) {
        let version = self.file.version();
        let mut seen = self.seen.lock();
        if version.is_some() && *seen == version {
            return;
        }
        match self.file.load() {
            Ok(set) => {
                *self.set.write() = Arc::new(set);
                *seen = version;
            }
            Err(error) => tracing::error!(error = ?error, "the tokens cannot be read"),
        }
    }

    /// Who presents these headers.
    fn caller(&self, method: &Method, headers: &HeaderMap) -> Result<Caller, Problem> {
        if !self.tokens {
            return Ok(Caller::anybody());
        }
        let presented = presented(method, headers)
            .ok_or_else(|| Problem::new("token-missing", "this route needs a token"))?;
        let set = Arc::clone(&self.set.read());
        let token = set.find(&presented).filter(|token| token.is_good(SystemClock.wall()));
        let scoped = token.and_then(|token| Some((token, token.scope()?, token.home().ok()?)));
        let (token, cameras, household) = scoped.ok_or_else(|| {
            Problem::new("token-invalid", "the token is unknown, expired or revoked")
        })?;
        if !self.limit.lets(&token.id) {
            return Err(Problem::new("too-many-requests", "too many requests").retry_after(1));
        }
        let agency = token.agency.as_ref().and_then(|agency| agency.parse().ok());
        let name = format!("token {}", token.id);
        Ok(Caller { role: Some(token.role), cameras, household, agency, name })
    }
}

impl Access {
    /// Who signs beside `caller`, by `Second-Authorization`: another token of the same role.
    ///
    /// # Errors
    ///
    /// `token-invalid`; `forbidden` for a second who is none.
    pub(super) fn second(
        &self,
        caller: &Caller,
        headers: &HeaderMap,
    ) -> Result<Option<Caller>, Problem> {
        let Some(value) = headers.get("second-authorization") else { return Ok(None) };
        let signed = HeaderMap::from_iter([(header::AUTHORIZATION, value.clone())]);
        let second = self.caller(&Method::POST, &signed)?;
        if second.role != caller.role || second.name == caller.name {
            let detail = "Second-Authorization: want another token of the same role";
            return Err(Problem::new("forbidden", detail));
        }
        Ok(Some(second))
    }
}

/// The token in these headers: `Bearer`, the password of `Basic` (ffmpeg's `user:pass@`), or, for
/// those who look, the cookie that a page cannot read.
fn presented(method: &Method, headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(authorization) = text(header::AUTHORIZATION) {
        let (scheme, rest) = authorization.split_once(' ')?;
        if scheme.eq_ignore_ascii_case("bearer") {
            return Some(rest.trim().to_owned());
        }
        let decoded =
            BASE64.decode(rest.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"));
        let decoded = String::from_utf8(decoded?).ok()?;
        return decoded.split_once(':').map(|(_, password)| password.to_owned());
    }
    // Another site can make a browser send a cookie: never for anything that changes something.
    if method != Method::GET && method != Method::HEAD {
        return None;
    }
    let cookies = text(header::COOKIE)?.split(';');
    cookies
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find_map(|(name, value)| (name == routes::COOKIE).then(|| value.to_owned()))
}

/// Who asks: a value that every handler behind a rule finds in its request.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// `None`: tokens are switched off, and this is whoever reached the port.
    role: Option<Role>,
    /// The cameras that the token is for; empty: all, unless it is of a home.
    cameras: Vec<CameraId>,
    /// The home that the token is of.
    household: Option<HouseholdId>,
    /// The agency that the token is of.
    agency: Option<AgencyId>,
    /// For decisions on record and for the log: a token's id, never the token.
    name: String,
}

impl Caller {
    fn anybody() -> Self {
        let (cameras, name) = (Vec::new(), "anybody".to_owned());
        Self { role: None, cameras, household: None, agency: None, name }
    }

    /// Whether the token is for `camera`.
    pub(super) fn sees(&self, camera: &CameraId) -> bool {
        self.sees_all() || self.cameras.contains(camera)
    }

    /// Whether the token is for every camera there is.
    pub(super) fn sees_all(&self) -> bool {
        self.cameras.is_empty() && self.household.is_none()
    }

    /// Refuses cameras that the token is not for.
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

    /// Refuses an agency's token for what is another agency's.
    ///
    /// # Errors
    ///
    /// `out-of-scope`.
    fn must_be_of(&self, agency: &AgencyId) -> Result<(), Problem> {
        if self.role != Some(Role::Agency) || self.agency.as_ref() == Some(agency) {
            return Ok(());
        }
        Err(Problem::new("out-of-scope", "the token is of another agency"))
    }

    /// Who it is, for decisions on record.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The agency that the token is of, if it is one's.
    pub(super) fn agency(&self) -> Option<&AgencyId> {
        self.agency.as_ref()
    }

    /// Whether it has this role, or tokens are switched off.
    pub(super) fn is(&self, role: Role) -> bool {
        self.role.is_none_or(|own| own == role)
    }

    /// The cameras that the token is for; empty: all.
    pub(super) fn cameras(&self) -> &[CameraId] {
        &self.cameras
    }
}

/// Lets a request through to its handler, or not. Stands before every route.
pub(super) async fn guard(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let (rule, caller) = match decide(&app, &mut request).await {
        Ok(decided) => decided,
        Err(problem) => return problem.into_response(),
    };
    let shows = (rule.touches == Touches::Footage).then(|| request.uri().clone());
    let name = caller.name.clone();
    request.extensions_mut().insert(caller);
    let response = next.run(request).await;
    if let Some(what) = shows {
        let (path, query, status) = (what.path(), what.query(), response.status().as_u16());
        tracing::info!(target: "clipkeep::access", who = name, path, query, status, "footage");
    }
    response
}

/// The cameras that a home has now.
async fn cameras_of(app: &App, id: HouseholdId) -> Result<Vec<CameraId>, Problem> {
    let desk = app.desk()?;
    let home = app.pool().read(move || desk.home(id)).await?;
    let gone = |_| Problem::new("token-invalid", "the token's home has left").closing();
    Ok(home.map_err(gone)?.cameras.into_iter().map(|camera| camera.0).collect())
}

async fn decide(app: &App, request: &mut Request) -> Result<(&'static Rule, Caller), Problem> {
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let path = matched.as_ref().map_or("", MatchedPath::as_str);
    let Some(rule) = Rule::of(request.method(), path) else {
        let code = if Rule::is_for(path) { "method-not-allowed" } else { "forbidden" };
        return Err(Problem::new(code, "nobody may do this here"));
    };
    let Some(roles) = rule.roles else { return Ok((rule, Caller::anybody())) };
    let asked = app.access().caller(request.method(), request.headers());
    // Those who push know Basic, and ffmpeg asks for it; a browser would ask its user.
    let challenge = match rule.touches {
        Touches::Ingest => "Basic realm=\"clipkeep\"",
        Touches::Nothing | Touches::Footage => "Bearer realm=\"clipkeep\"",
    };
    let mut caller = asked.map_err(|problem| match problem.code() {
        "token-missing" | "token-invalid" => problem.challenge(challenge).closing(),
        _ => problem,
    })?;
    if let Some(role) = caller.role
        && !roles.contains(&role)
    {
        let detail = format!("a token with the role {role} may not do this");
        return Err(Problem::new("forbidden", detail).closing());
    }
    if let Some(home) = caller.household {
        caller.cameras = cameras_of(app, home).await?;
    }
    let parts = request.extract_parts::<RawPathParams>().await;
    let parts = parts.map_err(|rejected| Problem::invalid(rejected.body_text()))?;
    if let Some((_, camera)) = parts.iter().find(|(name, _)| *name == "camera") {
        caller.must_see(&camera.parse()?)?;
    }
    if let Some((_, agency)) = parts.iter().find(|(name, _)| *name == "agency") {
        caller.must_be_of(&agency.parse()?)?;
    }
    Ok((rule, caller))
}
