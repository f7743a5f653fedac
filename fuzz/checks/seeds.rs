//! Makes the seeds that every target begins with: real bytes of each structure, and the oddities
//! that a mutation would take long to find.
//!
//! `CLIPKEEP_BLESS=1 cargo test --all-features --lib fuzzing::seeds` writes them anew. Without it,
//! the test sees to it that what is kept is what is made. Files of other names in the same folders
//! (`found-*`, `corpus-*`) came from guided runs and are only replayed.

use std::collections::BTreeMap;
use std::fs;

use super::replay::folder;
use super::{BLOCK_LEN, KEY, entry, footer, partition, record, segment_ends, slot};
use crate::format::arbitrary::{
    sample_decisions, sample_footer, sample_ledger_header, sample_partition_bytes, sample_record,
    sample_segment_header, sample_trailer, time,
};
use crate::format::entry::{Decision, Entry};
use crate::format::segment::{SegmentHeader, Trailer};

/// Seeds of one target, by the name of their file.
type Seeds = BTreeMap<String, Vec<u8>>;

fn named<const N: usize>(seeds: [(&str, Vec<u8>); N]) -> Seeds {
    seeds.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect()
}

fn all() -> Vec<(&'static str, Seeds)> {
    vec![
        ("bundle", bundles()),
        ("entry", entries()),
        ("footer", footers()),
        ("http", requests()),
        ("ledger_replay", noises(6, 400)),
        ("mp4_export", noises(8, 300)),
        ("mp4_init", inits()),
        ("mp4_plain", files()),
        ("mp4_push", streams()),
        ("names", names()),
        ("note", notes()),
        ("partition", partitions()),
        ("record", records()),
        ("request", submissions()),
        ("segment_ends", ends()),
        ("segment_scan", noises(8, 400)),
        ("slot", slots()),
        ("store", noises(6, 250)),
        ("tree", noises(6, 60)),
    ]
}

#[test]
fn kept_seeds_are_what_is_made() {
    let bless = std::env::var_os("CLIPKEEP_BLESS").is_some_and(|value| value == "1");
    for (target, seeds) in all() {
        let kept = folder("seeds").join(target);
        for (name, bytes) in seeds {
            let path = kept.join(&name);
            if bless {
                fs::create_dir_all(&kept).unwrap();
                fs::write(&path, &bytes).unwrap();
            }
            let there = fs::read(&path).unwrap_or_else(|e| panic!("seeds/{target}/{name}: {e}"));
            assert!(there == bytes, "seeds/{target}/{name} is not what is made");
        }
    }
}

fn names() -> Seeds {
    let text = |text: &str| text.as_bytes().to_vec();
    named([
        ("segment", text("001f-000000a0.seg")),
        ("evidence", text("ffff-00000007.seg")),
        ("ledger", text("00000001.log")),
        ("partition", text("00000001.idx")),
        ("ballast", text("ballast")),
        ("spare-evidence", text("evidence-3.seg")),
        ("spare-segment", text("segment-4294967295.seg")),
        ("leading-zero", text("segment-03.seg")),
        ("camera", text("front-door_2.north")),
        ("clip", text("42-7")),
        ("hold", text("h18446744073709551615")),
        ("time", text("2026-11-23T18:00:00.25Z")),
        ("year-zero", text("0000-01-01T00:00:00Z")),
        ("window", text("2026-11-23T18:00:00Z 2026-11-23T19:00:00Z")),
    ])
}

fn partitions() -> Seeds {
    let sample = partition::input(&sample_partition_bytes());
    let with = |offset: usize, bytes: &[u8]| {
        let mut input = sample.clone();
        super::put(&mut input, 1 + offset - 20, bytes);
        input
    };
    named([
        ("sample", sample.clone()),
        ("four-billion-rows", with(20, &u32::MAX.to_le_bytes())),
        ("four-billion-links", with(24, &u32::MAX.to_le_bytes())),
        ("four-billion-parts", with(32, &u32::MAX.to_le_bytes())),
        ("links-that-are-not-there", with(72 + 168, &[9])),
        ("written", vec![1; 300]),
        ("written-whole", [&[1, 0, 2, 60, 1][..], &[0; 600]].concat()),
        ("page", partition::page_input(&sample_partition_bytes(), 1)),
        ("page-of-summaries", partition::page_input(&sample_partition_bytes(), 3)),
        ("four-billion-on-a-page", vec![2, 255, 255, 255, 255]),
        ("nothing", Vec::new()),
    ])
}

