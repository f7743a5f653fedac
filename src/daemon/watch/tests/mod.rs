//! The routes for finding and playing, called without a socket, over a simulated disk.

mod bytes_of;
mod find;
mod play;

use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, Method, Request, StatusCode};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

use super::super::access::{Access, TokenFile};
use super::super::app::App;
use super::super::config::Config;
use super::super::disk::Progress;
use super::super::metrics::Metrics;
use super::super::router;
use crate::vfs::sim::SimVfs;
use crate::{CameraId, Clip, ManualClock, Media, NewClip, Retention, Store, Timestamp, Window};

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../../../tests/fixtures/", $name)).as_slice()
    };
}

/// Recordings of two seconds each that follow one another.
const SEGMENTS: [&[u8]; 3] =
    [fixture!("segment0.mp4"), fixture!("segment1.mp4"), fixture!("segment2.mp4")];
/// Another decoder set-up, one second long.
const OTHER: &[u8] = fixture!("hevc.mp4");
/// A stream of four seconds, pictures alone, a fragment a second.
const STREAM: &[u8] = fixture!("video.mp4");
/// Six seconds with sound, in one recording.
const LONGER: &[u8] = fixture!("av.mp4");
/// Four seconds with one index in front.
const PLAIN: &[u8] = fixture!("plain.mp4");

/// A daemon without sockets, its store and its clock.
struct Kit {
    store: Store,
    clock: ManualClock,
    router: Router,
    runtime: Runtime,
}

/// An answer that was read to its end.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn code(&self) -> String {
        self.json()["code"].as_str().unwrap().to_owned()
    }
}

/// Second `second` of the day of the clips.
fn at(second: u64) -> Timestamp {
    let day: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
    day.saturating_add(Duration::from_secs(second))
}

fn camera() -> CameraId {
    "door".parse().unwrap()
}

impl Kit {
    fn new() -> Self {
        let clock = ManualClock::at("2026-11-02T00:00:00Z".parse().unwrap());
        let options = Store::options()
            .segment_bytes(4 << 20)
            .free_space_floor(0)
            .evidence_reserve(4 << 20)
            .retention(Retention::days(5, 10).unwrap())
            .vfs(SimVfs::new(1))
            .clock(clock.clone());
        let store = options.open("store").unwrap();
        let flags = ["access.tokens=false".to_owned()];
        let config = Config::new("unused", "", |_| None, &flags).unwrap();
        let file = TokenFile::of(Path::new("nowhere"));
        let (access, _) = Access::open(false, 0, file).unwrap();
        let app = App::new(config, access, Metrics::new(), Progress::default());
        app.open(store.clone());
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(2).enable_all().build().unwrap();
        Self { store, clock, router: router::build(app), runtime }
    }

    /// The same with the three segments stored from second 0 on.
    fn with_segments() -> Self {
        let kit = Self::new();
        for (index, bytes) in (0..).zip(SEGMENTS) {
            kit.append(index * 2, 2, bytes, Media::FragmentedMp4);
        }
        kit
    }

    fn append(&self, second: u64, seconds: u64, bytes: &'static [u8], media: Media) -> Clip {
        let window = Window::new(at(second), at(second + seconds)).unwrap();
        self.store.append(NewClip::new(&camera(), window).media(media), bytes).unwrap()
    }

    /// Lets `days` pass, and what is due go.
    fn sweep_after_days(&self, days: u64) {
        self.store.seal().unwrap();
        self.clock.advance(Duration::from_hours(24 * days));
        self.store.sweep().unwrap();
    }

    fn send(&self, method: Method, path: &str, headers: &[(HeaderName, String)]) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Body::empty()).unwrap();
        self.runtime.block_on(async {
            let (head, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            Answer { status: head.status, headers: head.headers, body }
        })
    }

    fn get(&self, path: &str, headers: &[(HeaderName, String)]) -> Answer {
        self.send(Method::GET, path, headers)
    }

    fn ok(&self, path: &str) -> Answer {
        let answer = self.get(path, &[]);
        assert_eq!(answer.status, StatusCode::OK, "{path}: {:?}", answer.body);
        answer
    }

    fn problem(&self, path: &str) -> (u16, String) {
        let answer = self.get(path, &[]);
        assert_eq!(answer.header("content-type"), "application/problem+json", "{path}");
        (answer.status.as_u16(), answer.code())
    }
}

/// The path of `route` of the camera, with the window from `from` to `to`.
fn path(route: &str, from: u64, to: u64) -> String {
    format!("/v1/cameras/door/{route}?from={}&to={}", at(from), at(to))
}
