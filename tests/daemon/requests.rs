//! The desk of requests in the real daemon: bundles that are larger than its memory may grow, who
//! looked, and that what is personal stays where it belongs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clipkeep::requests::{Desk, NewHousehold, Place, Rules, Text, evidence};
use clipkeep::{Clock as _, NewClip, Store, Window};
use serde_json::{Value, json};

use crate::inbox::{Ago, street};
use crate::kit::{Answer, Daemon};

pub(crate) const REQUESTS: &str = "/v1/agencies/springfield-pd/requests";

/// A daemon with one token of each kind.
struct Town {
    daemon: Daemon,
    operator: String,
    resident: String,
    agency: String,
}

impl Town {
    fn over(settings: &[&str], fill: impl FnOnce(&Path)) -> Self {
        let always = ["requests.answer_ms=0", "access.requests_per_second=100000"];
        let all: Vec<&str> = always.iter().chain(settings).copied().collect();
        let daemon = Daemon::over(&all, fill);
        daemon.until("/v1/agencies", |answer| answer.status == 200);
        let first = |role: &str| daemon.hello["tokens"][role].as_str().unwrap().to_owned();
        let (operator, resident) = (first("operator"), first("resident"));
        let mut town = Self { daemon, operator, resident, agency: String::new() };
        let wanted = json!({"role": "agency", "agency": "springfield-pd"});
        let made = town.post(&town.operator, "/v1/tokens", &wanted).ok().json();
        made["token"].as_str().unwrap().clone_into(&mut town.agency);
        town
    }

    fn ask(&self, token: &str, method: &str, path: &str, more: &[&str], body: &Value) -> Answer {
        let bearer = format!("Authorization: Bearer {token}");
        let headers: Vec<&str> = [bearer.as_str()].iter().chain(more).copied().collect();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.daemon.ask(method, path, &headers, body.as_bytes())
    }

    fn get(&self, token: &str, path: &str) -> Answer {
        self.ask(token, "GET", path, &[], &Value::Null)
    }

    fn post(&self, token: &str, path: &str, body: &Value) -> Answer {
        self.ask(token, "POST", path, &[], body)
    }

    /// Asks for the last hour but its last 25 minutes, and lets it through.
    fn open(&self, asking: &Value) {
        self.post(&self.agency, REQUESTS, asking).ok();
        self.post(&self.operator, "/v1/requests/r1/approve", &Value::Null).ok();
    }

    /// The ids of the clips of camera `front`.
    fn clips(&self) -> Vec<String> {
        let (from, to) = (Ago(60).wall(), Ago(0).wall());
        let path = format!("/v1/cameras/front/clips?from={from}&to={to}&limit=1000");
        let listed = self.get(&self.resident, &path).ok().json();
        let clips = listed["clips"].as_array().unwrap().iter();
        clips.map(|clip| clip["id"].as_str().unwrap().to_owned()).collect()
    }

    /// The home shares these clips.
    fn share(&self, clips: &[String]) {
        let clips: Vec<Value> = clips.iter().map(|clip| json!({"clip": clip})).collect();
        let path = "/v1/households/h1/requests/r1/accept";
        self.post(&self.resident, path, &json!({"clips": clips})).ok();
    }
}

/// What a department asks for: twenty minutes of the last hour, around camera `front`.
pub(crate) fn asking() -> Value {
    json!({
        "key": "k1",
        "window": {"from": Ago(45).wall().to_string(), "to": Ago(25).wall().to_string()},
        "area": {"circle": {"center": {"lat": 40.012, "lon": -75.046}, "radius_m": 300.0}},
        "incident": "26-4471-PARCEL", "kind": "theft of a parcel",
        "contact": "officer.dunn@springfield.example", "words": "A man with a blue van.",
    })
}

const LARGE_CLIP_BYTES: usize = 8 << 20;
const LARGE_CLIPS: u32 = 12;

/// A partner, and a home with clips of 96 MiB.
fn large(dir: &Path) {
    let store = Store::options().segment_bytes(64 << 20).clock(Ago(50)).open(dir).unwrap();
    let desk = Desk::open(store, Rules::default()).unwrap();
    desk.join_agency(&"springfield-pd".parse().unwrap(), "").unwrap();
    let camera: clipkeep::CameraId = "front".parse().unwrap();
    let cameras = vec![(Text(camera.clone()), Place { lat: 40.0123, lon: -75.0456 })];
    desk.join_household(&NewHousehold { cameras, contact: String::new() }).unwrap();
    drop(desk);
    let store = Store::options().segment_bytes(64 << 20).open(dir).unwrap();
    for number in 0..LARGE_CLIPS {
        let start = Ago(40).wall().saturating_add(Duration::from_secs(10 * u64::from(number)));
        let window = Window::starting(start, Duration::from_secs(10)).unwrap();
        let bytes: Vec<u8> = number.to_le_bytes().repeat(LARGE_CLIP_BYTES / 4);
        store.append(NewClip::new(&camera, window), bytes).unwrap();
    }
    store.close().unwrap();
}