fn slots() -> Seeds {
    let mut newer = slot::input(3, 4, 5);
    newer[1 + 84] = 2;
    named([
        ("even-counts", slot::input(3, 6, 5)),
        ("odd-counts", slot::input(3, 4, 5)),
        ("torn-odd", slot::input(1, 4, 5)),
        ("both-torn", slot::input(0, 4, 5)),
        ("misplaced", slot::input(3, 5, 4)),
        ("last-generation", slot::input(3, u64::MAX - 1, u64::MAX)),
        ("newer-build", newer),
        ("cut", [slot::input(7, 4, 5), vec![0x11, 0x10]].concat()),
    ])
}

fn sample_entry(position: u64, decision: Decision) -> Entry {
    let previous = [if position == 0 { 0 } else { 6 }; 32];
    let (batch_start, batch_count) = (position, 1);
    Entry { position, batch_start, batch_count, at: time(3), previous, decision }
}

fn entries() -> Seeds {
    let mut seeds = Seeds::new();
    for (position, decision) in (0..).zip(sample_decisions()) {
        let name = format!("kind-{position:02}");
        seeds.insert(name, entry::input(&sample_entry(position, decision)));
    }
    let ended = || sample_entry(7, Decision::HoldEnded { hold: crate::types::HoldId(1) });
    let clips = Decision::ClipsMoved { to: crate::types::SegmentId(4), clips: Vec::new() };
    let mut many = entry::input(&sample_entry(7, clips));
    let count = many.len() - 4;
    super::put(&mut many, count, &u32::MAX.to_le_bytes());
    seeds.insert("four-gigabytes-of-payload".into(), entry::lying_input(&ended(), u32::MAX));
    seeds.insert("longest-payload-cut-off".into(), entry::lying_input(&ended(), 262_000));
    seeds.insert("four-billion-clips".into(), many);
    seeds.insert("as-it-is".into(), [&[0], &ended().encode(&super::STORE)[..]].concat());
    seeds.insert("file-header".into(), entry::header_input(&sample_ledger_header()));
    seeds.insert("nothing".into(), Vec::new());
    seeds
}

fn records() -> Seeds {
    let sample = sample_record();
    let mut lying = record::input(&sample, &[7]);
    super::put(&mut lying, 1 + 20, &u32::MAX.to_le_bytes());
    named([
        ("sample", record::input(&sample, &[7])),
        ("payload-of-4-gib", lying),
        ("written", (0..=255).map(|byte| if byte == 0 { 0 } else { byte }).collect()),
        ("simplest", vec![0]),
        ("as-it-is", [&[2], &sample.encode(&[7], &KEY, 77)[..]].concat()),
        ("tail", record::tail_input(&sample, &[7])),
        ("tail-as-it-is", [&[2], sample.ends(&[7], &KEY, 77).tail()].concat()),
    ])
}

fn footers() -> Seeds {
    let sample = footer::input(&sample_footer());
    let mut seeds = named([("sample", sample.clone()), ("empty", vec![0])]);
    for count in 0..5 {
        let mut lying = sample.clone();
        super::put(&mut lying, 1 + 4 * count, &u32::MAX.to_le_bytes());
        seeds.insert(format!("count-{count}-of-4-billion"), lying);
    }
    let choices: Vec<u8> = (0..400_u32).map(|n| u8::try_from(n * 7 % 251).unwrap()).collect();
    seeds.insert("written".into(), [&[1, 2, 5], &choices[..]].concat());
    seeds.insert("written-empty".into(), vec![1]);
    seeds
}

