//! Tests of init segments: what is taken from them, and what is refused.

use super::*;
use crate::media::fixtures;
use crate::types::ErrorKind;

fn init(bytes: &Bytes) -> InitSegment {
    InitSegment::parse(bytes.clone()).unwrap()
}

/// `bytes` with the box at `path` replaced by what `change` makes of its body.
fn changed(bytes: &Bytes, kind: [u8; 4], change: impl Fn(&mut [u8])) -> Bytes {
    let mut bytes = bytes.to_vec();
    let at = bytes.windows(4).position(|window| *window == kind).unwrap();
    let len = u32::from_be_bytes(bytes[at - 4..at].try_into().unwrap());
    change(&mut bytes[at + 4..at - 4 + usize::try_from(len).unwrap()]);
    bytes.into()
}

#[test]
fn codecs_are_named_as_in_rfc_6381() {
    for (bytes, codecs) in [
        (fixtures::av(), "avc1.64000a,mp4a.40.2"),
        (fixtures::video(), "avc1.64000a"),
        (fixtures::hevc(), "hvc1.1.6.L30.90"),
        (fixtures::av1(), "av01.0.00M.08,opus"),
        (fixtures::audio(), "mp4a.40.2"),
    ] {
        assert_eq!(init(&bytes).codecs(), codecs);
    }
}

#[test]
fn tracks_say_what_they_are() {
    let init = init(&fixtures::av());
    let [video, audio] = init.tracks() else { panic!("not two tracks") };
    assert_eq!((video.kind(), video.width(), video.height()), (TrackKind::Video, 160, 120));
    assert_eq!((video.id(), video.timescale()), (1, 10_240));
    assert_eq!((audio.kind(), audio.timescale()), (TrackKind::Audio, 16_000));
    // B-frames delay the first picture by two frames; the edit list takes that back.
    assert_eq!((video.edit_shift, audio.edit_shift), (-2_048, -1_024));
    assert_eq!(init.reference().id(), 1);
    assert!(init.is_fragmented());
}

#[test]
fn recordings_of_one_camera_have_one_decoder_set_up() {
    let ids = [0, 1, 2].map(|index| init(&fixtures::segment(index)).config_id());
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_ne!(init(&fixtures::small()).config_id(), ids[0]);
    assert_ne!(init(&fixtures::video()).config_id(), ids[0], "with sound and without");
}

#[test]
fn bit_rates_are_no_part_of_the_decoder_set_up_but_parameters_are() {
    let bytes = fixtures::av();
    let before = init(&bytes).config_id();
    let other_rates = changed(&bytes, *b"btrt", |body| body.fill(7));
    assert_eq!(init(&other_rates).config_id(), before);
    // Version and flags, ES descriptor (tag, size, 3), decoder configuration (tag, size), type,
    // stream type, buffer size: then the two bit rates.
    let other_rates = changed(&bytes, *b"esds", |body| {
        let config = body.iter().position(|&tag| tag == 4).unwrap();
        assert_eq!(body[config + 5], 0x40, "object type after a size of 4 bytes");
        body[config + 10..config + 18].fill(1);
    });
    assert_eq!(init(&other_rates).config_id(), before);
    // The same of a codec whose configuration box is not known here.
    let mut unknown = bytes.to_vec();
    let at = unknown.windows(4).position(|kind| kind == b"esds").unwrap();
    unknown[at..at + 4].copy_from_slice(b"xxxx");
    let unknown = Bytes::from(unknown);
    let other_rates = changed(&unknown, *b"btrt", |body| body.fill(7));
    assert_eq!(init(&other_rates).config_id(), init(&unknown).config_id());
    let other_parameters = changed(&bytes, *b"avcC", |body| *body.last_mut().unwrap() ^= 1);
    assert_ne!(init(&other_parameters).config_id(), before);
}

#[test]
fn creation_time_and_the_recorders_own_clock_are_read() {
    let seconds: u32 = 3_600_000_000;
    let bytes = changed(&fixtures::av(), *b"mvhd", |body| {
        body[4..8].copy_from_slice(&seconds.to_be_bytes());
    });
    let created = init(&bytes).created().unwrap();
    assert_eq!(created.as_micros(), (i64::from(seconds) - SECONDS_1904_TO_1970) * 1_000_000);

    // An mtxi box in the place of what ffmpeg writes into udta.
    let ntp: i64 = 1_795_000_000_123_456_789;
    let bytes = changed(&fixtures::av(), *b"udta", |body| {
        let mtxi = [&48_u32.to_be_bytes()[..], b"mtxi", &[0; 36], &ntp.to_be_bytes()].concat();
        body.fill(0);
        body[..52].copy_from_slice(&mtxi);
        body[3] = 52;
    });
    let recorded = init(&bytes).recorded().unwrap();
    assert_eq!(recorded.as_micros(), ntp / 1_000);
}

#[test]
fn a_moov_without_video_and_sound_is_refused() {
    let bytes = changed(&fixtures::video(), *b"hdlr", |body| body[8..12].copy_from_slice(b"text"));
    assert_eq!(InitSegment::parse(bytes).unwrap_err().kind(), ErrorKind::Media);
    let no_tracks = changed(&fixtures::video(), *b"moov", |body| body[112..116].fill(b'x'));
    assert_eq!(InitSegment::parse(no_tracks).unwrap_err().kind(), ErrorKind::Media);
}

#[test]
fn what_mp4_atom_cannot_read_still_has_a_name_and_an_identity() {
    let broken = changed(&fixtures::video(), *b"avcC", |body| body[0] = 9);
    let init = init(&broken);
    assert_eq!(init.codecs(), "avc1");
    assert_ne!(init.config_id(), self::init(&fixtures::video()).config_id());
}
