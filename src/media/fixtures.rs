//! Real files for tests; tests/fixtures/make says how they were made.

use bytes::Bytes;

macro_rules! fixture {
    ($name:ident, $file:literal) => {
        pub(super) fn $name() -> Bytes {
            Bytes::from_static(include_bytes!(concat!("../../tests/fixtures/", $file)))
        }
    };
}

fixture!(av, "av.mp4");
fixture!(video, "video.mp4");
fixture!(epoch, "epoch.mp4");
fixture!(plain, "plain.mp4");
fixture!(small, "small.mp4");
fixture!(absolute, "absolute.mp4");
fixture!(audio, "audio.mp4");
fixture!(hevc, "hevc.mp4");
fixture!(av1, "av1.mp4");

/// The recordings of the segment muxer, 2 s each.
pub(super) fn segment(index: usize) -> Bytes {
    Bytes::from_static(match index {
        0 => include_bytes!("../../tests/fixtures/segment0.mp4"),
        1 => include_bytes!("../../tests/fixtures/segment1.mp4"),
        _ => include_bytes!("../../tests/fixtures/segment2.mp4"),
    })
}

pub(super) fn all() -> Vec<Bytes> {
    let segments = (0..3).map(segment);
    let rest = [av(), video(), epoch(), plain(), small(), absolute(), audio(), hevc(), av1()];
    segments.chain(rest).collect()
}
