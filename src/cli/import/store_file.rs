//! Brings one file into the store, whatever it is.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cut::{self, Sink};
use super::names::{Names, Origin};
use crate::cli::files;
use crate::cli::progress::Bar;
use crate::media::{
    ClipFacts, Fragment, InitSegment, Kind, MOOV_BYTES_MAX, SeekBytes, StartSource, StartTime,
    probe,
};
use crate::types::{Error, ErrorKind, Result};
use crate::{CameraId, Clip, ClipId, Media, NewClip, Recorder, Store, Timestamp, Window};

/// The largest file that is stored whole: it is in memory while that is done.
const WHOLE_FILE_BYTES_MAX: u64 = 512 << 20;
/// What a still picture or a transport stream covers when nothing says more.
const MOMENT: Duration = Duration::from_secs(1);

/// What is the same for all files of an import.
#[derive(Debug)]
pub(super) struct Importer<'a> {
    /// None: a dry run before there is a store.
    pub(super) store: Option<&'a Store>,
    pub(super) names: &'a Names,
    pub(super) split: Duration,
    pub(super) uncertainty: Option<Duration>,
    pub(super) dry_run: bool,
    pub(super) bar: &'a Bar,
}

/// What became of one file.
#[derive(Debug)]
pub(super) struct FileReport {
    pub(super) path: PathBuf,
    pub(super) from: Option<Origin>,
    pub(super) clips: Vec<StoredClip>,
    pub(super) lost_bytes: u64,
    pub(super) error: Option<anyhow::Error>,
}

/// What became of one clip of a file.
#[derive(Clone, Debug)]
pub(super) struct StoredClip {
    pub(super) id: Option<ClipId>,
    pub(super) window: Window,
    pub(super) bytes: u64,
    pub(super) outcome: Outcome,
}

/// Whether a clip was new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is in the store now (or would be, in a dry run).
    Stored,
    /// It was there before.
    Skipped,
}

impl FileReport {
    fn new(path: PathBuf) -> Self {
        Self { path, from: None, clips: Vec::new(), lost_bytes: 0, error: None }
    }

    /// A file of which nothing was stored.
    pub(super) fn failed(path: PathBuf, error: anyhow::Error) -> Self {
        Self { error: Some(error), ..Self::new(path) }
    }

    /// How many clips came out like this.
    pub(super) fn count(&self, outcome: Outcome) -> usize {
        self.clips.iter().filter(|clip| clip.outcome == outcome).count()
    }
}

