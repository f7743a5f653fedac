//! Getting clips in: whole ones, and ones that are still being recorded.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;

use crate::format::record::{RECORD_PAYLOAD_BYTES_MAX, RecordHeader};
use crate::log::{Appender, ClipSlot, Submission, Ticket};
use crate::types::{
    ClassId, Clip, ClipId, ClipState, Error, ErrorKind, NewClip, Result, SegmentId, Timestamp,
    Window,
};

use super::{Durability, Inner, Store};

/// The largest clip: what `append` takes, and what a recording grows to before it goes on as
/// another clip.
pub(crate) const CLIP_BYTES_MAX: u64 = 4 << 30;
/// From this size on a fragment is summed while it is written: taking the sums of a smaller one is
/// over before a thread for that has begun.
const BESIDE_BYTES_MIN: usize = 512 << 10;
/// The largest fragment of one `Recorder::write`.
const FRAGMENT_BYTES_MAX: u64 = 64 << 20;

impl Store {
    /// Stores a finished clip. Its bytes are kept exactly as they are.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for an empty clip, one above 4 GiB, or one longer than
    /// `StoreOptions::clip_duration_max`; `Full` when there is no room; `ReadOnly`; `Poisoned`
    /// after two failed writes in a row; `Io`. After an error nothing of the clip can be found.
    ///
    /// # Durability
    ///
    /// The clip survives power loss when this returns, unless the store is `Buffered`. A power cut
    /// before that leaves the whole clip or nothing.
    pub fn append(&self, clip: NewClip, bytes: impl Into<Bytes>) -> Result<Clip> {
        let bytes = bytes.into();
        let Some(end) = clip.end else {
            return Err(Error::invalid("append clip: it has no end, use record"));
        };
        let window = Window::new(clip.start, end)?;
        let len = bytes_of(&bytes);
        if bytes.is_empty() || len > CLIP_BYTES_MAX {
            return Err(Error::invalid(format!(
                "append clip of {len} bytes: want 1 byte to 4 GiB"
            )));
        }
        let cap = self.inner.options.clip_duration_max;
        if window.duration() > cap {
            return Err(Error::invalid(format!(
                "append clip of {:?}: longer than {cap:?}, split it or raise clip_duration_max",
                window.duration()
            )));
        }
        let mut open = OpenClip { at_once: true, ..OpenClip::begin(&self.inner, clip)? };
        let stored = open
            .put(&self.inner, &bytes, window.duration(), true)
            .and_then(|()| open.settle(&self.inner));
        if let Err(error) = stored {
            // What is already in the log must not count as being recorded for ever: it would hold
            // back the expiry of its class. Nor may anybody find a part of it.
            open.forget(&self.inner);
            if let Some(id) = open.slot.id() {
                self.inner.discard(id);
            }
            return Err(error);
        }
        open.close(&self.inner)
    }

    /// Begins to record a clip of `clip`'s camera. Nothing is stored before the first fragment.
    ///
    /// # Errors
    ///
    /// `ReadOnly` in a read-only store; `InvalidInput` when the init bytes are above 1 MiB.
    ///
    /// # Example
    ///
    /// ```
    /// use std::time::Duration;
    /// use clipkeep::{CameraId, Media, NewClip, Store, Timestamp};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let store = Store::options().open(dir.path())?;
    /// let camera: CameraId = "garage".parse()?;
    /// let clip = NewClip::starting(&camera, Timestamp::EPOCH).media(Media::FragmentedMp4);
    /// let mut recorder = store.record(clip.init(&b"ftyp moov"[..]))?;
    /// recorder.write(&b"moof mdat"[..], Duration::from_secs(2))?;
    /// recorder.write(&b"moof mdat"[..], Duration::from_secs(2))?;
    /// let clip = recorder.finish()?;
    /// assert_eq!(store.read(clip.id())?.to_vec()?, b"ftyp moovmoof mdatmoof mdat");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn record(&self, clip: NewClip) -> Result<Recorder> {
        self.inner.check_writable()?;
        check_init(clip.init.as_ref())?;
        let position = clip.start;
        Ok(Recorder {
            store: self.clone(),
            template: clip,
            position,
            open: None,
            begun: Vec::new(),
            last: None,
            broken: None,
        })
    }
}

