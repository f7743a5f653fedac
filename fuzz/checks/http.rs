//! What requests say in their heads: ranges, preconditions, windows, pages, keys, digests.
//!
//! Asserts that a part is never empty and within what there is, that the range of a well formed
//! header is the one that plain arithmetic gives, that a header about which two readers could
//! differ gives the whole, and that a query is a window and a page within their limits or refused
//! as bad input.

use axum::extract::Query as UrlQuery;
use axum::http::header::{HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH, IF_RANGE, RANGE};
use axum::http::{HeaderMap, Method, Uri};

use super::choices::Choices;
use super::memory;
use crate::daemon::extract::idempotency_key;
use crate::daemon::ingest::clip::content_digest;
use crate::daemon::watch::clips::{ListParams, PAGE_CLIPS_MAX, Query};
use crate::daemon::watch::range::{Wanted, wanted};
use crate::daemon::watch::span::{SHOWN_MAX, Span};

const TAG: &str = "\"tag\"";

/// Input: how; then a query; or a range's numbers; or headers, one a line.
pub fn check(data: &[u8]) {
    let mut choices = Choices::new(data);
    match choices.u8() % 3 {
        0 => query(choices.rest()),
        1 => well_formed(&mut choices),
        _ => headers(&mut choices),
    }
}

fn query(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let Ok(uri) = Uri::try_from(format!("/?{text}")) else { return };
    let most = memory::for_reading(bytes.len());
    if let Ok(UrlQuery(span)) = memory::within(most, || UrlQuery::<Span>::try_from_uri(&uri)) {
        match span.window() {
            Ok(window) => {
                assert!(window.start() < window.end(), "{text:?}");
                let shown = span.shown();
                assert_eq!(shown.is_ok(), window.duration() <= SHOWN_MAX, "{text:?}");
            }
            Err(problem) => assert_eq!(problem.code(), "invalid-input", "{text:?}"),
        }
    }
    let params = memory::within(most, || UrlQuery::<ListParams>::try_from_uri(&uri));
    let Ok(UrlQuery(params)) = params else { return };
    match Query::parse(&params) {
        Ok(query) => {
            assert!((1..=PAGE_CLIPS_MAX).contains(&query.limit), "{text:?}");
            if let Some(rest) = query.rest() {
                let (all, empty) = (query.window, rest.start() >= rest.end());
                let within = all.start() <= rest.start() && rest.end() <= all.end();
                assert!(within && !empty, "the next page is outside: {text:?}");
            }
        }
        Err(problem) => assert_eq!(problem.code(), "invalid-input", "{text:?}"),
    }
}

/// Headers that say exactly one thing.
fn well_formed(choices: &mut Choices<'_>) {
    let (first, last, len) = (number(choices), number(choices), number(choices));
    let answer = |text: String| {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, HeaderValue::try_from(text).unwrap());
        checked(&Method::GET, &headers, len)
    };
    let part = |start: u64, end: u64| {
        if start < end { Wanted::Part(start..end) } else { Wanted::NoSuchBytes }
    };
    let closed = answer(format!("bytes={first}-{last}"));
    if last < first {
        assert_eq!(closed, Wanted::Whole, "{first}-{last}");
    } else {
        let end = u64::try_from((u128::from(last) + 1).min(len.into())).unwrap();
        assert_eq!(closed, part(first, end), "{first}-{last} of {len}");
    }
    assert_eq!(answer(format!("bytes={first}-")), part(first, len), "{first}- of {len}");
    let start = len - len.min(last);
    assert_eq!(answer(format!("bytes=-{last}")), part(start, len), "-{last} of {len}");
    let two = answer(format!("bytes={first}-{last},{last}-{first}"));
    assert_eq!(two, Wanted::Whole, "more than one range");
}

/// A number that is often near another one.
fn number(choices: &mut Choices<'_>) -> u64 {
    match choices.u8() % 4 {
        0 => choices.u8().into(),
        1 => u64::MAX - u64::from(choices.u8()),
        2 => choices.u16().into(),
        _ => choices.u64(),
    }
}

/// Any headers, the interesting ones among them.
fn headers(choices: &mut Choices<'_>) {
    let method = if choices.flag() { Method::GET } else { Method::HEAD };
    let len = number(choices);
    let mut headers = HeaderMap::new();
    for line in choices.rest().split(|byte| *byte == b'\n') {
        let Some((name, value)) = line.split_first() else { continue };
        let Ok(value) = HeaderValue::from_bytes(value) else { continue };
        let name = match name % 6 {
            0 => RANGE,
            1 => IF_RANGE,
            2 => IF_MATCH,
            3 => IF_NONE_MATCH,
            4 => HeaderName::from_static("idempotency-key"),
            _ => HeaderName::from_static("content-digest"),
        };
        headers.append(name, value);
    }
    let asked = checked(&method, &headers, len);
    if method != Method::GET || headers.get_all(RANGE).iter().count() != 1 {
        let partial = matches!(asked, Wanted::Part(_) | Wanted::NoSuchBytes);
        assert!(!partial, "a range that nobody asked for: {headers:?}");
    }
    if let Ok(Some(key)) = idempotency_key(&headers) {
        assert!((1..=128).contains(&key.len()), "{headers:?}");
    }
    match content_digest(&headers) {
        Ok(digest) => assert!(digest.is_none_or(|digest| digest.len() == 32)),
        Err(problem) => assert_eq!(problem.code(), "invalid-input"),
    }
}

/// What is wanted, within what there is; and the same bytes under another tag are another thing.
fn checked(method: &Method, headers: &HeaderMap, len: u64) -> Wanted {
    let asked = wanted(method, headers, len, TAG);
    if let Wanted::Part(part) = &asked {
        assert!(part.start < part.end && part.end <= len, "{part:?} of {len}: {headers:?}");
    }
    if headers.contains_key(IF_RANGE) {
        let other = wanted(method, headers, len, "\"another\"");
        let mixed = matches!((&asked, &other), (Wanted::Part(_), Wanted::Part(_)));
        assert!(!mixed, "one part of two things: {headers:?}");
    }
    asked
}
