//! A movie fragment: which samples of which tracks lie where in its `mdat`, and when they play.

use std::ops::Range;

use super::boxes::{Fields, Mp4Box, boxes, find};
use super::init::{InitSegment, SampleDefaults};
use super::media_error;
use crate::types::Result;

/// The most samples in a fragment: an hour of pictures, or of AAC.
const FRAGMENT_SAMPLES_MAX: u64 = 1 << 18;

/// One picture, or one packet of sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// Where its bytes are; in [`TrackFragment`] relative to the base, else in the clip.
    pub(super) offset: u64,
    pub(super) size: u32,
    /// In ticks of its track.
    pub(super) duration: u32,
    /// Presentation time less decode time, in ticks.
    pub(super) composition: i32,
    /// Decoding can start here.
    pub(super) sync: bool,
}

/// What data offsets count from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    /// The first byte of the `moof`.
    Moof,
    /// A byte of the stream as it was when it was sent.
    Stream(u64),
}

/// The samples of one track in a fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TrackFragment {
    pub(super) track_id: u32,
    /// The decode time of the first sample, in ticks, where the stream says it.
    pub(super) decode_time: Option<u64>,
    pub(super) base: Base,
    pub(super) samples: Vec<Sample>,
}

impl TrackFragment {
    /// Ticks from its first sample to the end of its last.
    pub(super) fn duration(&self) -> u64 {
        self.samples.iter().map(|sample| u64::from(sample.duration)).sum()
    }

    /// Its samples with their places in a clip where the `moof` starts at `moof_at` and its data
    /// fills `data`; `None` when one of them lies elsewhere.
    ///
    /// An absolute base is right when the clip begins where its stream began. Otherwise the
    /// offsets are read as counted from the `moof`, which is where encoders let them start.
    pub(super) fn placed(&self, moof_at: u64, data: &Range<u64>) -> Option<Vec<Sample>> {
        let candidates = match self.base {
            Base::Moof => [Some(moof_at), None],
            Base::Stream(at) => [Some(at), Some(moof_at)],
        };
        candidates.into_iter().flatten().find_map(|base| {
            let place = |sample: &Sample| {
                let offset = base.checked_add(sample.offset)?;
                let end = offset.checked_add(u64::from(sample.size))?;
                let inside = data.start <= offset && end <= data.end;
                inside.then_some(Sample { offset, ..*sample })
            };
            self.samples.iter().map(place).collect()
        })
    }
}

/// Reads `moof`, a whole box, whose data has `data_len` bytes.
///
/// Tracks that `init` does not have are left out.
///
/// # Errors
///
/// `Media` when it is cut short, or claims more samples than its bytes and data have room for.
pub(super) fn parse(moof: &[u8], data_len: u64, init: &InitSegment) -> Result<Vec<TrackFragment>> {
    let moof_box = find(moof, *b"moof").ok_or_else(|| media_error("no whole moof box"))?;
    // Each sample takes a field of the moof or a byte of the data, or it is a lie.
    let room = u64::try_from(moof.len() / 4).unwrap_or(u64::MAX).saturating_add(data_len);
    let room = room.min(FRAGMENT_SAMPLES_MAX);
    let mut reader = Reader { init, room, next: (Base::Moof, 0) };
    let mut tracks = Vec::new();
    for child in boxes(moof_box.body) {
        let child = child?;
        if child.kind == *b"traf" {
            let read = reader.traf(child).ok_or_else(|| {
                media_error("moof: a traf is cut short, or claims more samples than there can be")
            })?;
            tracks.push(read);
        }
    }
    tracks.retain(|track| init.track(track.track_id).is_some());
    Ok(tracks)
}

/// What is carried from one `traf` and `trun` to the next.
struct Reader<'a> {
    init: &'a InitSegment,
    /// How many more samples there can be.
    room: u64,
    /// Where the data of the last run ended: where one without an offset begins.
    next: (Base, u64),
}