/// A clip that is being recorded, fragment by fragment.
///
/// When it has been dropped without [`Recorder::finish`], or the machine stops, the clip ends at
/// its last durable fragment and is [`crate::ClipState::Truncated`].
///
/// A clip that would get longer than `StoreOptions::clip_duration_max` (or 4 GiB) is ended, and the
/// recording goes on as another clip, which begins with the init bytes again.
pub struct Recorder {
    store: Store,
    template: NewClip,
    /// The end of what was written so far, by the camera's clock.
    position: Timestamp,
    open: Option<OpenClip>,
    begun: Vec<ClipId>,
    last: Option<Clip>,
    /// Why the recording cannot go on.
    broken: Option<Error>,
}

impl Recorder {
    /// Writes the next fragment, which covers `duration`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for an empty fragment, one above 64 MiB, or one longer than the longest clip:
    /// nothing is written and the recording may go on. Any other error ends this recording at its
    /// last durable fragment; begin another. `Full`, `Poisoned`, `Io`.
    ///
    /// # Durability
    ///
    /// As `StoreOptions::durability` says. A power cut before that leaves the whole fragment or
    /// nothing of it.
    pub fn write(&mut self, fragment: impl Into<Bytes>, duration: Duration) -> Result<()> {
        let fragment = fragment.into();
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        let cap = self.store.inner.options.clip_duration_max;
        if fragment.is_empty() || bytes_of(&fragment) > FRAGMENT_BYTES_MAX {
            let message =
                format!("write fragment of {} bytes: want 1 byte to 64 MiB", fragment.len());
            return Err(Error::invalid(message));
        }
        if duration > cap {
            let message =
                format!("write fragment of {duration:?}: longer than the longest clip, {cap:?}");
            return Err(Error::invalid(message));
        }
        let before = self.position;
        let mut written = self.write_checked(&fragment, duration, cap);
        if written.is_ok() && self.open_is_gone() {
            // The clip expired under a recorder that was silent for long, just as it was written
            // to: the fragment begins another clip.
            self.abandon();
            self.position = before;
            written = self.write_checked(&fragment, duration, cap);
        }
        if let Err(error) = &written {
            self.broken = Some(error.clone());
            self.abandon();
        }
        written
    }

    fn write_checked(&mut self, fragment: &Bytes, duration: Duration, cap: Duration) -> Result<()> {
        let len = bytes_of(fragment);
        if self.open_is_gone() {
            self.abandon();
        }
        // What may not fit in one segment begins a clip: cut off, it goes with all of its clip.
        let begins_clip = segment_bytes_for(len) > self.store.inner.options.segment_bytes;
        let full = self.open.as_ref().is_some_and(|open| {
            open.position.since(open.start).saturating_add(duration) > cap
                || open.len.saturating_add(len) > CLIP_BYTES_MAX
                || begins_clip
        });
        if full {
            self.end_clip()?;
        }
        let inner = Arc::clone(&self.store.inner);
        let mut bytes = fragment.clone();
        let open = if let Some(open) = &mut self.open {
            open
        } else {
            let template = NewClip { start: self.position, ..self.template.clone() };
            if let Some(init) = &template.init {
                // One record with the first fragment: no clip is ever only its init bytes.
                bytes = [&init[..], &fragment[..]].concat().into();
            }
            self.open.insert(OpenClip::begin(&inner, template)?)
        };
        open.put(&inner, &bytes, duration, false)?;
        match inner.options.durability {
            Durability::Synced | Durability::Buffered => open.settle(&inner)?,
            // The committer makes it durable within the interval.
            Durability::Grouped(_) => open.slot.check()?,
        }
        self.position = open.position;
        Ok(())
    }

    /// Changes the bytes that every clip must begin with: ends the clip that is being recorded; the
    /// next fragment begins another one.
    ///
    /// # Errors
    ///
    /// `InvalidInput` above 1 MiB; as [`Recorder::write`].
    pub fn set_init(&mut self, init: impl Into<Bytes>) -> Result<()> {
        let init = init.into();
        check_init(Some(&init))?;
        self.end_clip()?;
        self.template.init = Some(init);
        Ok(())
    }

    /// Ends the clip that is being recorded; the next fragment begins another one at `start`. For a
    /// gap, or a camera whose clock was set.
    ///
    /// # Errors
    ///
    /// As [`Recorder::write`].
    pub fn restart_at(&mut self, start: Timestamp) -> Result<()> {
        self.end_clip()?;
        self.position = start;
        Ok(())
    }