impl Importer<'_> {
    /// Brings in the file at `path`; what goes wrong is in the report.
    pub(super) fn file(&self, path: &Path) -> FileReport {
        self.bar.note(path.display().to_string());
        let len = files::len(path).unwrap_or(0);
        let mut report = FileReport::new(path.to_owned());
        if let Err(error) = self.import(path, len, &mut report) {
            report.error = Some(error.into());
        }
        self.bar.advance(len);
        report
    }

    fn import(&self, path: &Path, len: u64, report: &mut FileReport) -> Result<()> {
        let mut file = files::open(path)?;
        let kind = kind_of(&mut file, path)?;
        match kind {
            Kind::FragmentedMp4 => self.fragmented(&mut file, path, report),
            Kind::Mp4 => {
                let facts = ClipFacts::read(&SeekBytes::new(&mut file)?)?;
                let origin = self.names.origin(path, Some(&facts), Vec::new())?;
                self.whole(&mut file, len, Media::Mp4, facts.duration(), origin, report)
            }
            Kind::MpegTs | Kind::Jpeg => {
                let origin = self.names.origin(path, None, Vec::new())?;
                self.whole(&mut file, len, kind.into(), MOMENT, origin, report)
            }
            _ => Err(Error::new(
                ErrorKind::Media,
                "neither MP4 nor MPEG-TS nor JPEG: convert it first, for example with \
                 `ffmpeg -i FILE -c copy OUT.mp4`",
            )),
        }
    }

    /// Stores the file as one clip.
    fn whole(
        &self,
        file: &mut File,
        len: u64,
        media: Media,
        duration: Duration,
        origin: Origin,
        report: &mut FileReport,
    ) -> Result<()> {
        if len == 0 || len > WHOLE_FILE_BYTES_MAX {
            return Err(Error::invalid(format!(
                "{len} bytes in one piece: want 1 byte to 512 MiB; make it fragmented MP4 with \
                 `ffmpeg -i FILE -c copy -movflags \
                 +frag_keyframe+empty_moov+default_base_moof+delay_moov OUT.mp4`"
            )));
        }
        let window = Window::starting(origin.start, duration.max(Duration::from_millis(1)))?;
        let mut bytes = Vec::new();
        rewind(file, &report.path)?;
        file.read_to_end(&mut bytes).map_err(|e| Error::io("read", &report.path, e))?;
        let digest = *blake3::hash(&bytes).as_bytes();
        let known = self.known(&origin.camera, origin.start, &digest)?;
        let mut clip = StoredClip { id: known, window, bytes: len, outcome: Outcome::Skipped };
        if known.is_none() {
            clip.outcome = Outcome::Stored;
            if let Some(store) = self.target() {
                let new = self.doubted(NewClip::new(&origin.camera, window), origin.source)?;
                clip.id = Some(store.append(new.media(media), bytes)?.id());
            }
        }
        report.clips.push(clip);
        report.from = Some(origin);
        Ok(())
    }

    /// Stores a stream of fragments. Read twice: to know which clips are there before, and when it
    /// began, without holding the file in memory.
    fn fragmented(&self, file: &mut File, path: &Path, report: &mut FileReport) -> Result<()> {
        rewind(file, path)?;
        let mut digests = Digests::default();
        let end = cut::cut(file, path, self.split, &mut digests)?;
        (report.lost_bytes, report.error) = (end.lost_bytes, end.damage.map(Into::into));
        if digests.clips.is_empty() && report.error.is_some() {
            return Ok(());
        }
        let origin = self.names.origin(path, None, digests.said())?;
        for part in &digests.clips {
            let start = origin.start.saturating_add(part.start);
            let length = part.end.saturating_sub(part.start).max(Duration::from_millis(1));
            let window = Window::starting(start, length)?;
            let known = self.known(&origin.camera, start, &part.digest)?;
            let outcome = if known.is_some() { Outcome::Skipped } else { Outcome::Stored };
            report.clips.push(StoredClip { id: known, window, bytes: part.bytes, outcome });
        }
        if report.clips.is_empty() {
            return Err(Error::new(ErrorKind::Media, "no whole fragment in it"));
        }
        let any_new = report.clips.iter().any(|clip| clip.outcome == Outcome::Stored);
        if let Some(store) = self.target().filter(|_| any_new) {
            rewind(file, path)?;
            let clips = &mut report.clips;
            let mut writer =
                Writer { importer: self, store, origin: &origin, clips, at: 0, recorder: None };
            cut::cut(file, path, self.split, &mut writer)?;
        }
        report.from = Some(origin);
        Ok(())
    }

    /// The clip of `camera` with this start and digest, if it is in the store.
    fn known(
        &self,
        camera: &CameraId,
        start: Timestamp,
        digest: &[u8; 32],
    ) -> Result<Option<ClipId>> {
        let Some(store) = self.store else { return Ok(None) };
        let instant = Window::starting(start, Duration::from_micros(1))?;
        let same = |clip: &Clip| clip.window().start() == start && clip.digest() == digest;
        Ok(store.clips(camera, instant)?.find(same).map(|clip| clip.id()))
    }

    /// Where clips go, unless this is a dry run.
    fn target(&self) -> Option<&Store> {
        self.store.filter(|_| !self.dry_run)
    }

    /// `clip` with the uncertainty of its start.
    fn doubted(&self, clip: NewClip, source: StartSource) -> Result<NewClip> {
        clip.uncertainty(self.uncertainty.unwrap_or_else(|| source.uncertainty()))
    }
}

