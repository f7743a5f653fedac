//! `clipkeep verify FILE`: a bundle on a machine that has the binary and a key, and no store.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use clipkeep::evidence::{Archive, ArchiveReader, Checkpoint, SigningKey};
use clipkeep::requests::{
    AgencyId, Area, Chosen, Desk, HouseholdId, NewHousehold, Place, Rules, Submission, Text,
};
use clipkeep::{Clock as _, ManualClock, Media, NewClip, Store, SystemClock, Timestamp, Window};
use serde_json::{Value, json};

use super::{Bench, FRONT_DOOR, Ran};

/// A bundle in `bench` with one clip of real video, the key that signed it, and the key itself.
fn bundle(bench: &Bench) -> (Vec<u8>, String, SigningKey) {
    let begin: Timestamp = "2026-11-01T18:00:00Z".parse().unwrap();
    let clock = ManualClock::at(begin);
    let dir = bench.path("street");
    let options = Store::options().segment_bytes(4 << 20).evidence_reserve(4 << 20);
    let store = options.clock(clock.clone()).open(&dir).unwrap();
    let desk = Desk::open(store, Rules::default()).unwrap();
    let agency: AgencyId = "springfield-pd".parse().unwrap();
    desk.join_agency(&agency, "desk").unwrap();
    let camera: clipkeep::CameraId = "front".parse().unwrap();
    let place = Place { lat: 40.0, lon: -75.0 };
    let cameras = vec![(Text(camera.clone()), place)];
    desk.join_household(&NewHousehold { cameras, contact: "resident".to_owned() }).unwrap();
    let window = Window::starting(begin, Duration::from_secs(10)).unwrap();
    let new = NewClip::new(&camera, window).media(Media::FragmentedMp4);
    let clip = desk.store().append(new, fs::read(FRONT_DOOR).unwrap()).unwrap();
    clock.advance(Duration::from_hours(1));
    let submission = Submission {
        key: "one".to_owned(),
        window: Window::starting(begin, Duration::from_mins(30)).unwrap().into(),
        area: Area::Circle { center: place, radius_m: 200.0 },
        incident: "26-4471".to_owned(),
        kind: "theft".to_owned(),
        contact: "Officer Dunn".to_owned(),
        words: String::new(),
    };
    let request = desk.submit(&agency, &submission).unwrap().request.0;
    desk.approve(request).unwrap();
    let chosen = [Chosen { clip: Text(clip.id()), part: None }];
    desk.accept(HouseholdId(1), request, &chosen).unwrap();
    let mut bytes = Vec::new();
    let no_trim = |_: &clipkeep::ClipReader, _: Window| Err("nothing to cut".into());
    desk.bundle(&agency, request, &no_trim, &mut bytes).unwrap();
    fs::write(bench.path("evidence.zip"), &bytes).unwrap();
    let key = desk.verifying_key().unwrap();
    (bytes, key.to_string(), signing_key(&dir, key.name()))
}

/// The store's own key, from its record: whoever has the store's folder can sign anything.
fn signing_key(dir: &Path, name: &str) -> SigningKey {
    let record = fs::read(dir.join("private/signing-key.json")).unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    let value: String = serde_json::from_str(record["value"].as_str().unwrap()).unwrap();
    let secret = format!("{} {value}", record["salt"].as_str().unwrap());
    let seed = blake3::derive_key("clipkeep 2026-11 key of the log", secret.as_bytes());
    SigningKey::new(name, &seed).unwrap()
}

fn members(bundle: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut reader = ArchiveReader::new(bundle);
    let mut members = Vec::new();
    while let Some(member) = reader.next_member(u32::MAX).unwrap() {
        members.push((member.name, member.bytes.unwrap()));
    }
    members
}

fn hex(hash: &[u8; 32]) -> String {
    blake3::Hash::from_bytes(*hash).to_hex().to_string()
}