    /// The clips of this recording whose beginning is durable, in order.
    #[must_use]
    pub fn clips(&self) -> Vec<ClipId> {
        let open = self.open.as_ref().and_then(|open| open.slot.id());
        self.begun.iter().copied().chain(open).collect()
    }

    /// The end of what was written so far, by the camera's clock.
    #[must_use]
    pub fn position(&self) -> Timestamp {
        self.position
    }

    /// Ends the recording and answers its last clip, complete and durable.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when no fragment was written; as [`Recorder::write`], the clip is then
    /// truncated.
    pub fn finish(mut self) -> Result<Clip> {
        if let Some(error) = self.broken.take() {
            return Err(error);
        }
        self.end_clip()?;
        self.last.take().ok_or_else(|| Error::invalid("finish recording: no fragment was written"))
    }

    fn end_clip(&mut self) -> Result<()> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        let Some(mut open) = self.open.take() else { return Ok(()) };
        let inner = &self.store.inner;
        let ended =
            open.end(inner).and_then(|()| open.settle(inner)).and_then(|()| open.close(inner));
        self.begun.extend(open.slot.id());
        match ended {
            Ok(clip) => {
                self.last = Some(clip);
                Ok(())
            }
            Err(error) => {
                open.appender.commit(open.ticket, &**inner, open.sync);
                open.forget(inner);
                self.broken = Some(error.clone());
                Err(error)
            }
        }
    }

    /// Whether the clip expired while it was being recorded.
    fn open_is_gone(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.is_gone(&self.store.inner))
    }

    /// Leaves the clip as it is: truncated at its last durable fragment.
    fn abandon(&mut self) {
        if let Some(open) = self.open.take() {
            // Fragments that wait for their group belong to the truncated clip.
            open.appender.commit(open.ticket, &*self.store.inner, open.sync);
            self.begun.extend(open.slot.id());
            open.forget(&self.store.inner);
        }
    }
}

impl fmt::Debug for Recorder {
    /// Without the segment it writes to: that has megabytes to say.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("camera", &self.template.camera)
            .field("clips", &self.clips())
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.abandon();
    }
}

/// What a segment needs at most for a fragment of `len` bytes: records of 1 MiB with a header and
/// the rest of a block each, the segment's own header, footer and trailer.
fn segment_bytes_for(len: u64) -> u64 {
    const ENDS_BYTES: u64 = 64 << 10;
    len.saturating_add(len / 64).saturating_add(ENDS_BYTES)
}

