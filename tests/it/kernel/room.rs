//! A store on a small disk, together with what it has acknowledged.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clipkeep::{
    Clip, ClipId, ErrorKind, HoldCause, HoldId, ManualClock, NewClip, NewHold, Result, Retention,
    Store, StoreOptions, Timestamp, VerifyDepth, WhenFull, Window,
};

use crate::world::{camera, footage};

pub(super) const DAY: Duration = Duration::from_hours(24);
const MINUTE: Duration = Duration::from_mins(1);
pub(super) const SEGMENT_BYTES: u64 = 4 << 20;
/// A clip that leaves no room in its segment for another like it.
pub(super) const LARGE: usize = 3_000_000;
pub(super) const SMALL: usize = 50_000;
/// A fragment of a recording.
const FRAGMENT: usize = 200_000;

/// A clip that must be there: its footage, and whether there may be more than that.
struct Kept {
    bytes: Vec<u8>,
    whole: bool,
}

pub(super) struct Room {
    clock: ManualClock,
    options: StoreOptions,
    /// `None` only while it is being opened again.
    store: Option<Store>,
    folder: PathBuf,
    kept: BTreeMap<ClipId, Kept>,
    gone: Vec<ClipId>,
    held: BTreeMap<HoldId, ClipId>,
    minute: u32,
}

impl Room {
    /// A new store that keeps clips 5 to 10 days and refuses what has no room.
    pub(super) fn new(folder: &Path, change: impl FnOnce(StoreOptions) -> StoreOptions) -> Self {
        let clock = ManualClock::at("2026-11-01T00:00:00Z".parse().unwrap());
        let options = Store::options()
            .segment_bytes(SEGMENT_BYTES)
            .evidence_reserve(SEGMENT_BYTES)
            .free_space_floor(0)
            .when_full(WhenFull::Refuse)
            .retention(Retention::days(5, 10).unwrap())
            .clock(clock.clone());
        let options = change(options);
        let store = options.clone().open(folder).unwrap();
        Self {
            clock,
            options,
            store: Some(store),
            folder: folder.to_owned(),
            kept: BTreeMap::new(),
            gone: Vec::new(),
            held: BTreeMap::new(),
            minute: 0,
        }
    }

    pub(super) fn store(&self) -> &Store {
        self.store.as_ref().expect("it is open")
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Closes the store and opens it again; that must work whatever room there is.
    pub(super) fn reopen(&mut self) {
        self.store = None;
        let store = self.options.clone().open(&self.folder).expect("a store opens without room");
        assert!(store.opening().problems.is_empty(), "{:?}", store.opening().problems);
        self.store = Some(store);
    }

    pub(super) fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    fn next_window(&mut self) -> Window {
        self.minute += 1;
        let start = Timestamp::from_micros(1_700_000_000_000_000);
        Window::starting(start.saturating_add(MINUTE * self.minute), MINUTE / 2).unwrap()
    }

    /// Appends a clip of `len` bytes and remembers it once it is acknowledged.
    pub(super) fn append(&mut self, len: usize) -> Result<Clip> {
        let window = self.next_window();
        let bytes = footage(u64::from(self.minute), len);
        let clip = self.store().append(NewClip::new(&camera("door"), window), bytes.clone())?;
        self.kept.insert(clip.id(), Kept { bytes, whole: true });
        Ok(clip)
    }

    /// Records fragments until the store refuses one, and remembers those it took. Answers why.
    pub(super) fn record_until_refused(&mut self) -> ErrorKind {
        let start = self.next_window().start();
        let mut recorder = self.store().record(NewClip::starting(&camera("yard"), start)).unwrap();
        for number in 0.. {
            let bytes = footage(u64::from(self.minute) << 32 | number, FRAGMENT);
            if let Err(error) = recorder.write(bytes.clone(), Duration::from_secs(1)) {
                return error.kind();
            }
            let clip = *recorder.clips().last().expect("a fragment is durable");
            let kept = self.kept.entry(clip);
            let kept = kept.or_insert(Kept { bytes: Vec::new(), whole: false });
            kept.bytes.extend(bytes);
        }
        unreachable!("a disk has an end")
    }

    /// Places a hold on `clip` and remembers it.
    pub(super) fn hold(&mut self, cause: HoldCause, clip: &Clip) -> Result<HoldId> {
        let hold = NewHold::new([clip.camera().clone()], clip.window()).cause(cause);
        let hold = hold.reference("19-4471").actor("ann").for_duration(DAY * 365);
        let hold = self.store().place_hold(hold)?;
        self.held.insert(hold.id, clip.id());
        Ok(hold.id)
    }

    /// Lets go of a hold that the store was told to release.
    pub(super) fn forget_hold(&mut self, hold: HoldId) {
        self.held.remove(&hold);
    }

    /// From now on `clip` must not be there.
    pub(super) fn forget(&mut self, clip: &Clip) {
        assert!(self.kept.remove(&clip.id()).is_some());
        self.gone.push(clip.id());
    }

    /// From now on nothing must be there but what is held.
    pub(super) fn forget_what_is_not_held(&mut self) {
        let held: Vec<ClipId> = self.held.values().copied().collect();
        let gone = self.kept.extract_if(.., |clip, _| !held.contains(clip));
        self.gone.extend(gone.map(|(clip, _)| clip));
    }

    /// Everything that was acknowledged is there, byte for byte; what went has gone; every hold
    /// protects.
    pub(super) fn check(&self) {
        for (id, kept) in &self.kept {
            let bytes = self.store().read(*id).and_then(|reader| reader.to_vec());
            let bytes = bytes.unwrap_or_else(|error| panic!("clip {id} is lost: {error:?}"));
            let same =
                if kept.whole { bytes == kept.bytes } else { bytes.starts_with(&kept.bytes) };
            assert!(same, "clip {id} changed");
        }
        for id in &self.gone {
            let kind = self.store().read(*id).expect_err("it is gone").kind();
            assert!(matches!(kind, ErrorKind::Expired | ErrorKind::NotFound), "{id}: {kind:?}");
        }
        for (hold, clip) in &self.held {
            assert!(self.store().hold(*hold).unwrap().protects(), "hold {hold} on {clip} is lost");
        }
    }

    /// `bytes` are those of `clip`, which may have gone since.
    pub(super) fn assert_is(&self, clip: &Clip, bytes: &[u8]) {
        assert!(self.kept[&clip.id()].bytes == bytes, "clip {} changed", clip.id());
    }

    /// Every byte against its checksums and digests.
    pub(super) fn verify(&self) {
        let report = self.store().verify(VerifyDepth::Bytes, &mut |_| {}).unwrap();
        assert!(report.faults.is_empty(), "{:?}", report.faults);
    }
}