/// The bundle signed again with its manifest changed, and without the entries that `without` is in.
fn resigned(
    bundle: &[u8],
    key: &SigningKey,
    without: &str,
    change: impl Fn(&mut Value),
) -> Vec<u8> {
    const KIND: &str = "application/vnd.clipkeep.evidence+json";
    let mut archive = Archive::default();
    let mut manifest = Value::Null;
    for (name, bytes) in members(bundle) {
        if name == "manifest.json" {
            let envelope: Value = serde_json::from_slice(&bytes).unwrap();
            let payload = base64::decode(envelope["payload"].as_str().unwrap());
            manifest = serde_json::from_slice(&payload).unwrap();
        } else if name == "proofs/entries.json" && !without.is_empty() {
            let mut proofs: Value = serde_json::from_slice(&bytes).unwrap();
            proofs["entries"].as_array_mut().unwrap().retain(|proved| {
                let entry = base64::decode(proved["entry"].as_str().unwrap());
                !String::from_utf8_lossy(&entry).contains(without)
            });
            archive.add(&name, serde_json::to_vec(&proofs).unwrap()).unwrap();
        } else if name != "SHA256SUMS" {
            archive.add(&name, bytes).unwrap();
        }
    }
    change(&mut manifest);
    for (name, hash) in archive.hashes() {
        manifest["files"][&name] = hex(&hash).into();
    }
    let payload = serde_json::to_vec(&manifest).unwrap();
    let head = format!("DSSEv1 {} {KIND} {} ", KIND.len(), payload.len());
    let signature = key.sign(&[head.as_bytes(), &payload].concat());
    let signed = json!({
        "keyid": key.verifying_key().to_string(),
        "sig": base64::encode(&signature),
    });
    let envelope = json!({
        "payload": base64::encode(&payload),
        "payloadType": KIND,
        "signatures": [signed],
    });
    archive.add("manifest.json", serde_json::to_vec(&envelope).unwrap()).unwrap();
    sealed(archive)
}

/// Base64 as this test needs it, so that it does not read with what it checks.
mod base64 {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    pub(super) fn encode(bytes: &[u8]) -> String {
        let mut text = String::new();
        for three in bytes.chunks(3) {
            let word = three.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
            let word = word << (8 * (3 - three.len()));
            for at in 0..4 {
                let digit = usize::try_from(word >> (18 - 6 * at) & 63).unwrap();
                text.push(if at <= three.len() { char::from(DIGITS[digit]) } else { '=' });
            }
        }
        text
    }

    pub(super) fn decode(text: &str) -> Vec<u8> {
        let digit = |c: u8| DIGITS.iter().position(|digit| *digit == c);
        let mut bytes = Vec::new();
        for four in text.as_bytes().chunks(4) {
            let digits: Vec<usize> = four.iter().filter_map(|c| digit(*c)).collect();
            let word = digits.iter().fold(0, |word, digit| word << 6 | digit);
            let word = word << (6 * (4 - digits.len()));
            for at in 0..digits.len() - 1 {
                bytes.push(u8::try_from(word >> (16 - 8 * at) & 255).unwrap());
            }
        }
        bytes
    }
}

/// Every kind of bundle that docs/EVIDENCE.md lists: its exit code, and what is said of it.
fn kinds(whole: &[u8], signing: &SigningKey) -> Vec<(&'static str, u8, &'static str, Vec<u8>)> {
    let again = |without: &str| resigned(whole, signing, without, |_| {});
    let says = |field: &'static str, value: Value| {
        resigned(whole, signing, "", |m| m[field] = value.clone())
    };
    let of_clip = |field: &'static str, value: Value| {
        resigned(whole, signing, "", |m| m["clips"][0][field] = value.clone())
    };
    let mut flipped = whole.to_vec();
    flipped[1000] ^= 1;
    let times = json!({"from": "2026-11-01T18:00:00Z", "to": "2026-11-01T18:00:11Z"});
    let other = json!({"from": "2026-10-01T18:00:00Z", "to": "2026-10-01T19:00:00Z"});
    let elsewhen = resigned(whole, signing, "", |m| {
        m["gaps"] = json!([{"camera": "front", "window": other}]);
        m["window"] = other.clone();
    });
    vec![
        ("as it was made", 0, "every proof holds", whole.to_vec()),
        ("signed again", 0, "every proof holds", again("")),
        ("a flipped bit", 1, "ALTERED", flipped),
        ("another clip", 1, "not those that were recorded", swapped(whole, signing, b"another")),
        ("cut in half", 2, "INCOMPLETE", whole[..whole.len() / 2].to_vec()),
        ("without its clip", 2, "is not there", left_out(whole, "clips/")),
        ("without its proofs", 2, "proofs/entries.json is not there", left_out(whole, "proofs/e")),
        ("without the request", 4, "request is not in the log", again("\"submitted\"")),
        ("with other times", 4, "times are not those on record", of_clip("window", times)),
        ("from elsewhere", 4, "camera is not the one on record", of_clip("camera", json!("b"))),
        ("with other receipts", 4, "receipts", says("receipts", json!([]))),
        ("with fewer gaps", 4, "gaps", says("gaps", json!([]))),
        ("without consent", 5, "nobody agreed", again("\"accepted\"")),
        ("too late", 5, "consent had run out", says("made", json!("2027-01-01T00:00:00Z"))),
        ("for no partner", 5, "not shown to be a partner", again("agency_joined")),
        ("of another time", 5, "not of the time that was asked", elsewhen),
    ]
}

