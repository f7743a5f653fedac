//! raft-engine: a log for many replicated logs at once, a camera being one of them.
//!
//! It is a log: an entry is found by its number in it and by nothing else. Where a clip stands is
//! reckoned from the street's calendar here, so its lookups are no lookups and are not counted.

use std::any::Any;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use clipkeep::workload::{Keeper, Outcome, Street, Take, allocated};
use clipkeep::{CameraId, Timestamp, Window};
use protobuf::reflect::MessageDescriptor;
use protobuf::{
    Clear, CodedInputStream, CodedOutputStream, Message, ProtobufResult, UnknownFields,
};
use raft_engine::{Config, Engine, LogBatch, MessageExt, ReadableSize};

use crate::Plan;

/// A file of its log, and from how many bytes on it gives back what nobody needs: with the default
/// of 10 GB it would keep all that this benchmark ever writes.
const FILE_BYTES: u64 = 128 << 20;

pub struct Raft {
    dir: PathBuf,
    engine: Engine,
    street: Street,
}

pub fn open(plan: &Plan<'_>) -> Outcome<Box<dyn Keeper>> {
    let dir = plan.dir.join("raft-engine");
    let config = Config {
        dir: dir.to_str().ok_or("a folder whose name is no text")?.to_owned(),
        // Footage does not compress.
        batch_compression_threshold: ReadableSize(0),
        target_file_size: ReadableSize(FILE_BYTES),
        purge_threshold: ReadableSize(FILE_BYTES),
        ..Config::default()
    };
    Ok(Box::new(Raft { dir, engine: Engine::open(config)?, street: plan.street.clone() }))
}

impl Raft {
    /// The number of the log of `camera`; none is 0.
    fn log_of(&self, camera: &CameraId) -> Outcome<u64> {
        let number = self.street.cameras().iter().position(|known| known == camera);
        Ok(u64::try_from(number.ok_or("no such camera")?)? + 1)
    }

    /// The number of the entry in whose time `time` falls; the first one is 1.
    fn entry_at(&self, time: Timestamp) -> Outcome<u64> {
        let since = time.since(self.street.begin()).as_micros();
        let turn = since / self.street.clip_duration().as_micros().max(1);
        Ok(u64::try_from(turn)? + 1)
    }
}

impl Keeper for Raft {
    fn name(&self) -> String {
        "raft-engine".to_owned()
    }

    fn settings(&self) -> String {
        "a log a camera, files of 128 MiB, purged from as many bytes on, no compression, one batch \
         a commit with sync; its own checksums, verified by reads"
            .to_owned()
    }

    fn keep(&mut self, group: &[Take]) -> Outcome<()> {
        let mut batch = LogBatch::with_capacity(group.len());
        for take in group {
            let index = self.entry_at(take.window.start())?;
            let entry = Entry { index, bytes: take.bytes.clone(), ..Entry::default() };
            batch.add_entries::<Entries>(self.log_of(&take.camera)?, &[entry])?;
        }
        self.engine.write(&mut batch, true)?;
        Ok(())
    }

    fn find(&mut self, camera: &CameraId, window: Window) -> Outcome<Vec<Window>> {
        let log = self.log_of(camera)?;
        let kept = self.engine.first_index(log).zip(self.engine.last_index(log));
        let Some((first, last)) = kept else { return Ok(Vec::new()) };
        let from = self.entry_at(window.start())?.max(first);
        let newest = window.end().saturating_sub(Duration::from_micros(1));
        let to = self.entry_at(newest)?.min(last) + 1;
        let step = self.street.clip_duration();
        let clips = (from..to).map(|index| {
            let start = step.saturating_mul(u32::try_from(index - 1)?);
            Ok(Window::starting(self.street.begin().saturating_add(start), step)?)
        });
        clips.collect()
    }

    fn read(
        &mut self,
        camera: &CameraId,
        start: Timestamp,
        each: &mut dyn FnMut(&[u8]),
    ) -> Outcome<()> {
        let (log, index) = (self.log_of(camera)?, self.entry_at(start)?);
        let entry = self.engine.get_entry::<Entries>(log, index)?;
        each(&entry.ok_or("no such clip")?.bytes);
        Ok(())
    }

    fn expire(&mut self, before: Timestamp) -> Outcome<()> {
        let first_kept = self.entry_at(before)?;
        for camera in self.street.cameras() {
            self.engine.compact_to(self.log_of(camera)?, first_kept);
        }
        self.engine.purge_expired_files()?;
        Ok(())
    }

    fn disk_bytes(&self) -> Outcome<u64> {
        Ok(allocated(&self.dir)?)
    }
}

/// What raft-engine wants to know of its entries.
struct Entries;

impl MessageExt for Entries {
    type Entry = Entry;

    fn index(entry: &Entry) -> u64 {
        entry.index
    }
}

/// An entry: its number and a clip, which is copied into the log's buffer alone.
#[derive(Clone, Debug, Default, PartialEq)]
struct Entry {
    index: u64,
    bytes: Bytes,
    unknown: UnknownFields,
}

impl Clear for Entry {
    fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Written as number, length, bytes: the log does not care what a message looks like inside.
impl Message for Entry {
    fn descriptor(&self) -> &'static MessageDescriptor {
        unreachable!("only messages that lack a field are described")
    }

    fn is_initialized(&self) -> bool {
        true
    }

    fn merge_from(&mut self, is: &mut CodedInputStream<'_>) -> ProtobufResult<()> {
        self.index = is.read_raw_little_endian64()?;
        let len = is.read_raw_little_endian32()?;
        self.bytes = is.read_raw_bytes(len)?.into();
        Ok(())
    }

    fn write_to_with_cached_sizes(&self, os: &mut CodedOutputStream<'_>) -> ProtobufResult<()> {
        let len = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        os.write_raw_little_endian64(self.index)?;
        os.write_raw_little_endian32(len)?;
        os.write_raw_bytes(&self.bytes)
    }

    fn compute_size(&self) -> u32 {
        u32::try_from(12 + self.bytes.len()).unwrap_or(u32::MAX)
    }

    fn get_cached_size(&self) -> u32 {
        self.compute_size()
    }

    fn get_unknown_fields(&self) -> &UnknownFields {
        &self.unknown
    }

    fn mut_unknown_fields(&mut self) -> &mut UnknownFields {
        &mut self.unknown
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn new() -> Self {
        Self::default()
    }

    fn default_instance() -> &'static Self {
        static EMPTY: OnceLock<Entry> = OnceLock::new();
        EMPTY.get_or_init(Self::default)
    }
}
