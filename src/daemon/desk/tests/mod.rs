//! The routes of the desk, called without a socket, over a simulated disk, each with the token that
//! may use it.

mod audit;
mod home_token;
mod oracle;
mod outbox;
mod scope;
mod story;

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

use super::super::access::{Access, TokenFile};
use super::super::app::App;
use super::super::config::Config;
use super::super::disk::Progress;
use super::super::metrics::Metrics;
use super::super::router;
use crate::requests::{Desk, Rules};
use crate::vfs::sim::SimVfs;
use crate::{Clip, ManualClock, Media, NewClip, Retention, Store, Timestamp, Window};

const DAY: Duration = Duration::from_hours(24);
/// Two seconds of video.
const SEGMENT: &[u8] = include_bytes!("../../../../tests/fixtures/segment0.mp4");
const REQUESTS: &str = "/v1/agencies/springfield-pd/requests";

/// A daemon without sockets, its store, its clock, and a token of each kind.
struct Kit {
    store: Store,
    clock: ManualClock,
    app: App,
    router: Router,
    runtime: Runtime,
    tokens: BTreeMap<String, String>,
    _folder: TempDir,
}

/// An answer that was read to its end.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn json(&self) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Asserts that it went well.
    fn ok(self) -> Self {
        let text = String::from_utf8_lossy(&self.body);
        assert!((200..300).contains(&self.status), "{} {text}", self.status);
        self
    }

    fn is_problem(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        assert_eq!(self.json()["code"], code);
    }
}

/// Hour `hour` of the day of the theft.
fn at(hour: u64) -> Timestamp {
    let midnight: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
    midnight.saturating_add(Duration::from_secs(hour * 3_600))
}

impl Kit {
    /// A partner and no homes; it is the day of the theft.
    fn empty() -> Self {
        Self::with(&[])
    }

    /// The same with further settings.
    fn with(settings: &[String]) -> Self {
        let clock = ManualClock::at(at(0));
        let mut flags = vec!["requests.answer_ms=0".to_owned()];
        flags.extend_from_slice(settings);
        let config = Config::new("unused", "", |_| None, &flags).unwrap();
        let mut options = Store::options()
            .segment_bytes(4 << 20)
            .free_space_floor(0)
            .evidence_reserve(4 << 20)
            .retention(Retention::days(5, 10).unwrap())
            .vfs(SimVfs::new(1))
            .clock(clock.clone());
        if config.store.hold_budget_bytes > 0 {
            options = options.hold_budget(config.store.hold_budget_bytes);
        }
        let store = options.open("store").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (access, issued) = Access::open(true, 0, TokenFile::of(folder.path())).unwrap();
        let first = issued.into_iter().map(|token| (token.role.to_string(), token.secret));
        let app = App::new(config, access, Metrics::new(), Progress::default());
        app.open(store.clone());
        app.open_desk(Desk::open(store.clone(), Rules::default()).unwrap());
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(2).enable_all().build().unwrap();
        let (router, tokens) = (router::build(app.clone()), first.collect());
        let mut kit = Self { store, clock, app, router, runtime, tokens, _folder: folder };
        let joins = json!({"agency": "springfield-pd", "contact": "desk@springfield.example"});
        kit.post("operator", "/v1/agencies", &joins).ok();
        kit.issue("agency", "operator", &json!({"role": "agency", "agency": "springfield-pd"}));
        kit
    }

    /// The same with `homes` homes with a clip each of the theft at 18:00; it is the next day.
    fn street(homes: u32) -> Self {
        Self::street_with(homes, &[])
    }

    /// The same with further settings.
    fn street_with(homes: u32, settings: &[String]) -> Self {
        let mut kit = Self::with(settings);
        for home in 1..=homes {
            kit.home(home);
            kit.record(home);
        }
        kit.clock.advance(DAY);
        kit
    }

    /// Registers a home with one camera, with a token of its own.
    fn home(&mut self, home: u32) {
        let camera = format!("door-{home}");
        let place = json!({"lat": 40.0 + f64::from(home) * 0.000_1, "lon": -75.0});
        let cameras = json!([{"camera": camera, "place": place}]);
        let new = json!({"cameras": cameras, "contact": "ann@example.org"});
        let joined = self.post("operator", "/v1/households", &new).ok().json();
        assert_eq!(joined["household"], format!("h{home}"));
        let wanted = json!({"role": "resident", "cameras": [camera]});
        self.issue(&format!("h{home}"), "resident", &wanted);
    }

    fn record(&self, home: u32) -> Clip {
        let window = Window::starting(at(18), Duration::from_secs(2)).unwrap();
        let new = NewClip::new(&format!("door-{home}").parse().unwrap(), window);
        self.store.append(new.media(Media::FragmentedMp4), SEGMENT).unwrap()
    }

    /// Has `by` make the token of `who`.
    fn issue(&mut self, who: &str, by: &str, wanted: &Value) {
        let made = self.post(by, "/v1/tokens", wanted).ok().json();
        self.tokens.insert(who.to_owned(), made["token"].as_str().unwrap().to_owned());
    }

    fn send(&self, who: &str, method: &str, path: &str, key: &str, body: &Value) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = self.tokens.get(who) {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if !key.is_empty() {
            request = request.header("idempotency-key", key);
        }
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let request = request.body(body).unwrap();
        self.runtime.block_on(async {
            let (head, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            Answer { status: head.status.as_u16(), headers: head.headers, body }
        })
    }

    fn get(&self, who: &str, path: &str) -> Answer {
        self.send(who, "GET", path, "", &Value::Null)
    }

    fn post(&self, who: &str, path: &str, body: &Value) -> Answer {
        self.send(who, "POST", path, "", body)
    }

    /// A command that has no body.
    fn tell(&self, who: &str, path: &str) -> Answer {
        self.post(who, path, &Value::Null)
    }

    fn submit(&self, key: &str) -> Answer {
        self.send("agency", "POST", REQUESTS, key, &asking())
    }

    /// Asks, and has it let through.
    fn open(&self) {
        assert_eq!(self.submit("k1").ok().json()["request"], "r1");
        self.tell("operator", "/v1/requests/r1/approve").ok();
    }

    /// What home `home` says to r1.
    fn says(&self, home: u32, what: &str) -> Answer {
        self.tell(&format!("h{home}"), &format!("/v1/households/h{home}/requests/r1/{what}"))
    }

    /// What home `home` sees of its one request.
    fn asked(&self, home: u32) -> Value {
        let path = format!("/v1/households/h{home}/requests");
        self.get(&format!("h{home}"), &path).ok().json()["requests"][0].clone()
    }

    /// The id of the clip of `home`.
    fn clip(&self, home: u32) -> String {
        let camera = format!("door-{home}").parse().unwrap();
        let window = Window::new(at(17), at(19)).unwrap();
        self.store.clips(&camera, window).unwrap().next().unwrap().id().to_string()
    }

    /// Home `home` shares its clip.
    fn share(&self, home: u32) -> Answer {
        let sharing = json!({"clips": [{"clip": self.clip(home)}]});
        let path = format!("/v1/households/h{home}/requests/r1/accept");
        self.post(&format!("h{home}"), &path, &sharing)
    }
}

/// What the agency asks about the theft.
fn asking() -> Value {
    json!({
        "window": {"from": at(17).to_string(), "to": at(20).to_string()},
        "area": {"circle": {"center": {"lat": 40.0, "lon": -75.0}, "radius_m": 300.0}},
        "incident": "26-4471", "kind": "package theft", "contact": "Officer Dunn, 555-0143",
        "words": "A parcel was taken from a porch."
    })
}
