//! The one shape of every error answer: problem details (RFC 9457) with a stable code.
//!
//! Owns the table from what went wrong to status and code. Codes are a promise: a meaning is never
//! changed, new ones are added. A problem says what the caller can do, and never a path of this
//! machine: those go to the log.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Error, ErrorKind};

/// An error answer: `application/problem+json`.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// What kind of problem it is: `urn:clipkeep:problem:CODE`.
    #[serde(rename = "type")]
    kind: String,
    /// The HTTP status.
    status: u16,
    /// A stable code for programs.
    code: &'static str,
    /// The code in a few words.
    title: &'static str,
    /// What happened here, for people.
    detail: String,
    /// How far the opening of the store has come, while that is the problem.
    #[serde(skip_serializing_if = "Option::is_none")]
    opening: Option<Box<Opening>>,
    #[serde(skip)]
    challenge: Option<&'static str>,
    #[serde(skip)]
    retry_after_seconds: Option<u32>,
    #[serde(skip)]
    closes: bool,
}

/// How far the opening of the store has come.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
struct Opening {
    /// Segments that were looked at.
    segments_opened: usize,
    /// Segments that there are, as far as is known.
    segments: usize,
}

/// Every code: its status and title.
pub(super) const CODES: [(&str, u16, &str); 30] = [
    ("invalid-input", 400, "The request cannot be understood"),
    ("media", 400, "The bytes are not the media they should be"),
    ("digest-mismatch", 400, "The bytes are not those that the digest names"),
    ("body-cut-off", 400, "The body ended before its end"),
    ("token-missing", 401, "A token is needed"),
    ("token-invalid", 401, "The token is unknown, expired or revoked"),
    ("forbidden", 403, "The token's role may not do this"),
    ("out-of-scope", 403, "The token is for other cameras, or for another agency"),
    ("not-a-partner", 403, "The agency is no partner, or is suspended"),
    ("not-found", 404, "There is no such thing"),
    ("no-such-route", 404, "There is no such route"),
    ("method-not-allowed", 405, "The route has no such method"),
    ("body-timeout", 408, "The body came too slowly"),
    ("held", 409, "A hold protects it"),
    ("conflict", 409, "The key was used before for something else"),
    ("stream-busy", 409, "Another sender pushes this camera"),
    ("decoder-change", 409, "The decoder set-up changes within the window"),
    ("over", 409, "It has ended, or was answered"),
    ("expired", 410, "It was here, and has expired"),
    ("precondition-failed", 412, "What the request relies on is not so"),
    ("too-large", 413, "The body is too large"),
    ("unsupported-media", 415, "This kind of media is not taken"),
    ("range-not-satisfiable", 416, "There are no such bytes"),
    ("hold-budget", 422, "The hold would pin more than its budget allows"),
    ("over-budget", 422, "The agency has asked for as much as it may"),
    ("too-many-requests", 429, "Too many requests"),
    ("internal", 500, "The store failed"),
    ("corrupt", 500, "Stored bytes are damaged"),
    ("unavailable", 503, "Not now"),
    ("full", 507, "There is no room, and nothing that may go"),
];

impl Problem {
    /// A problem with one of [`CODES`].
    pub(super) fn new(code: &'static str, detail: impl Into<String>) -> Self {
        let row = CODES.iter().find(|row| row.0 == code);
        let (status, title) = row.map_or((500, "The store failed"), |row| (row.1, row.2));
        let kind = format!("urn:clipkeep:problem:{code}");
        let detail = detail.into();
        Self {
            kind,
            status,
            code,
            title,
            detail,
            opening: None,
            challenge: None,
            retry_after_seconds: None,
            closes: false,
        }
    }

    /// The request is wrong; the detail says where.
    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new("invalid-input", detail)
    }

    /// Not now; the same request may work after `seconds`.
    pub(super) fn unavailable(detail: impl Into<String>, seconds: u32) -> Self {
        Self { retry_after_seconds: Some(seconds), ..Self::new("unavailable", detail) }
    }

    /// The store is being opened: `opened` segments of `all` were looked at.
    pub(super) fn opening((segments_opened, segments): (usize, usize)) -> Self {
        let detail = format!("the store is being opened: {segments_opened} of {segments} segments");
        let opening = Some(Box::new(Opening { segments_opened, segments }));
        Self { opening, ..Self::unavailable(detail, 1) }
    }

    /// The same, telling when to try again.
    pub(super) fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after_seconds: Some(seconds), ..self }
    }

    /// The same, naming how to authenticate.
    pub(super) fn challenge(self, challenge: &'static str) -> Self {
        Self { challenge: Some(challenge), ..self }
    }

    /// The same, after which the connection is closed: what else the sender has is not wanted.
    pub(super) fn closing(self) -> Self {
        Self { closes: true, ..self }
    }

    /// The stable code.
    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    /// What happened, for the log.
    pub(super) fn detail(&self) -> &str {
        &self.detail
    }
}