mod tfhd {
    pub(super) const BASE_DATA_OFFSET: u32 = 0x1;
    pub(super) const DESCRIPTION: u32 = 0x2;
    pub(super) const DURATION: u32 = 0x8;
    pub(super) const SIZE: u32 = 0x10;
    pub(super) const FLAGS: u32 = 0x20;
    pub(super) const BASE_IS_MOOF: u32 = 0x2_0000;
}

mod trun {
    pub(super) const DATA_OFFSET: u32 = 0x1;
    pub(super) const FIRST_FLAGS: u32 = 0x4;
    pub(super) const DURATION: u32 = 0x100;
    pub(super) const SIZE: u32 = 0x200;
    pub(super) const FLAGS: u32 = 0x400;
    pub(super) const COMPOSITION: u32 = 0x800;
}

/// The bit of a sample's flags that says decoding cannot start there.
const NOT_SYNC: u32 = 0x1_0000;

impl Reader<'_> {
    fn traf(&mut self, traf: Mp4Box<'_>) -> Option<TrackFragment> {
        let mut fields = Fields::new(find(traf.body, *b"tfhd")?.body);
        let flags = fields.version_flags()?.1;
        let track_id = fields.u32()?;
        let track = self.init.track(track_id);
        let mut defaults = track.map_or(SampleDefaults::default(), |track| track.defaults);
        let (base, start) = if flags & tfhd::BASE_DATA_OFFSET != 0 {
            (Base::Stream(fields.u64()?), 0)
        } else if flags & tfhd::BASE_IS_MOOF != 0 {
            (Base::Moof, 0)
        } else {
            self.next
        };
        if flags & tfhd::DESCRIPTION != 0 {
            fields.u32()?;
        }
        for (bit, field) in [
            (tfhd::DURATION, &mut defaults.duration),
            (tfhd::SIZE, &mut defaults.size),
            (tfhd::FLAGS, &mut defaults.flags),
        ] {
            if flags & bit != 0 {
                *field = fields.u32()?;
            }
        }
        let decode_time = match find(traf.body, *b"tfdt") {
            None => None,
            Some(tfdt) => {
                let mut fields = Fields::new(tfdt.body);
                let wide = fields.version_flags()?.0 == 1;
                Some(fields.u32_or_u64(wide)?)
            }
        };
        let mut samples = Vec::new();
        self.next = (base, start);
        for child in boxes(traf.body) {
            let child = child.ok()?;
            if child.kind == *b"trun" {
                self.trun(child, base, defaults, &mut samples)?;
            }
        }
        Some(TrackFragment { track_id, decode_time, base, samples })
    }

    fn trun(
        &mut self,
        trun_box: Mp4Box<'_>,
        base: Base,
        defaults: SampleDefaults,
        samples: &mut Vec<Sample>,
    ) -> Option<()> {
        let mut fields = Fields::new(trun_box.body);
        let flags = fields.version_flags()?.1;
        let count = fields.u32()?;
        self.room = self.room.checked_sub(u64::from(count))?;
        let mut offset = self.next.1;
        if flags & trun::DATA_OFFSET != 0 {
            // Counted from the base, and never negative where the data follows its moof.
            offset = u64::try_from(fields.i32()?).ok()?;
        }
        let first_flags = if flags & trun::FIRST_FLAGS != 0 { Some(fields.u32()?) } else { None };
        let mut field = |bit, default| if flags & bit == 0 { Some(default) } else { fields.u32() };
        for index in 0..count {
            let duration = field(trun::DURATION, defaults.duration)?;
            let size = field(trun::SIZE, defaults.size)?;
            let own = field(trun::FLAGS, defaults.flags)?;
            // Version 0 has no negative offsets, but none so large either.
            let composition = field(trun::COMPOSITION, 0)?.cast_signed();
            let own = if index == 0 { first_flags.unwrap_or(own) } else { own };
            samples.push(Sample { offset, size, duration, composition, sync: own & NOT_SYNC == 0 });
            offset = offset.checked_add(u64::from(size))?;
        }
        self.next = (base, offset);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::media::fixtures;

    fn boxed(kind: [u8; 4], parts: &[&[u8]]) -> Vec<u8> {
        let body = parts.concat();
        let len = u32::try_from(body.len() + 8).unwrap();
        [&len.to_be_bytes()[..], &kind, &body].concat()
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    /// A moof with one traf: the words of its `tfhd` after the track id, and of its `trun`.
    fn moof(tfhd_flags: u32, tfhd: &[u32], trun: &[u32]) -> Vec<u8> {
        let tfhd = boxed(*b"tfhd", &[&words(&[tfhd_flags, 1]), &words(tfhd)]);
        boxed(*b"moof", &[&boxed(*b"traf", &[&tfhd, &boxed(*b"trun", &[&words(trun)])])])
    }

    fn parsed(moof: &[u8], data_len: u64) -> Result<Vec<TrackFragment>> {
        parse(moof, data_len, &InitSegment::parse(fixtures::video()).unwrap())
    }

    #[test]
    fn samples_take_defaults_where_they_say_nothing() {
        let defaults = tfhd::DURATION | tfhd::SIZE | tfhd::FLAGS | tfhd::BASE_IS_MOOF;
        let bytes = moof(
            defaults,
            &[512, 10, NOT_SYNC],
            &[trun::DATA_OFFSET | trun::FIRST_FLAGS, 2, 60, 0],
        );
        let found = &parsed(&bytes, 20).unwrap()[0];
        let sample =
            |offset, sync| Sample { offset, size: 10, duration: 512, composition: 0, sync };
        assert_eq!(found.samples, [sample(60, true), sample(70, false)]);
        assert_eq!((found.duration(), found.decode_time, found.base), (1_024, None, Base::Moof));
    }

    #[test]
    fn samples_outside_of_the_data_have_no_place() {
        let flags = tfhd::SIZE | tfhd::BASE_DATA_OFFSET;
        let bytes = moof(flags, &[0, 5_000, 10], &[trun::DATA_OFFSET, 2, 60]);
        let found = &parsed(&bytes, 20).unwrap()[0];
        assert_eq!(found.placed(5_000, &(5_060..5_080)).unwrap()[1].offset, 5_070);
        assert_eq!(found.placed(100, &(160..180)).unwrap()[1].offset, 170, "moved in the store");
        assert_eq!(found.placed(100, &(160..179)), None);
        assert_eq!(found.placed(100, &(161..180)), None);
        assert_eq!(found.placed(u64::MAX, &(0..10)), None);
    }

    #[test]
    fn a_count_without_room_and_cut_fields_are_refused() {
        for (trun, data_len) in [
            (&[0, u32::MAX][..], 1_000),
            (&[0, 100], 10),
            (&[trun::SIZE, 3, 1, 1], 1_000),
            (&[trun::DATA_OFFSET, 0], 1_000),
            (&[trun::DATA_OFFSET, 1, u32::MAX], 1_000),
            (&[0], 1_000),
        ] {
            assert!(parsed(&moof(tfhd::BASE_IS_MOOF, &[], trun), data_len).is_err(), "{trun:?}");
        }
    }

    #[test]
    fn a_fragment_has_no_more_samples_than_the_limit() {
        for (count, refused) in [(FRAGMENT_SAMPLES_MAX, false), (FRAGMENT_SAMPLES_MAX + 1, true)] {
            let trun = [0, u32::try_from(count).unwrap()];
            let bytes = moof(tfhd::BASE_IS_MOOF | tfhd::SIZE, &[1], &trun);
            assert_eq!(parsed(&bytes, 2 * count).is_err(), refused, "{count}");
        }
    }

    #[test]
    fn tracks_that_the_init_segment_does_not_have_are_left_out() {
        let tfhd = boxed(*b"tfhd", &[&words(&[tfhd::BASE_IS_MOOF, 9])]);
        let bytes = Bytes::from(boxed(*b"moof", &[&boxed(*b"traf", &[&tfhd])]));
        assert_eq!(parsed(&bytes, 0).unwrap(), []);
    }
}
