//! Which bytes a request wants: `Range`, `If-Range` and the preconditions of RFC 9110.
//!
//! Pure. The one place that reads these headers: clips, windows and playlists all ask here. What
//! is not understood in `Range` is ignored, as the RFC allows, and the whole is sent: players that
//! ask for something odd still play.

use std::ops::Range;

use axum::http::header::{IF_MATCH, IF_NONE_MATCH, IF_RANGE, RANGE};
use axum::http::{HeaderMap, HeaderName, Method};

/// What a request wants of a representation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of it: 200.
    Whole,
    /// These bytes, never none: 206.
    Part(Range<u64>),
    /// Nothing, it has it already: 304.
    NotModified,
    /// Nothing, it is not what the request relies on: 412.
    Changed,
    /// Bytes that there are not: 416.
    NoSuchBytes,
}

/// What the request with these `headers` wants of `len` bytes with the strong `etag`, which
/// includes its quotes.
pub(crate) fn wanted(method: &Method, headers: &HeaderMap, len: u64, etag: &str) -> Wanted {
    // In the order of RFC 9110, 13.2.2.
    if let Some(tags) = list(headers, &IF_MATCH)
        && !tags.iter().any(|tag| tag == "*" || tag == etag)
    {
        return Wanted::Changed;
    }
    let same = |tag: &String| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag;
    if list(headers, &IF_NONE_MATCH).is_some_and(|tags| tags.iter().any(same)) {
        return Wanted::NotModified;
    }
    if *method != Method::GET {
        return Wanted::Whole;
    }
    // A weak tag, another one, or a date: the part would not fit to what the client has.
    if headers.get(IF_RANGE).is_some_and(|given| given.as_bytes() != etag.as_bytes()) {
        return Wanted::Whole;
    }
    let mut given = headers.get_all(RANGE).iter();
    let (Some(range), None) = (given.next(), given.next()) else { return Wanted::Whole };
    match range.to_str().ok().and_then(one_range) {
        Some(spec) => spec.of(len),
        None => Wanted::Whole,
    }
}

/// The members of a header that is a list, over all its lines; `None` when it is not there.
fn list(headers: &HeaderMap, name: &HeaderName) -> Option<Vec<String>> {
    headers.contains_key(name).then(|| {
        let lines = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        let members = lines.flat_map(|line| line.split(','));
        members.map(|member| member.trim().to_owned()).collect()
    })
}

/// One range, as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spec {
    /// From a byte on, up to one that is included.
    From(u64, Option<u64>),
    /// This many bytes at the end.
    Last(u64),
}

impl Spec {
    fn of(self, len: u64) -> Wanted {
        let range = match self {
            Self::From(first, last) => {
                first..last.map_or(len, |last| last.saturating_add(1)).min(len)
            }
            Self::Last(count) => len.saturating_sub(count)..len,
        };
        if range.start < range.end { Wanted::Part(range) } else { Wanted::NoSuchBytes }
    }
}

/// The range of `header` when it asks for bytes, in one range, and is well formed.
fn one_range(header: &str) -> Option<Spec> {
    let (unit, set) = header.split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    // Empty members of a list count for nothing.
    let mut members = set.split(',').map(str::trim).filter(|member| !member.is_empty());
    let (Some(member), None) = (members.next(), members.next()) else { return None };
    let (first, last) = member.split_once('-')?;
    match (number(first), number(last)) {
        (Some(first), None) if last.is_empty() => Some(Spec::From(first, None)),
        (None, Some(count)) if first.is_empty() => Some(Spec::Last(count)),
        (Some(first), Some(last)) if first <= last => Some(Spec::From(first, Some(last))),
        _ => None,
    }
}