/// The bundle with other bytes in place of its clip, everything signed and summed anew.
fn swapped(bundle: &[u8], key: &SigningKey, bytes: &[u8]) -> Vec<u8> {
    let mut archive = Archive::default();
    for (name, old) in members(bundle) {
        let new = if name.starts_with("clips/") { bytes.to_vec() } else { old };
        archive.add(&name, new).unwrap();
    }
    let mut swapped = Vec::new();
    archive.write_to(&mut swapped).unwrap();
    resigned(&swapped, key, "", |_| {})
}

/// The bundle without the member whose name begins so, its sums made right again.
fn left_out(bundle: &[u8], name: &str) -> Vec<u8> {
    let mut archive = Archive::default();
    for (member, bytes) in members(bundle) {
        if member != "SHA256SUMS" && !member.starts_with(name) {
            archive.add(&member, bytes).unwrap();
        }
    }
    sealed(archive)
}

/// The archive with its sums, as a file.
fn sealed(mut archive: Archive) -> Vec<u8> {
    let line = |(name, hash): (&String, &[u8; 32])| format!("{}  {name}\n", hex(hash));
    let sums: String = archive.hashes().iter().map(line).collect();
    archive.add("SHA256SUMS", sums.into_bytes()).unwrap();
    let mut bytes = Vec::new();
    archive.write_to(&mut bytes).unwrap();
    bytes
}

#[test]
fn each_kind_of_bundle_has_its_exit_code() {
    let bench = Bench::new();
    let (whole, key, signing) = bundle(&bench);
    let file = bench.path("bundle.zip");
    let path = file.display().to_string();
    let mut seen = [false; 6];
    for (kind, code, says, bytes) in kinds(&whole, &signing) {
        fs::write(&file, bytes).unwrap();
        let told = bench.run(&["verify", &path, "--key", &key]);
        assert_eq!(told.code, i32::from(code), "{kind}: {}", told.stdout);
        assert!(told.stdout.contains(says), "{kind}: {}", told.stdout);
        let json = bench.run(&["verify", &path, "--key", &key, "--json"]).json();
        assert_eq!(json["exit"], json!(code), "{kind}");
        assert_eq!(json["findings"] == json!([]), code == 0, "{kind}: {json}");
        seen[usize::from(code)] = true;
    }
    fs::write(&file, &whole).unwrap();
    let told = bench.run(&["verify", &path]).exits(3).stdout;
    assert!(told.contains(&key), "it says whose signature it is: {told}");
    seen[3] = true;
    assert_eq!(seen, [true; 6], "every code is shown");
    bench.run(&["verify", "/nonexistent.zip", "--key", &key]).exits(7);
}

#[test]
fn a_bundle_states_gaps_and_the_receipt_of_the_hold() {
    let bench = Bench::new();
    let (whole, ..) = bundle(&bench);
    let manifest: Value = serde_json::from_slice(&payload_of(&whole)).unwrap();
    let gap = json!({"from": "2026-11-01T18:00:10Z", "to": "2026-11-01T18:30:00Z"});
    assert_eq!(manifest["gaps"], json!([{"camera": "front", "window": gap}]));
    let receipt = &manifest["receipts"][0];
    let bytes = fs::metadata(FRONT_DOOR).unwrap().len();
    assert_eq!((&receipt["clips"], &receipt["bytes"]), (&json!(1), &json!(bytes)));
}

