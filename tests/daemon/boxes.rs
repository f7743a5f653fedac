//! Boxes that lie: an MP4 whose sizes, nesting or order are not what they should be costs its
//! sender an answer, and nobody else anything.

use crate::kit::{Daemon, START, front_door, pieces};

/// A box that says it has `len` bytes, and has those of `body`.
fn lying(len: u32, kind: &[u8], body: &[u8]) -> Vec<u8> {
    [&len.to_be_bytes()[..], kind, body].concat()
}

/// A box with a length of 64 bits.
fn wide(len: u64, kind: &[u8]) -> Vec<u8> {
    lying(1, kind, &len.to_be_bytes())
}

/// Boxes within boxes, the outermost first, each of the right size.
fn nested(depth: u32) -> Vec<u8> {
    (1..=depth).rev().flat_map(|depth| lying(depth * 8, b"moov", b"")).collect()
}

/// What may not be taken for a beginning, each with what is wrong with it.
fn lies() -> Vec<(&'static str, Vec<u8>)> {
    let ftyp = lying(16, b"ftyp", b"isom\0\0\0\0");
    let after = |lie: Vec<u8>| [ftyp.clone(), lie].concat();
    vec![
        ("a first box without a size", lying(0, b"ftyp", b"isom")),
        ("a size below that of a header", lying(7, b"ftyp", b"isom")),
        ("a moov without a size", after(lying(0, b"moov", &[0; 64]))),
        ("a moov of 4 GiB", after(lying(u32::MAX, b"moov", &[0; 64]))),
        ("a wide size of nothing", after(wide(0, b"moov"))),
        ("a wide size below its header", after(wide(15, b"moov"))),
        ("the largest wide size", after(wide(u64::MAX, b"moov"))),
        ("a thousand boxes within another", after(nested(1_000))),
        (
            "a child larger than its parent",
            after(lying(24, b"moov", &lying(4_000, b"trak", &[0; 8]))),
        ),
        ("data before its index", after(lying(4_000, b"mdat", &[0; 64]))),
    ]
}

#[test]
fn a_stream_that_begins_with_a_lie_is_refused_and_others_go_on() {
    let mut daemon = Daemon::start();
    let pieces = pieces(&front_door());
    let mut other = daemon.push(&format!("/v1/cameras/other/stream?start={START}"), &[]);
    other.send(&pieces[0]);
    for (what, bytes) in lies() {
        // Endless, where the daemon would wait for more.
        let mut push = daemon.push("/v1/cameras/front/stream", &[]);
        push.try_send(&bytes).ok();
        while push.try_send(&[0; 65536]).is_ok() {}
        let answer = push.answer();
        assert!(matches!(answer.status, 400 | 413), "{what}: {} {}", answer.status, answer.text());
        answer.is_problem(answer.status, answer.json()["code"].as_str().unwrap());
        other.send(&pieces[1]);
    }
    assert!(other.finish().ok().json()["fragments"].as_u64() >= Some(10));
    assert!(daemon.stop_and_list().iter().all(|clip| clip["camera"] == "other"));
}

#[test]
fn a_clip_that_begins_with_a_lie_is_refused_and_nothing_of_it_is_stored() {
    let mut daemon = Daemon::start();
    for (what, bytes) in lies() {
        let path = format!("/v1/cameras/front/clips?start={START}");
        let answer = daemon.ask("PUT", &path, &[], &bytes);
        assert_eq!(answer.status, 400, "{what}: {}", answer.text());
        answer.is_problem(400, "media");
    }
    assert!(daemon.stop_and_list().is_empty());
}

#[test]
fn a_lie_after_whole_fragments_costs_what_comes_after_it_alone() {
    let daemon = Daemon::start();
    let pieces = pieces(&front_door());
    let size = |fragment: &[u8]| fragment.windows(4).position(|four| four == b"trun").unwrap() + 8;
    let mut lie = pieces[2].clone();
    let at = size(&lie);
    // A run that claims four thousand million samples.
    lie[at..at + 4].copy_from_slice(&[0xFF; 4]);
    let mut push = daemon.push("/v1/cameras/front/stream", &[]);
    push.send(&[&pieces[0][..], &pieces[1]].concat());
    push.try_send(&lie).ok();
    push.answer().is_problem(400, "media");
    let cameras = daemon.get("/v1/cameras").ok().json();
    assert_eq!(cameras["cameras"][0]["bytes"], pieces[0].len() + pieces[1].len());
}

#[test]
fn fragments_out_of_order_are_all_kept_as_they_came() {
    let mut daemon = Daemon::start();
    let pieces = pieces(&front_door());
    let order = [0, 1, 3, 2, 5, 4];
    let body: Vec<u8> = order.iter().flat_map(|&at| pieces[at].clone()).collect();
    let answer = daemon.ask("POST", "/v1/cameras/front/stream", &[], &body).ok().json();
    assert_eq!((&answer["fragments"], &answer["dropped_bytes"]), (&5.into(), &0.into()));
    let clips = daemon.stop_and_list();
    let stored: u64 = clips.iter().map(|clip| clip["fragments"].as_u64().unwrap()).sum();
    assert_eq!(stored, 5, "{clips:?}");
}

#[test]
fn a_stream_that_is_cut_in_a_fragment_says_how_much_was_no_whole_one() {
    let daemon = Daemon::start();
    let body = front_door();
    let answer = daemon.ask("POST", "/v1/cameras/front/stream", &[], &body[..body.len() / 2]);
    let answer = answer.ok().json();
    assert!(answer["fragments"].as_u64() >= Some(1), "{answer}");
    assert!(answer["dropped_bytes"].as_u64() > Some(0), "{answer}");
}
