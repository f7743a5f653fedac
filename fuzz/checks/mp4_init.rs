//! Init segments, and what a file begins with.
//!
//! Asserts that what was read is read again from its own bytes, that nothing behind a `moov`
//! changes what it says, and that no claimed size or count becomes memory.

use bytes::Bytes;

use super::memory;
use crate::media::{InitSegment, Kind, NamePattern, NamedClip, TrackKind, probe};

/// Input: the bytes of an init segment, and once more a path for the reading of file names.
pub fn check(data: &[u8]) {
    probed(data);
    names(data);
    let most = memory::for_reading(data.len());
    let bytes = Bytes::copy_from_slice(data);
    let Ok(init) = memory::within(most, || InitSegment::parse(bytes)) else { return };
    let again = InitSegment::parse(init.bytes().clone()).expect("its own bytes");
    assert_eq!(again, init);
    let longer = [data, b"\0\0\0\x08free"].concat();
    let longer = InitSegment::parse(longer.into()).expect("a box behind it");
    assert_eq!((longer.config_id(), longer.tracks()), (init.config_id(), init.tracks()));
    assert!(init.tracks().iter().all(|track| track.timescale() > 0));
    assert!(init.tracks().contains(init.reference()));
    assert_ne!(init.reference().kind(), TrackKind::Other);
    let played = init.tracks().iter().filter(|track| track.kind() != TrackKind::Other);
    assert_eq!(init.codecs().split(',').count(), played.count());
}

/// More bytes make the answer known, and no other.
fn probed(data: &[u8]) {
    let half = probe(&data[..data.len() / 2]);
    // The packets of a transport stream are told by two places far apart.
    let settled = half != Kind::Unknown && !data.starts_with(b"G");
    assert!(!settled || half == probe(data), "{half:?} became {:?}", probe(data));
}

/// A file name is text from a stranger too.
fn names(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let (pattern, path) = text.split_once('\n').unwrap_or((text, text));
    let by_pattern = NamePattern::new(pattern).and_then(|pattern| pattern.read(path));
    for named in by_pattern.ok().into_iter().chain(NamedClip::recognise(path, 3600)) {
        assert_ne!(named.camera.as_deref(), Some(""), "a camera without a name");
    }
}