/// What `file` looks like, read as far as it takes to tell.
fn kind_of(file: &mut File, path: &Path) -> Result<Kind> {
    let mut head = Vec::new();
    let limit = usize::try_from(MOOV_BYTES_MAX).unwrap_or(usize::MAX);
    let mut wanted = 64 << 10;
    loop {
        let before = head.len();
        head.resize(wanted, 0);
        let rest = head.get_mut(before..).unwrap_or(&mut []);
        let read = files::read_full(file, rest, path)?;
        head.truncate(before + read);
        let kind = probe(&head);
        let at_end = head.len() < wanted || wanted >= limit;
        if kind != Kind::Unknown || at_end {
            return Ok(kind);
        }
        wanted = (wanted * 8).min(limit);
    }
}

fn rewind(file: &mut File, path: &Path) -> Result<()> {
    file.seek(SeekFrom::Start(0)).map(|_| ()).map_err(|source| Error::io("read", path, source))
}

/// The first reading: what the clips will be.
#[derive(Default)]
struct Digests {
    init: Option<InitSegment>,
    epoch: Option<Timestamp>,
    clips: Vec<Part>,
    hasher: blake3::Hasher,
}

/// One clip of a file.
struct Part {
    start: Duration,
    end: Duration,
    bytes: u64,
    digest: [u8; 32],
}

impl Digests {
    /// When the file says it began.
    fn said(&self) -> Vec<StartTime> {
        let init = self.init.as_ref();
        let said = [
            (StartSource::Recorder, init.and_then(InitSegment::recorded)),
            (StartSource::Media, self.epoch),
            (StartSource::Created, init.and_then(InitSegment::created)),
        ];
        said.into_iter().filter_map(|(source, at)| Some(StartTime { at: at?, source })).collect()
    }
}

impl Sink for Digests {
    fn begin(&mut self, start: Duration, init: &InitSegment) -> Result<()> {
        self.init.get_or_insert_with(|| init.clone());
        self.hasher = blake3::Hasher::new();
        self.hasher.update(init.bytes());
        let bytes = u64::try_from(init.bytes().len()).unwrap_or(u64::MAX);
        self.clips.push(Part { start, end: start, bytes, digest: [0; 32] });
        Ok(())
    }

    fn fragment(&mut self, fragment: Fragment) -> Result<()> {
        self.hasher.update(&fragment.bytes);
        let first = self.epoch.is_none() && self.clips.len() == 1;
        if first && let Some(epoch) = fragment.epoch {
            self.epoch = Some(epoch.saturating_sub(fragment.start));
        }
        if let Some(part) = self.clips.last_mut() {
            part.end = part.end.max(fragment.start.saturating_add(fragment.duration));
            part.bytes += u64::try_from(fragment.bytes.len()).unwrap_or(u64::MAX);
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        if let Some(part) = self.clips.last_mut() {
            part.digest = *self.hasher.finalize().as_bytes();
        }
        Ok(())
    }
}

/// The second reading: stores the clips that are new.
struct Writer<'a> {
    importer: &'a Importer<'a>,
    store: &'a Store,
    origin: &'a Origin,
    clips: &'a mut Vec<StoredClip>,
    at: usize,
    recorder: Option<Recorder>,
}

impl Sink for Writer<'_> {
    fn begin(&mut self, _: Duration, init: &InitSegment) -> Result<()> {
        let Some(clip) = self.clips.get(self.at) else { return Ok(()) };
        if clip.outcome == Outcome::Stored {
            let new = NewClip::starting(&self.origin.camera, clip.window.start());
            let new = self.importer.doubted(new, self.origin.source)?;
            let new = new.media(Media::FragmentedMp4).init(init.bytes().clone());
            self.recorder = Some(self.store.record(new)?);
        }
        Ok(())
    }

    fn fragment(&mut self, fragment: Fragment) -> Result<()> {
        match &mut self.recorder {
            Some(recorder) => recorder.write(fragment.bytes, fragment.duration),
            None => Ok(()),
        }
    }

    fn end(&mut self) -> Result<()> {
        if let Some(recorder) = self.recorder.take() {
            let stored = recorder.finish()?;
            if let Some(clip) = self.clips.get_mut(self.at) {
                clip.id = Some(stored.id());
            }
        }
        self.at += 1;
        Ok(())
    }
}