#[test]
fn a_bundle_is_sent_in_a_memory_that_does_not_grow_with_it() {
    let town = Town::over(&["store.segment_bytes=67108864"], large);
    town.open(&asking());
    let clips = town.clips();
    assert_eq!(clips.len(), 12);
    town.share(&clips);
    let path = format!("{REQUESTS}/r1/bundle");
    let before = town.daemon.peak_kib();
    let whole = town.get(&town.agency, &path).ok();
    let grown = town.daemon.peak_kib() - before;
    let footage_kib = LARGE_CLIP_BYTES * clips.len() / 1024;
    assert!(grown < 24 << 10, "{grown} KiB more for {footage_kib} KiB of footage");
    assert!(whole.body.len() > footage_kib * 1024);
    assert_eq!(whole.header("content-length"), Some(&*whole.body.len().to_string()));
    let key = town.daemon.get("/v1/key").ok().json()["key"].as_str().unwrap().parse().unwrap();
    let report = evidence::check(&*whole.body, &[key]);
    assert!(report.findings.is_empty() && report.clips.len() == 12, "{report:?}");
    // What broke off goes on where it did, although the hand-over alone would change the next one.
    let etag = whole.header("etag").unwrap().to_owned();
    let begin = whole.body.len() / 2;
    let range = format!("Range: bytes={begin}-");
    let if_range = format!("If-Range: {etag}");
    let rest = town.ask(&town.agency, "GET", &path, &[&range, &if_range], &Value::Null);
    assert_eq!((rest.status, &rest.body[..]), (206, &whole.body[begin..]));
    let head = town.ask(&town.agency, "HEAD", &path, &[], &Value::Null);
    assert!(head.status == 200 && head.header("content-length").is_some(), "{}", head.head);
    let audit = town.get(&town.operator, "/v1/audit").ok().text();
    assert_eq!(audit.matches("fetched what is shared").count(), 1, "it was one fetch");
}

#[test]
fn who_looks_at_what_is_asked_for_is_on_record_and_the_rest_is_not() {
    let mut town = Town::over(&[], street);
    let clips = town.clips();
    let media = format!("/v1/clips/{}/media", clips[0]);
    let looks = |town: &Town, who: &str, path: &str| {
        let audit = town.get(who, path).ok().json();
        let lines = audit["lines"].as_array().unwrap().clone();
        let looks = lines.into_iter().filter(|line| line["what"] == "looked at footage");
        looks.collect::<Vec<_>>()
    };
    let home = "/v1/households/h1/audit";
    town.get(&town.resident, &media).ok();
    assert_eq!(looks(&town, &town.resident, home), Vec::<Value>::new(), "nobody asks for it");
    town.open(&asking());
    let (from, to) = (Ago(45).wall(), Ago(25).wall());
    for path in [&media, &format!("/v1/cameras/front/window.mp4?from={from}&to={to}"), &media] {
        town.get(&town.resident, path).ok();
    }
    let seen = looks(&town, &town.resident, home);
    assert_eq!(seen.iter().map(|line| line["clips"].as_array().unwrap().len()).sum::<usize>(), 3);
    assert!(seen.iter().all(|line| line["who"].as_str().unwrap().starts_with("token ")));
    let operators = looks(&town, &town.operator, "/v1/audit");
    assert_eq!(operators.len(), seen.len());
    assert!(operators.iter().all(|line| line["clips"].as_array().unwrap().is_empty()));
    let agencys = "/v1/agencies/springfield-pd/audit";
    assert_eq!(looks(&town, &town.agency, agencys), Vec::<Value>::new());
    // A post is looked at by the agency, and by name.
    let post = json!({"clip": clips[0]});
    town.post(&town.resident, "/v1/households/h1/posts", &post).ok();
    town.get(&town.agency, "/v1/feed/p1/media").ok();
    // What nobody has read back yet is there after a stop too.
    town.daemon.terminate();
    assert!(town.daemon.wait().success());
    town.daemon.restart();
    town.daemon.until("/v1/agencies", |answer| answer.status == 200);
    let agencys = looks(&town, &town.agency, agencys);
    assert_eq!((agencys.len(), &agencys[0]["who"]), (1, &json!("springfield-pd")));
    assert_eq!(looks(&town, &town.resident, home).len(), seen.len() + 1);
}