/// What is signed in a bundle.
fn payload_of(bundle: &[u8]) -> Vec<u8> {
    let members = members(bundle);
    let (_, envelope) = members.iter().find(|(name, _)| name == "manifest.json").unwrap();
    let envelope: Value = serde_json::from_slice(envelope).unwrap();
    base64::decode(envelope["payload"].as_str().unwrap())
}

#[test]
fn a_retention_proof_is_made_by_one_command_and_checked_by_another() {
    let bench = Bench::with_clip();
    let key = bench.run(&["request", "key"]).ok().stdout.trim().to_owned();
    let file = bench.path("promise.json");
    let path = file.display().to_string();
    let prove = |camera: &str, to: &str, more: &[&str]| {
        let call = ["proof", "retention", "--camera", camera, "--from", "1h ago", "--to", to];
        bench.run(&[&call[..], &["--output", &path, "--force"], more].concat())
    };
    for (more, says) in [(&[][..], "word of the store's key"), (&["--whole"], "All entries")] {
        let made = prove("front", "1s ago", more).ok().stdout;
        assert!(made.contains("The promise was kept.") && made.contains(&key), "{made}");
        let told = bench.run(&["verify", &path, "--key", &key]).exits(0).stdout;
        assert!(told.contains("The promise was kept.") && told.contains(says), "{told}");
        let json = bench.run(&["verify", &path, "--key", &key, "--json"]).ok().json();
        assert_eq!(json["exit"], json!(0));
        assert!(json["shown"].as_array().unwrap().len() >= 3, "{json}");
    }
    bench.run(&["verify", &path]).exits(3);
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    bench.run(&["verify", &path, "--key", &key]).exits(1);
    prove("nobody", "1s ago", &[]).exits(3);
    prove("front", "2099-01-01T00:00:00Z", &[]).exits(2);
}

#[test]
fn a_witness_is_taken_in_at_the_command_line_and_no_stranger_is() {
    let bench = Bench::with_clip();
    let note = bench.run(&["request", "checkpoint"]).ok().stdout;
    let witness = SigningKey::new("phone.example", &[9; 32]).unwrap();
    let seen = Checkpoint::cosigned(&note, &witness, 1_764_000_000).unwrap();
    let file = bench.path("seen.txt");
    fs::write(&file, &seen).unwrap();
    let (path, key) = (file.display().to_string(), witness.witness_key().to_string());
    let told = bench.run(&["request", "cosigned", "--file", &path, "--key", &key]).ok().stdout;
    assert!(told.contains("phone.example"), "{told}");
    let again = bench.json(&["request", "cosigned", "--file", &path, "--key", &key]);
    assert_eq!(again["witness"], "phone.example", "once more changes nothing");
    let stranger = SigningKey::new("other.example", &[8; 32]).unwrap().witness_key().to_string();
    bench.run(&["request", "cosigned", "--file", &path, "--key", &stranger]).exits(2);
}

