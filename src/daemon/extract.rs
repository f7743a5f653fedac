//! What a request says, parsed once: an error is a problem document, never plain text.

use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::requests::{AgencyId, HouseholdId, PostId, RequestId};
use crate::{CameraId, ClipId, HoldId, Result as StoreResult, Timestamp, Window};

use super::problem::Problem;

/// The query, as a struct of its parameters. Unknown ones are the struct's business.
#[derive(Debug)]
pub(super) struct Params<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(params)) => Ok(Self(params)),
            Err(rejected) => Err(Problem::invalid(rejected.body_text())),
        }
    }
}

/// The first part of the path that varies, as what it names: a camera, a clip, a hold.
#[derive(Debug)]
pub(super) struct Named<T>(pub(super) T);

impl<S: Send + Sync, T: PathName> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let Path(found) = path.map_err(|rejected| Problem::invalid(rejected.body_text()))?;
        let named = found.iter().find(|(name, _)| name == T::PARAMETER);
        let Some((_, text)) = named else {
            return Err(Problem::invalid(format!("the path has no {}", T::PARAMETER)));
        };
        Ok(Self(T::parse(text)?))
    }
}

/// What can stand in a path.
pub(super) trait PathName: Sized {
    /// The name of the parameter in the route's template.
    const PARAMETER: &'static str;

    /// What `text` names.
    fn parse(text: &str) -> StoreResult<Self>;
}

impl PathName for CameraId {
    const PARAMETER: &'static str = "camera";

    fn parse(text: &str) -> StoreResult<Self> {
        text.parse()
    }
}

impl PathName for ClipId {
    const PARAMETER: &'static str = "clip";

    fn parse(text: &str) -> StoreResult<Self> {
        text.parse()
    }
}

impl PathName for HoldId {
    const PARAMETER: &'static str = "hold";

    fn parse(text: &str) -> StoreResult<Self> {
        text.parse()
    }
}

impl PathName for AgencyId {
    const PARAMETER: &'static str = "agency";

    fn parse(text: &str) -> StoreResult<Self> {
        Ok(Self::new(text)?)
    }
}

impl PathName for RequestId {
    const PARAMETER: &'static str = "request";

    fn parse(text: &str) -> StoreResult<Self> {
        Ok(text.parse::<Self>()?)
    }
}

impl PathName for HouseholdId {
    const PARAMETER: &'static str = "household";

    fn parse(text: &str) -> StoreResult<Self> {
        Ok(text.parse::<Self>()?)
    }
}

impl PathName for PostId {
    const PARAMETER: &'static str = "post";

    fn parse(text: &str) -> StoreResult<Self> {
        Ok(text.parse::<Self>()?)
    }
}

/// The body, as JSON, whatever the content type says.
#[derive(Debug)]
pub(super) struct JsonBody<T>(pub(super) T);

/// The largest JSON body.
const JSON_BYTES_MAX: usize = 64 << 10;
/// How long it may take to come.
const JSON_WAIT: Duration = Duration::from_secs(10);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let body = axum::body::to_bytes(request.into_body(), JSON_BYTES_MAX);
        let body = tokio::time::timeout(JSON_WAIT, body).await;
        let body = body.map_err(|_elapsed| {
            Problem::new("body-timeout", "the JSON did not come in time").closing()
        })?;
        let body = body.map_err(|error| {
            Problem::new("too-large", format!("JSON above {JSON_BYTES_MAX} bytes: {error}"))
        })?;
        let parsed = serde_json::from_slice(&body);
        parsed.map(Self).map_err(|error| Problem::invalid(format!("body: {error}")))
    }
}

/// The longest `Idempotency-Key`.
const KEY_BYTES_MAX: usize = 128;

/// The `Idempotency-Key`, where there is one.
///
/// # Errors
///
/// `invalid-input` for one that is empty, too long, or no plain text.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    match value.to_str() {
        Ok(text) if !text.is_empty() && text.len() <= KEY_BYTES_MAX => Ok(Some(text.to_owned())),
        _ => {
            Err(Problem::invalid(format!("Idempotency-Key: want 1 to {KEY_BYTES_MAX} characters")))
        }
    }
}

/// `text` as a time.
///
/// # Errors
///
/// `invalid-input`, naming the parameter.
pub(super) fn time(parameter: &str, text: &str) -> Result<Timestamp, Problem> {
    text.parse().map_err(|error| Problem::invalid(format!("{parameter}: {error}")))
}

/// The window of the parameters `from` and `to`.
///
/// # Errors
///
/// `invalid-input` when one is no time, or `to` is not after `from`.
pub(super) fn window(from: &str, to: &str) -> Result<Window, Problem> {
    let (from, to) = (time("from", from)?, time("to", to)?);
    Window::new(from, to).map_err(|error| Problem::invalid(error.to_string()))
}