fn bytes_of(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// Init bytes must fit one record, so that a clip that has anything has all of them.
fn check_init(init: Option<&Bytes>) -> Result<()> {
    match init {
        Some(init) if init.is_empty() || init.len() > RECORD_PAYLOAD_BYTES_MAX => Err(
            Error::invalid(format!("init segment of {} bytes: want 1 byte to 1 MiB", init.len())),
        ),
        _ => Ok(()),
    }
}

/// A clip on its way into the log.
struct OpenClip {
    clip: NewClip,
    class: ClassId,
    appender: Arc<Appender>,
    slot: Arc<ClipSlot>,
    hasher: blake3::Hasher,
    sequence: u32,
    /// The records so far that have bytes.
    fragments: u32,
    len: u64,
    start: Timestamp,
    position: Timestamp,
    ticket: Ticket,
    received: Timestamp,
    /// Whether its writes are made durable before they are acknowledged.
    sync: bool,
    /// Whether each of its writes is waited for.
    at_once: bool,
}

impl OpenClip {
    fn begin(inner: &Inner, clip: NewClip) -> Result<Self> {
        inner.check_writable()?;
        inner.expire_before_first_append();
        inner.welcome_camera(&clip.camera)?;
        let class = inner.history.read().class_of(Some(&clip.camera));
        Ok(Self {
            class,
            appender: inner.appender(class),
            slot: Arc::default(),
            hasher: blake3::Hasher::new(),
            sequence: 0,
            fragments: 0,
            len: 0,
            start: clip.start,
            position: clip.start,
            ticket: Ticket::default(),
            received: Timestamp::MIN,
            sync: inner.options.durability != Durability::Buffered,
            at_once: inner.options.durability == Durability::Synced,
            clip,
        })
    }

    /// Queues `bytes`, a fragment which covers `duration`, as one or more records; the last of them
    /// ends the clip if `last`.
    fn put(&mut self, inner: &Inner, bytes: &Bytes, duration: Duration, last: bool) -> Result<()> {
        let received = inner.now();
        self.received = received;
        let end = self.position.saturating_add(duration);
        let pieces = bytes.len().div_ceil(RECORD_PAYLOAD_BYTES_MAX).max(1);
        let mut records = Vec::with_capacity(pieces);
        for piece in 0..pieces {
            let from = piece * RECORD_PAYLOAD_BYTES_MAX;
            let to = bytes.len().min(from + RECORD_PAYLOAD_BYTES_MAX);
            let payload = bytes.slice(from..to);
            let is_last = piece + 1 == pieces;
            // Only the last piece moves the clip's end: a clip cut off in between is not said to
            // cover what it has no bytes of.
            let piece_end = if is_last { end } else { self.position };
            let times = (self.position, piece_end, received);
            records.push(self.submission(payload, times, last && is_last, !is_last));
        }
        self.position = end;
        let at_once = self.at_once && self.sync && bytes.len() >= BESIDE_BYTES_MIN;
        let led = if at_once {
            self.appender.lead_unsummed(&mut records, &mut self.hasher, inner)
        } else {
            None
        };
        self.ticket = if let Some(ticket) = led {
            ticket
        } else {
            for record in &mut records {
                record.take_sums(&mut self.hasher);
            }
            self.appender.submit(records, inner, self.sync)?
        };
        Ok(())
    }

    /// Queues the record that ends the clip: it has no payload.
    fn end(&mut self, inner: &Inner) -> Result<()> {
        self.put(inner, &Bytes::new(), Duration::ZERO, true)
    }

    fn submission(
        &mut self,
        payload: Bytes,
        (start, end, received): (Timestamp, Timestamp, Timestamp),
        last: bool,
        continued: bool,
    ) -> Submission {
        let header = RecordHeader {
            // The leader gives the real one.
            clip: ClipId::new(SegmentId(0), 0),
            camera: self.clip.camera.clone(),
            class: self.class,
            first: self.sequence == 0,
            last,
            continued,
            media: self.clip.media.code(),
            sequence: self.sequence,
            clip_offset: self.len,
            payload_bytes: u32::try_from(payload.len()).unwrap_or(u32::MAX),
            start,
            end,
            received,
            uncertainty_us: self.clip.uncertainty_us(),
            previous: None,
            // Comes with the sums.
            digest: [0; 32],
            durable_block: 0,
        };
        self.sequence += 1;
        self.fragments += u32::from(!payload.is_empty());
        self.len += u64::from(header.payload_bytes);
        let (slot, chunk_crcs) = (Arc::clone(&self.slot), Vec::new());
        Submission { slot, header, chunk_crcs, payload, is_summed: false }
    }

    /// Waits until everything queued is durable (written, in a `Buffered` store).
    fn settle(&self, inner: &Inner) -> Result<()> {
        self.appender.commit(self.ticket, inner, self.sync);
        self.slot.check()
    }

    /// Whether the clip has expired while it was being recorded.
    fn is_gone(&self, inner: &Inner) -> bool {
        self.slot.id().is_some_and(|id| !inner.catalog.read().is_at_home(id))
    }

    /// Takes the clip off the list of those that are being recorded, and answers it.
    fn close(&self, inner: &Inner) -> Result<Clip> {
        self.forget(inner);
        let id = self.slot.id().ok_or_else(|| {
            Error::new(ErrorKind::Io, "store clip: it was not written and nobody said why")
        })?;
        // A clip without media time covers at least an instant, as it does when it is looked up.
        Ok(Clip {
            id,
            camera: self.clip.camera.clone(),
            window: Window::at_least_an_instant(self.start, self.position),
            received: self.received,
            len: self.len,
            media: self.clip.media,
            state: ClipState::Complete,
            digest: *self.hasher.finalize().as_bytes(),
            uncertainty_us: self.clip.uncertainty_us(),
            class: self.class,
            fragments: self.fragments,
        })
    }

    fn forget(&self, inner: &Inner) {
        if let Some(id) = self.slot.id() {
            inner.catalog.write().recording.remove(&id);
        }
    }
}

impl Inner {
    /// What is overdue when the store is opened goes before anything new comes in. A store that
    /// cannot expire records all the same.
    fn expire_before_first_append(&self) {
        if self.swept.swap(true, Ordering::AcqRel) {
            return;
        }
        match self.sweep() {
            Ok(report) => report.problems.into_iter().for_each(|error| self.survived(error)),
            Err(error) => self.survived(error),
        }
    }
}