/// Digits as a number: the largest there is when they say more.
fn number(digits: &str) -> Option<u64> {
    let plain = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    plain.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const TAG: &str = "\"tag\"";

    fn headers(given: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(name.clone(), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn of(given: &[(HeaderName, &str)]) -> Wanted {
        wanted(&Method::GET, &headers(given), 1_000, TAG)
    }

    #[test]
    fn every_kind_of_range_has_its_answer() {
        use Wanted::{NoSuchBytes, Part, Whole};
        for (range, answer) in [
            ("bytes=0-0", Part(0..1)),
            ("bytes=0-", Part(0..1_000)),
            ("bytes=0-999", Part(0..1_000)),
            ("bytes=0-1000", Part(0..1_000)),
            ("bytes=999-999", Part(999..1_000)),
            ("bytes=999-", Part(999..1_000)),
            ("bytes=-1", Part(999..1_000)),
            ("bytes=-1000", Part(0..1_000)),
            ("bytes=-1001", Part(0..1_000)),
            ("bytes=-99999999999999999999999", Part(0..1_000)),
            ("bytes=10-99999999999999999999999", Part(10..1_000)),
            ("bytes=00-09", Part(0..10)),
            ("BYTES=5-9", Part(5..10)),
            ("bytes= 5-9 ,", Part(5..10)),
            ("bytes=,5-9", Part(5..10)),
            ("bytes=1000-", NoSuchBytes),
            ("bytes=1000-1000", NoSuchBytes),
            ("bytes=99999999999999999999999-", NoSuchBytes),
            ("bytes=-0", NoSuchBytes),
            ("bytes=5-4", Whole),
            ("bytes=99999999999999999999999-5", Whole),
            ("bytes=", Whole),
            ("bytes=-", Whole),
            ("bytes=--1", Whole),
            ("bytes=+1-2", Whole),
            ("bytes=-+2", Whole),
            ("bytes=1", Whole),
            ("bytes=1-2-3", Whole),
            ("bytes=a-b", Whole),
            ("bytes=0x1-0x2", Whole),
            ("bytes=1.5-2", Whole),
            ("bytes=1 - 2", Whole),
            ("bytes=0-1,5-6", Whole),
            ("bytes=2000-,3000-", Whole),
            ("bytes 0-1", Whole),
            ("bytes:0-1", Whole),
            ("items=0-1", Whole),
            ("=0-1", Whole),
            ("", Whole),
            ("0-1", Whole),
        ] {
            assert_eq!(of(&[(RANGE, range)]), answer, "{range:?}");
        }
        let twice = [(RANGE, "bytes=0-1"), (RANGE, "bytes=2-3")];
        assert_eq!(of(&twice), Whole, "which of the two?");
    }

    #[test]
    fn a_range_counts_for_get_alone() {
        let headers = headers(&[(RANGE, "bytes=2000-")]);
        assert_eq!(wanted(&Method::HEAD, &headers, 1_000, TAG), Wanted::Whole);
    }

    #[test]
    fn nothing_is_no_range_of() {
        let headers = headers(&[(RANGE, "bytes=0-")]);
        assert_eq!(wanted(&Method::GET, &headers, 0, TAG), Wanted::NoSuchBytes);
    }

    #[test]
    fn a_part_is_only_sent_to_who_has_the_same_bytes() {
        for (if_range, answer) in [
            (TAG, Wanted::Part(0..2)),
            ("\"other\"", Wanted::Whole),
            ("W/\"tag\"", Wanted::Whole),
            ("tag", Wanted::Whole),
            ("Tue, 24 Nov 2026 00:00:00 GMT", Wanted::Whole),
        ] {
            assert_eq!(of(&[(RANGE, "bytes=0-1"), (IF_RANGE, if_range)]), answer, "{if_range}");
        }
        let past = [(RANGE, "bytes=2000-"), (IF_RANGE, "\"other\"")];
        assert_eq!(of(&past), Wanted::Whole, "it never was a part of what is here");
    }

    #[test]
    fn preconditions_are_looked_at_before_ranges() {
        use Wanted::{Changed, NotModified, Part};
        for (name, value, answer) in [
            (IF_NONE_MATCH, TAG, NotModified),
            (IF_NONE_MATCH, "W/\"tag\"", NotModified),
            (IF_NONE_MATCH, "\"a\", \"tag\"", NotModified),
            (IF_NONE_MATCH, "*", NotModified),
            (IF_NONE_MATCH, "\"a\"", Part(0..2)),
            (IF_NONE_MATCH, "", Part(0..2)),
            (IF_MATCH, TAG, Part(0..2)),
            (IF_MATCH, "*", Part(0..2)),
            (IF_MATCH, "\"a\",\"tag\"", Part(0..2)),
            (IF_MATCH, "W/\"tag\"", Changed),
            (IF_MATCH, "\"a\"", Changed),
            (IF_MATCH, "", Changed),
        ] {
            assert_eq!(
                of(&[(RANGE, "bytes=0-1"), (name.clone(), value)]),
                answer,
                "{name} {value}"
            );
        }
        let both = [(IF_MATCH, "\"a\""), (IF_NONE_MATCH, TAG)];
        assert_eq!(of(&both), Changed);
    }
}