fn ends() -> Seeds {
    let header = SegmentHeader { key: KEY, ..sample_segment_header() };
    let trailer = Trailer { header: header.clone(), ..sample_trailer() };
    let sample = segment_ends::input(&header, &trailer);
    let changed = |offset: u16, xor: u8| {
        let change = [&offset.to_le_bytes()[..], &[xor]].concat();
        [sample.clone(), change].concat()
    };
    let mut outside = trailer.clone();
    outside.footer_bytes = 4096 * 1002;
    named([
        ("sample", sample.clone()),
        ("longest-footer", segment_ends::input(&header, &outside)),
        ("cipher", changed(14, 1)),
        ("compatible-feature", changed(20, 1)),
        ("incompatible-feature", changed(18, 1)),
        ("footer-not-aligned", changed(16, 1)),
        ("reserved-at-the-end", changed(u16::try_from(BLOCK_LEN - 1).unwrap(), 1)),
        ("raw", sample_trailer().encode(&crate::format::arbitrary::KEY, 1023)[..1200].to_vec()),
    ])
}

/// Inputs of targets that build what they check by choices: any bytes are an input.
fn noises(count: u64, len: usize) -> Seeds {
    let mut seeds = named([("nothing", Vec::new())]);
    for seed in 1..=count {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[1]
        };
        seeds.insert(format!("noise-{seed}"), (0..len).map(|_| next()).collect());
    }
    seeds
}

const FRAGMENTED: &[u8] = include_bytes!("../../tests/fixtures/small.mp4");
const STREAM: &[u8] = include_bytes!("../../tests/fixtures/video.mp4");
const SOUND: &[u8] = include_bytes!("../../tests/fixtures/audio.mp4");
const PLAIN: &[u8] = include_bytes!("../../tests/fixtures/plain.mp4");
const HEVC: &[u8] = include_bytes!("../../tests/fixtures/hevc.mp4");
const AV1: &[u8] = include_bytes!("../../tests/fixtures/av1.mp4");
const EPOCH: &[u8] = include_bytes!("../../tests/fixtures/epoch.mp4");

/// The boxes at the start of `file` up to the first `mdat`.
fn head(file: &[u8]) -> Vec<u8> {
    let mdat = file.windows(4).position(|kind| kind == b"mdat").unwrap();
    file[..mdat - 4].to_vec()
}

fn inits() -> Seeds {
    named([
        ("pictures", head(STREAM)),
        ("sound", head(SOUND)),
        ("hevc", head(HEVC)),
        ("av1", head(AV1)),
        ("plain", moov(PLAIN)),
        ("names", b"{camera}/%Y-%m-%d/%H-%M-%S\nfront/2026-11-23/18-45-00.mp4".to_vec()),
        ("recorder", b"front@20261123184500+0000.mp4".to_vec()),
    ])
}

/// The `moov` of `file`, wherever it stands.
fn moov(file: &[u8]) -> Vec<u8> {
    let at = file.windows(4).position(|kind| kind == b"moov").unwrap() - 4;
    let len = u32::from_be_bytes(file[at..at + 4].try_into().unwrap());
    file[at..at + super::index(len)].to_vec()
}

fn files() -> Seeds {
    named([
        ("fragmented", FRAGMENTED.to_vec()),
        ("hevc", HEVC.to_vec()),
        ("cut-off", STREAM[..6000].to_vec()),
        ("plain-without-media", moov(PLAIN)),
        ("sound-cut-off", SOUND[..4000].to_vec()),
    ])
}

fn streams() -> Seeds {
    let cut = |smallest: u8, spread: u8, stream: &[u8]| [&[smallest, spread], stream].concat();
    named([
        ("byte-by-byte", cut(1, 0, &STREAM[..4000])),
        ("uneven", cut(3, 200, &STREAM[..8000])),
        ("with-clock", cut(64, 64, &EPOCH[..8000])),
        ("sound", cut(100, 9, &SOUND[..4000])),
        ("plain", cut(7, 7, &PLAIN[..600])),
        ("transport-stream", cut(1, 1, &[0x47; 400])),
    ])
}

