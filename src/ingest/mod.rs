//! A live stream into a store: cut into clips at fragments, each fragment durable before the next.
//!
//! Owns the rule of where one clip ends and the next begins, and what time it was. Over the store
//! and `media`; whoever reads the bytes (a pipe, a socket) is above. Calls block on the disk.

mod wall_clock;

use std::time::Duration;

use crate::media::{Fragment, InitSegment, Piece};
use crate::{CameraId, Error, ErrorKind, Media, NewClip, Recorder, Result, Store, Timestamp};

use wall_clock::{Place, WallClock};

/// What was recorded so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recorded {
    /// Clips that have ended.
    pub(crate) clips: u64,
    /// Fragments that are durable.
    pub(crate) fragments: u64,
    /// Their bytes, without the init segments.
    pub(crate) bytes: u64,
    /// How often the stream's own clock was set.
    pub(crate) clock_jumps: u64,
    /// When the newest of them ends.
    pub(crate) newest_end: Option<Timestamp>,
}

/// The recording of one stream of one camera.
#[derive(Debug)]
pub(crate) struct StreamRecorder {
    store: Store,
    camera: CameraId,
    /// How long a clip gets before the next begins, at a key frame.
    split: Duration,
    wall_clock: WallClock,
    init: Option<InitSegment>,
    recorder: Option<Recorder>,
    /// When the clip that is being recorded began.
    clip_start: Timestamp,
    recorded: Recorded,
}

impl StreamRecorder {
    /// A recording of `camera` that began at `start`, if that is known better than by the stream's
    /// own clock and its arrival.
    pub(crate) fn new(
        store: &Store,
        camera: &CameraId,
        start: Option<Timestamp>,
        split: Duration,
    ) -> Self {
        Self {
            store: store.clone(),
            camera: camera.clone(),
            split,
            wall_clock: WallClock::new(start),
            init: None,
            recorder: None,
            clip_start: Timestamp::EPOCH,
            recorded: Recorded::default(),
        }
    }

    /// Takes the next piece of the stream, which arrived, whole, at `arrival`, after it `waited`
    /// for footage behind it that came in the same file. A fragment is durable on return.
    ///
    /// # Errors
    ///
    /// Those of the store. The recording ends at its last durable fragment.
    pub(crate) fn take(
        &mut self,
        piece: Piece,
        arrival: Timestamp,
        waited: Duration,
    ) -> Result<()> {
        match piece {
            Piece::Init(init) => self.init(init),
            Piece::Fragment(fragment) => {
                let place = self.wall_clock.place(&fragment, arrival, waited);
                self.fragment(fragment, place)
            }
        }
    }

    /// Ends the clip that is being recorded: complete and durable.
    ///
    /// # Errors
    ///
    /// Those of the store: the clip then ends at its last durable fragment.
    pub(crate) fn finish(&mut self) -> Result<()> {
        // A recorder has something in it: it is made for a fragment.
        self.recorder.take().map_or(Ok(()), |recorder| {
            recorder.finish()?;
            self.recorded.clips += 1;
            Ok(())
        })
    }

    /// Leaves the clip as it is: truncated at its last durable fragment, because its sender
    /// vanished.
    #[cfg(feature = "daemon")]
    pub(crate) fn abandon(&mut self) {
        if self.recorder.take().is_some() {
            self.recorded.clips += 1;
        }
    }

    /// What is in the store.
    pub(crate) fn recorded(&self) -> Recorded {
        self.recorded
    }

    /// The clip that is being recorded, and how many bytes each clip of this stream begins with.
    #[cfg(feature = "cli")]
    pub(crate) fn newest_clip(&self) -> Option<(crate::ClipId, usize)> {
        let clip = self.recorder.as_ref()?.clips().last().copied()?;
        Some((clip, self.init.as_ref().map_or(0, |init| init.bytes().len())))
    }

    /// Another decoder set-up, or a sender that began anew: what follows is another recording.
    fn init(&mut self, init: InitSegment) -> Result<()> {
        self.finish()?;
        self.wall_clock.restart();
        self.init = Some(init);
        Ok(())
    }

    fn fragment(&mut self, fragment: Fragment, place: Place) -> Result<()> {
        self.recorded.clock_jumps += u64::from(fragment.clock_set);
        let length = place.start.since(self.clip_start).saturating_add(fragment.duration);
        let long = fragment.key && length > self.split;
        if place.moved || fragment.clock_set || long {
            self.finish()?;
        }
        let recorder = if let Some(recorder) = &mut self.recorder {
            recorder
        } else {
            let begun = self.begin(place)?;
            self.clip_start = place.start;
            self.recorder.insert(begun)
        };
        let bytes = u64::try_from(fragment.bytes.len()).unwrap_or(u64::MAX);
        let duration = fragment.duration;
        recorder.write(fragment.bytes, duration)?;
        self.recorded.fragments += 1;
        self.recorded.bytes += bytes;
        self.recorded.newest_end = Some(place.start.saturating_add(duration));
        Ok(())
    }

    fn begin(&self, place: Place) -> Result<Recorder> {
        // The parser gives no fragment before an init segment.
        let Some(init) = &self.init else {
            return Err(Error::new(ErrorKind::Media, "fragment without an init segment"));
        };
        let clip = NewClip::starting(&self.camera, place.start)
            .media(Media::FragmentedMp4)
            .init(init.bytes().clone())
            .uncertainty(place.uncertainty)?;
        self.store.record(clip)
    }
}