impl Problem {
    /// The whole answer as it goes over a connection that ends with it: for those whose request
    /// is not even read.
    pub(super) fn as_http1(&self) -> Vec<u8> {
        let body = serde_json::to_vec(self).unwrap_or_default();
        let after = self.retry_after_seconds.unwrap_or(1);
        let mut answer = format!(
            "HTTP/1.1 {} {}\r\ncontent-type: application/problem+json\r\n\
             content-length: {}\r\nretry-after: {after}\r\nconnection: close\r\n\r\n",
            self.status,
            self.title,
            body.len()
        )
        .into_bytes();
        answer.extend_from_slice(&body);
        answer
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let code = match error.kind() {
            ErrorKind::InvalidInput => "invalid-input",
            ErrorKind::NotFound => "not-found",
            ErrorKind::Expired => "expired",
            ErrorKind::Held => "held",
            ErrorKind::HoldBudget => "hold-budget",
            ErrorKind::Conflict => "conflict",
            ErrorKind::Media => "media",
            ErrorKind::Unsupported => "unsupported-media",
            ErrorKind::Full => "full",
            ErrorKind::Corrupt => "corrupt",
            ErrorKind::ReadOnly | ErrorKind::Locked | ErrorKind::Poisoned => "unavailable",
            ErrorKind::Io => "internal",
        };
        // The operation and the object without the path: where the store lies is nobody's business.
        let text = error.to_string();
        let detail = match error.path().map(|path| format!(": {}", path.display())) {
            Some(path) => text.replace(&path, ""),
            None => text,
        };
        if matches!(code, "internal" | "corrupt" | "unavailable" | "full") {
            tracing::error!(code, error = ?error, "the store failed");
        }
        Self::new(code, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        let json = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, json);
        if let Some(challenge) = self.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.closes {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response.extensions_mut().insert(ProblemCode(self.code));
        response
    }
}

/// The code of a problem, for those who count answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct ProblemCode(pub(super) &'static str);

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn codes_are_there_once_and_mean_a_failure() {
        for (at, (code, status, _)) in CODES.iter().enumerate() {
            assert!((400..600).contains(status), "{code}");
            assert!(!CODES[at + 1..].iter().any(|row| row.0 == *code), "{code} twice");
        }
    }

    #[test]
    fn codes_are_documented() {
        let documented = include_str!("../../docs/HTTP.md");
        for (code, status, title) in CODES {
            let row = format!("| `{code}` | {status} | {title} |\n");
            assert!(documented.contains(&row), "docs/HTTP.md wants {row}");
        }
    }

    #[test]
    fn every_error_kind_has_a_code_that_exists() {
        let kinds = [
            (ErrorKind::InvalidInput, 400),
            (ErrorKind::NotFound, 404),
            (ErrorKind::Expired, 410),
            (ErrorKind::Held, 409),
            (ErrorKind::HoldBudget, 422),
            (ErrorKind::Conflict, 409),
            (ErrorKind::ReadOnly, 503),
            (ErrorKind::Locked, 503),
            (ErrorKind::Full, 507),
            (ErrorKind::Media, 400),
            (ErrorKind::Corrupt, 500),
            (ErrorKind::Io, 500),
            (ErrorKind::Poisoned, 503),
            (ErrorKind::Unsupported, 415),
        ];
        for (kind, status) in kinds {
            let problem = Problem::from(Error::new(kind, "do a thing"));
            assert_eq!(problem.status, status, "{kind:?}");
            assert!(CODES.iter().any(|row| row.0 == problem.code), "{kind:?}");
        }
    }

    #[test]
    fn a_problem_does_not_say_where_the_store_lies() {
        let error = Error::new(ErrorKind::Corrupt, "read segment").at(Path::new("/srv/x/1.seg"));
        let problem = Problem::from(error.at_offset(7));
        assert_eq!(problem.detail, "read segment at byte 7");
    }
}