/// What a check takes after the byte that says how.
fn how(how: u8, rest: &[u8]) -> Vec<u8> {
    [&[how], rest].concat()
}

/// None has a bundle in it: their inputs are changes of the one that the check makes.
fn bundles() -> Seeds {
    let no_members = [&b"PK\x05\x06"[..], &[0; 18]].concat();
    let mut seeds = named([
        ("nothing", Vec::new()),
        ("no-members", how(0, &no_members)),
        ("no-certificate", how(4, b"{}")),
    ]);
    for way in [1, 2, 3, 5] {
        for (name, noise) in noises(2, 40) {
            seeds.insert(format!("way-{way}-{name}"), how(way, &noise));
        }
    }
    seeds
}

fn requests() -> Seeds {
    let text = |way: u8, text: &str| how(way, text.as_bytes());
    named([
        ("span", text(0, "from=2026-11-23T18:00:00Z&seconds=60")),
        ("span-by-end", text(0, "from=2026-11-23T18:00:00Z&to=2026-11-23T19:00:00%2B01:00")),
        ("page", text(0, "order=newest&limit=7&cursor=1764000000000000_42-7")),
        ("last-page", text(0, "cursor=9223372036854775807_4294967295-4294967295&order=newest")),
        ("numbers", how(1, &[0, 5, 0, 9, 0, 20])),
        ("largest-numbers", how(1, &[1, 0, 1, 0, 1, 0])),
        ("range", text(2, "\u{1}\u{0}d\u{0}bytes=0-1\n\u{1}\"tag\"\n\u{2}*")),
        ("ranges", text(2, "\u{1}\u{0}d\u{0}bytes=0-1,5-\n\u{3}W/\"tag\"")),
        ("key", text(2, "\u{1}\u{0}d\u{4}once\n\u{5}sha-256=:AAAA:")),
    ])
}

fn notes() -> Seeds {
    let text = |way: u8, text: &str| how(way, text.as_bytes());
    let root = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let mut seeds = named([
        ("nothing", Vec::new()),
        ("unsigned", text(0, &format!("log.example\n42\n{root}\n\n"))),
        ("by-nobody", text(0, &format!("log.example\n42\n{root}\n\n\u{2014} x AAAAAA==\n"))),
        ("name", text(1, "clipkeep.example/street")),
        ("key", text(1, "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")),
    ]);
    for (name, noise) in noises(3, 90) {
        seeds.insert(name, how(2, &noise));
    }
    seeds
}

fn submissions() -> Seeds {
    let text = |way: u8, text: &str| how(way, text.as_bytes());
    let window = r#""window":{"from":"2026-11-01T17:00:00Z","to":"2026-11-01T20:00:00Z"}"#;
    let circle = r#""area":{"circle":{"center":{"lat":40.0,"lon":-75.0},"radius_m":300.0}}"#;
    let rest = r#""key":"k1","incident":"4471","kind":"theft","contact":"desk""#;
    let mut seeds = named([
        ("nothing", Vec::new()),
        ("suspended", text(0, r#"{"event":"agency_suspended","agency":"springfield-pd"}"#)),
        ("closed", text(0, r#"{"event":"closed","request":"r17"}"#)),
        ("submission", text(1, &format!("{{{window},{circle},{rest}}}"))),
        ("circle", how(2, &[1, 64, 128, 0, 44, 1])),
        ("square", how(3, &[4, 1, 0, 0, 1, 0, 64, 1, 64, 64, 1, 64, 0, 1, 32, 32])),
        ("bow-tie", how(3, &[4, 1, 0, 0, 1, 64, 64, 1, 64, 0, 1, 0, 64, 1, 32, 32])),
    ]);
    for (name, noise) in noises(3, 300) {
        seeds.insert(name, how(3, &noise));
    }
    seeds
}