/// What is personal, or what a request says: nowhere but in private records.
const SECRETS: [&str; 8] = [
    "ann@example.org",
    "40.0123",
    "75.0456",
    "4471-parcel",
    "theft of a parcel",
    "officer.dunn",
    "blue van",
    "desk@springfield",
];

/// The files in `dir`, and in the folders in it.
fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// Which of the secrets stand in `bytes`, as text or as the eight bytes of a number.
fn secrets_in(bytes: &[u8]) -> Vec<String> {
    let text = bytes.to_ascii_lowercase();
    let has = |part: &[u8]| text.windows(part.len()).any(|there| there == part);
    let mut found: Vec<String> =
        SECRETS.iter().filter(|secret| has(secret.as_bytes())).map(ToString::to_string).collect();
    for number in [40.0123_f64, -75.0456, 40.012, -75.046] {
        let forms = [number.to_le_bytes(), number.to_be_bytes()];
        if forms.iter().any(|form| bytes.windows(8).any(|there| there == form)) {
            found.push(format!("{number} as a number"));
        }
    }
    found
}

#[test]
fn what_is_personal_is_in_private_records_and_in_no_other_file_log_or_metric() {
    let settings = ["log.level=debug", "requests.notice_webhook=http://127.0.0.1:9/tell"];
    let mut town = Town::over(&settings, street);
    let told = |town: &Town| town.get(&town.operator, "/v1/notices").ok().json();
    let contact = json!({"agency": "other-pd", "contact": "desk@springfield.example"});
    town.post(&town.operator, "/v1/agencies", &contact).ok();
    town.open(&asking());
    // Nobody listens at that address: the try in vain is on record, and not whom it was meant for.
    town.daemon.until("/metrics", |_| told(&town)["notices"][0]["unreached"] == 1);
    let clips = town.clips();
    town.get(&town.resident, &format!("/v1/clips/{}/media", clips[0])).ok();
    town.share(&clips[..1]);
    town.get(&town.agency, &format!("{REQUESTS}/r1/bundle")).ok();
    let fetched = json!({"clips": clips[..1]});
    town.post(&town.agency, &format!("{REQUESTS}/r1/acknowledge"), &fetched).ok();
    // Refusals repeat nothing of what was said.
    let mut bad = asking();
    (bad["key"], bad["area"]["circle"]["radius_m"]) = (json!("k2"), json!(9e9));
    assert_eq!(town.post(&town.agency, REQUESTS, &bad).status, 400);
    let mut altered = asking();
    altered["words"] = json!("A man with a blue van, again.");
    assert_eq!(town.post(&town.agency, REQUESTS, &altered).status, 409);
    town.post(&town.resident, "/v1/households/h1/opt-out", &Value::Null).ok();
    for who in [&town.operator, &town.resident, &town.agency] {
        for path in ["/v1/audit", "/v1/households/h1/audit", "/v1/ledger", "/v1/holds?all=true"] {
            assert_eq!(secrets_in(&town.get(who, path).body), Vec::<String>::new(), "{path}");
        }
    }
    let metrics = town.get(&town.operator, "/metrics").ok();
    assert!(metrics.text().contains("/v1/agencies/{agency}/requests"), "the right page");
    assert_eq!(secrets_in(&metrics.body), Vec::<String>::new());
    town.daemon.terminate();
    assert!(town.daemon.wait().success());
    let log = std::fs::read(town.daemon.folder.path().join("log")).unwrap();
    // Without the times of its lines: a second may look like a latitude.
    let said = String::from_utf8_lossy(&log);
    let said: Vec<&str> =
        said.lines().filter_map(|line| line.split_once(' ')).map(|of| of.1).collect();
    let said = said.join("\n");
    assert!(said.contains("footage") && said.contains("h1"), "otherwise nothing was said: {said}");
    assert_eq!(secrets_in(said.as_bytes()), Vec::<String>::new(), "{said}");
    let mut all = Vec::new();
    files(&town.daemon.store(), &mut all);
    let with = all.iter().filter(|path| !secrets_in(&std::fs::read(path).unwrap()).is_empty());
    let with: Vec<&PathBuf> = with.collect();
    let private = |path: &&&PathBuf| path.starts_with(town.daemon.store().join("private"));
    assert_eq!(with.iter().filter(private).count(), with.len(), "{with:#?}");
    assert_eq!(with.len(), 3, "an agency, a home, a request: {with:#?}");
}
