//! A clip as a caller sees it, and what it takes to make one.

use std::fmt;
use std::time::Duration;

use super::{CameraId, ClassId, ClipId, Error, Result, Timestamp, Window};

/// What the bytes of a clip are. The engine never looks inside; the name travels with the clip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Media {
    /// Anything.
    #[default]
    Unknown,
    /// An MP4 file with one `moov` that indexes everything.
    Mp4,
    /// `ftyp moov` and then any number of `moof mdat`.
    FragmentedMp4,
    /// An MPEG transport stream.
    MpegTs,
    /// One still picture.
    Jpeg,
}

impl Media {
    /// The number that stands for it on disk.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::Mp4 => 1,
            Self::FragmentedMp4 => 2,
            Self::MpegTs => 3,
            Self::Jpeg => 4,
        }
    }

    /// The media that `code` stands for; `Unknown` for codes of a later version.
    pub(crate) const fn from_code(code: u8) -> Self {
        match code {
            1 => Self::Mp4,
            2 => Self::FragmentedMp4,
            3 => Self::MpegTs,
            4 => Self::Jpeg,
            _ => Self::Unknown,
        }
    }

    /// A short stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Mp4 => "mp4",
            Self::FragmentedMp4 => "fragmented-mp4",
            Self::MpegTs => "mpeg-ts",
            Self::Jpeg => "jpeg",
        }
    }
}

impl fmt::Display for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How complete a clip is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClipState {
    /// Its last fragment is stored.
    Complete,
    /// It is being recorded; what is durable so far can be read.
    Recording,
    /// Its camera vanished or the machine stopped: it ends at its last durable fragment.
    Truncated,
}

impl ClipState {
    /// A short stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Recording => "recording",
            Self::Truncated => "truncated",
        }
    }
}

/// One recording of one camera: what the store knows of it, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clip {
    pub(crate) id: ClipId,
    pub(crate) camera: CameraId,
    pub(crate) window: Window,
    pub(crate) received: Timestamp,
    pub(crate) len: u64,
    pub(crate) media: Media,
    pub(crate) state: ClipState,
    pub(crate) digest: [u8; 32],
    pub(crate) uncertainty_us: u64,
    pub(crate) class: ClassId,
    pub(crate) fragments: u32,
}

impl Clip {
    /// Its permanent id.
    #[must_use]
    pub fn id(&self) -> ClipId {
        self.id
    }

    /// The camera that recorded it.
    #[must_use]
    pub fn camera(&self) -> &CameraId {
        &self.camera
    }

    /// When it was recorded, by the camera's clock.
    #[must_use]
    pub fn window(&self) -> Window {
        self.window
    }

    /// When its newest bytes arrived, by the store's trusted time: its age counts from here, so
    /// that a camera's wrong clock cannot shorten or lengthen its life.
    #[must_use]
    pub fn received(&self) -> Timestamp {
        self.received
    }

    /// How many bytes it has.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a stored clip is never empty")]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// What its bytes are.
    #[must_use]
    pub fn media(&self) -> Media {
        self.media
    }

    /// Whether it is complete.
    #[must_use]
    pub fn state(&self) -> ClipState {
        self.state
    }

    /// The BLAKE3 digest of its bytes, taken as they arrived. Of a clip that is being recorded or
    /// was cut off: of the bytes that are durable.
    #[must_use]
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// How far the camera's clock may have been off, either way.
    #[must_use]
    pub fn uncertainty(&self) -> Duration {
        Duration::from_micros(self.uncertainty_us)
    }

    /// The window in which it may really have been recorded: its window, widened by its
    /// uncertainty. Holds bind by this one.
    #[must_use]
    pub fn possible_window(&self) -> Window {
        self.window.widened(self.uncertainty())
    }

    /// The retention class it was recorded under.
    #[must_use]
    pub fn class(&self) -> ClassId {
        self.class
    }

    /// How many fragments it is stored as: one for each [`crate::Recorder::write`], and of one that
    /// is longer than 1 MiB each begun MiB. The record that only ends a clip is none.
    #[must_use]
    pub fn fragments(&self) -> u32 {
        self.fragments
    }
}

/// The longest clock uncertainty a clip may state.
pub const UNCERTAINTY_MAX: Duration = Duration::from_hours(366 * 24);

/// What a caller says of a clip before its bytes.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use clipkeep::{CameraId, Media, NewClip, Window};
///
/// let camera: CameraId = "front-door".parse()?;
/// let window = Window::parse("2026-11-23T18:00:00Z", "2026-11-23T18:00:30Z")?;
/// let clip = NewClip::new(&camera, window)
///     .media(Media::Mp4)
///     .uncertainty(Duration::from_secs(2))?;
/// # Ok::<(), clipkeep::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct NewClip {
    pub(crate) camera: CameraId,
    pub(crate) start: Timestamp,
    pub(crate) end: Option<Timestamp>,
    pub(crate) media: Media,
    pub(crate) uncertainty: Duration,
    pub(crate) init: Option<bytes::Bytes>,
}

impl NewClip {
    /// A finished clip of `camera`, recorded during `window`: for `Store::append`.
    #[must_use]
    pub fn new(camera: &CameraId, window: Window) -> Self {
        Self { end: Some(window.end()), ..Self::starting(camera, window.start()) }
    }

    /// A clip of `camera` that starts at `start` and is still being recorded: for `Store::record`.
    #[must_use]
    pub fn starting(camera: &CameraId, start: Timestamp) -> Self {
        let camera = camera.clone();
        let (media, uncertainty) = (Media::Unknown, Duration::ZERO);
        Self { camera, start, end: None, media, uncertainty, init: None }
    }

    /// What the bytes are. Default: [`Media::Unknown`].
    #[must_use]
    pub fn media(mut self, media: Media) -> Self {
        self.media = media;
        self
    }

    /// How far the camera's clock may be off, either way. Default: zero.
    ///
    /// # Errors
    ///
    /// `InvalidInput` above [`UNCERTAINTY_MAX`].
    pub fn uncertainty(mut self, uncertainty: Duration) -> Result<Self> {
        if uncertainty > UNCERTAINTY_MAX {
            return Err(Error::invalid(format!("clock uncertainty {uncertainty:?}: above a year")));
        }
        self.uncertainty = uncertainty;
        Ok(self)
    }

    /// What [`Self::uncertainty`] was given, in whole microseconds, as it is stored.
    pub(crate) fn uncertainty_us(&self) -> u64 {
        u64::try_from(self.uncertainty.as_micros()).unwrap_or(u64::MAX)
    }

    /// The bytes that must come first in every clip of this recording to make it playable by
    /// itself: the init segment (`ftyp moov`) of fragmented MP4. The recorder writes them at the
    /// start, and again when it has to begin another clip. Default: none.
    #[must_use]
    pub fn init(mut self, init: impl Into<bytes::Bytes>) -> Self {
        self.init = Some(init.into());
        self
    }
}