#[test]
fn ordinary_tools_open_a_bundle_check_its_sums_and_play_its_video() {
    let bench = Bench::new();
    bundle(&bench);
    let run = |program: &str, arguments: &[&str], dir: &Path| {
        let ran = Command::new(program).args(arguments).current_dir(dir).output();
        let ran = ran.unwrap_or_else(|error| panic!("{program}: {error}; tests/run installs it"));
        assert!(ran.status.success(), "{program}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8_lossy(&ran.stdout).into_owned()
    };
    let out = bench.path("out");
    fs::create_dir(&out).unwrap();
    run("unzip", &["-q", "../evidence.zip"], &out);
    let sums = run("sha256sum", &["-c", "SHA256SUMS"], &out);
    assert_eq!(sums.lines().filter(|line| line.ends_with(": OK")).count(), 6, "{sums}");
    let clip = fs::read_dir(out.join("clips")).unwrap().next().unwrap().unwrap().path();
    assert_eq!(fs::read(&clip).unwrap(), fs::read(FRONT_DOOR).unwrap(), "the original bytes");
    let clip = clip.display().to_string();
    run("ffmpeg", &["-nostdin", "-v", "error", "-xerror", "-i", &clip, "-f", "null", "-"], &out);
}

#[test]
fn the_rules_of_a_request_are_kept_at_the_command_line() {
    let bench = Bench::with_clip();
    bench.run(&["agency", "join", "springfield-pd", "--contact", "desk"]).ok();
    bench.run(&["agency", "join", "springfield-pd"]).exits(4);
    bench.run(&["agency", "join", "Springfield"]).exits(2);
    let listed = bench.json(&["agency", "list"]);
    assert_eq!(listed["agencies"][0]["agency"], json!("springfield-pd"));
    bench.run(&["household", "join", "--camera", "front@40.0,-75.0"]).ok();
    bench.run(&["household", "join", "--camera", "front@40.0,-75.0"]).exits(4);
    bench.run(&["household", "join", "--camera", "front@140.0,-75.0"]).exits(2);
    bench.run(&["household", "opt-out", "h1"]).ok();
    bench.run(&["household", "opt-out", "h9"]).exits(3);
    bench.run(&["household", "asked", "h1"]).ok();
    // Before the agency joined: refused, and nothing is held.
    let request = json!({
        "key": "k", "window": {"from": "2024-01-01T17:00:00Z", "to": "2024-01-01T19:00:00Z"},
        "area": {"circle": {"center": {"lat": 40.0, "lon": -75.0}, "radius_m": 300.0}},
        "incident": "1", "kind": "theft", "contact": "officer",
    });
    let file = bench.path("request.json");
    fs::write(&file, request.to_string()).unwrap();
    let file = file.display().to_string();
    let refused = bench.run(&["request", "submit", "springfield-pd", "--file", &file, "--json"]);
    assert_eq!(refused.exits(2).error()["kind"], "invalid-input");
    fs::write(bench.path("request.json"), "{").unwrap();
    bench.run(&["request", "submit", "springfield-pd", "--file", &file]).exits(2);
    bench.run(&["request", "approve", "r1"]).exits(3);
    assert_eq!(bench.json(&["hold", "list"])["holds"], json!([]));
    let key = bench.run(&["request", "key"]).ok().stdout;
    assert!(key.starts_with("clipkeep/"), "{key}");
    let note = bench.run(&["request", "checkpoint"]).ok().stdout;
    assert!(note.starts_with("clipkeep/") && note.contains('\u{2014}'), "{note}");
}

#[test]
fn requests_at_the_command_line_keep_to_the_settings_of_the_daemon() {
    let bench = Bench::with_clip();
    bench.run(&["agency", "join", "springfield-pd"]).ok();
    let hours_ago = |hours| SystemClock.wall().saturating_sub(Duration::from_hours(hours));
    let request = json!({
        "key": "k", "incident": "1", "kind": "theft", "contact": "officer",
        "window": {"from": hours_ago(14).to_string(), "to": hours_ago(1).to_string()},
        "area": {"circle": {"center": {"lat": 40.0, "lon": -75.0}, "radius_m": 300.0}},
    });
    let (file, settings) = (bench.path("request.json"), bench.path("clipkeep.toml"));
    fs::write(&file, request.to_string()).unwrap();
    let (file, config) = (file.display().to_string(), settings.display().to_string());
    let submit = ["request", "submit", "springfield-pd", "--file", &file];
    let refused = |ran: Ran| ran.exits(2).stderr;
    let too_long = refused(bench.run(&submit));
    assert!(too_long.contains("window of 780 minutes"), "{too_long}");
    // That long it may be, and is refused for what comes next.
    fs::write(&settings, "[requests]\nwindow_minutes_max = 800\n").unwrap();
    let told = refused(bench.run(&[&submit[..], &["--config", &config]].concat()));
    assert!(told.contains("before springfield-pd joined"), "{told}");
    let mut by_variable = bench.command(&submit);
    by_variable.env("CLIPKEEP_REQUESTS_WINDOW_MINUTES_MAX", "800");
    assert_eq!(refused(Ran::new(&by_variable.output().unwrap())), told);
    fs::write(&settings, "[requests]\nanswering_days = 31\n").unwrap();
    let wrong = refused(bench.run(&["household", "opt-out", "h1", "--config", &config]));
    assert!(wrong.contains("[requests]"), "{wrong}");
}
