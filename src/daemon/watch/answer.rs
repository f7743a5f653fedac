//! An answer with bytes of a known length: its headers, and which of the bytes are sent.

use std::fmt::Write as _;

use axum::body::Body;
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    ETAG, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};

use super::super::app::App;
use super::super::problem::Problem;
use super::range::{Wanted, wanted};
use super::source::{self, Source};

/// What can be sent, and what is said of it.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) len: u64,
    /// What identifies its bytes, every one of them.
    pub(super) digest: [u8; 32],
    pub(super) media_type: &'static str,
    /// What a browser calls it when it is saved.
    pub(super) file_name: Option<String>,
    /// What else is said of it.
    pub(super) more: Vec<(HeaderName, String)>,
    pub(super) source: Source,
}

/// Answers a request of `method` with `headers` for `content`: 200, 206, 304, 412 or 416.
///
/// # Errors
///
/// Those of reading the first bytes.
pub(super) async fn answer(
    app: &App,
    method: &Method,
    headers: &HeaderMap,
    content: Content,
) -> Result<Response, Problem> {
    let etag = format!("\"{}\"", hex(&content.digest));
    let len = content.len;
    let (status, range) = match wanted(method, headers, len, &etag) {
        Wanted::Whole => (StatusCode::OK, 0..len),
        Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Wanted::NotModified => {
            let mut response = StatusCode::NOT_MODIFIED.into_response();
            describe(response.headers_mut(), &content, &etag);
            return Ok(response);
        }
        Wanted::Changed => {
            return Err(Problem::new("precondition-failed", "it is not what If-Match names"));
        }
        Wanted::NoSuchBytes => return Ok(no_such_bytes(len, &etag)),
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let out = response.headers_mut();
    describe(out, &content, &etag);
    out.insert(CONTENT_TYPE, HeaderValue::from_static(content.media_type));
    out.insert(CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
    if status == StatusCode::PARTIAL_CONTENT {
        let shown = format!("bytes {}-{}/{len}", range.start, range.end - 1);
        insert(out, CONTENT_RANGE, &shown);
    }
    if let Some(name) = &content.file_name {
        insert(out, CONTENT_DISPOSITION, &format!("inline; filename=\"{name}\""));
    }
    if *method == Method::GET {
        *response.body_mut() = source::body(app, content.source, range).await?;
    }
    Ok(response)
}

/// What 200, 206 and 304 say alike.
fn describe(headers: &mut HeaderMap, content: &Content, etag: &str) {
    insert(headers, ETAG, etag);
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    // A copy in a cache would outlive the expiry of the footage.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    for (name, value) in &content.more {
        insert(headers, name.clone(), value);
    }
}

fn no_such_bytes(len: u64, etag: &str) -> Response {
    let detail = format!("there are {len} bytes, and the range begins behind them");
    let mut response = Problem::new("range-not-satisfiable", detail).into_response();
    let headers = response.headers_mut();
    insert(headers, CONTENT_RANGE, &format!("bytes */{len}"));
    insert(headers, ETAG, etag);
    response
}

/// Sets a header whose text we made: of ids, times and digits.
fn insert(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}

/// `bytes` in hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        // A string takes whatever is written to it.
        write!(hex, "{byte:02x}").ok();
        hex
    })
}
