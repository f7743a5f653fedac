//! `clipkeep verify FILE`: a bundle on a machine that has the binary and a key, and no store.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use clipkeep::evidence::{Archive, ArchiveReader, SigningKey};
use clipkeep::requests::{
    AgencyId, Area, Chosen, Desk, HouseholdId, NewHousehold, Place, Rules, Submission, Text,
};
use clipkeep::{ManualClock, Media, NewClip, Store, Timestamp, Window};
use serde_json::{Value, json};

use super::{Bench, FRONT_DOOR};

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
    let line = |(name, hash): (&String, &[u8; 32])| format!("{}  {name}\n", hex(hash));
    let sums: String = archive.hashes().iter().map(line).collect();
    archive.add("SHA256SUMS", sums.into_bytes()).unwrap();
    let mut bytes = Vec::new();
    archive.write_to(&mut bytes).unwrap();
    bytes
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

#[test]
fn each_kind_of_bundle_has_its_exit_code() {
    let bench = Bench::new();
    let (whole, key, signing) = bundle(&bench);
    let verify = |name: &str, bytes: &[u8], trusted: bool| {
        fs::write(bench.path(name), bytes).unwrap();
        let mut call = vec!["verify".to_owned(), bench.path(name).display().to_string()];
        if trusted {
            call.extend(["--key".to_owned(), key.clone()]);
        }
        bench.run(&call.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let told = verify("whole.zip", &whole, true).exits(0).stdout;
    assert!(told.contains("every proof holds"), "{told}");
    let mut flipped = whole.clone();
    flipped[1000] ^= 1;
    verify("altered.zip", &flipped, true).exits(1);
    verify("cut.zip", &whole[..whole.len() / 2], true).exits(2);
    let told = verify("stranger.zip", &whole, false).exits(3).stdout;
    assert!(told.contains(&key), "it says whose signature it is: {told}");
    let unproved = resigned(&whole, &signing, "\"submitted\"", |_| {});
    verify("unproved.zip", &unproved, true).exits(4);
    let expired = resigned(&whole, &signing, "", |m| m["made"] = json!("2027-01-01T00:00:00Z"));
    let told = verify("expired.zip", &expired, true).exits(5).stdout;
    assert!(told.contains("POLICY") && told.contains("consent had run out"), "{told}");
    let same = resigned(&whole, &signing, "", |_| {});
    verify("same.zip", &same, true).exits(0);
    bench.run(&["verify", "/nonexistent.zip", "--key", &key]).exits(7);
    let report = bench.path("whole.zip").display().to_string();
    let json = bench.run(&["verify", &report, "--key", &key, "--json"]).ok().json();
    assert_eq!((&json["exit"], &json["findings"]), (&json!(0), &json!([])));
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
