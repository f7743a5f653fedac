//! RocksDB: the log-structured tree of most databases, with large values in files of their own
//! (BlobDB).

use std::path::PathBuf;
use std::time::Duration;

use clipkeep::workload::{Keeper, Outcome, Take, allocated};
use clipkeep::{CameraId, Timestamp, Window};
use rocksdb::{
    BlockBasedOptions, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, Direction,
    IteratorMode, Options, ReadOptions, WriteBatch, WriteOptions,
};

use crate::Plan;
use crate::key::{end_of, key, range, window};

/// What is smaller stays in the tree; a clip never is.
const BLOB_BYTES_MIN: u64 = 1024;
/// A memory table is as large as a file of blobs, so that a flush makes whole ones.
const BLOB_FILE_BYTES: usize = 256 << 20;

pub struct Rocks {
    dir: PathBuf,
    database: DB,
    longest: Duration,
}

/// As "Setup Options and Basic Tuning" and "BlobDB" in RocksDB's documents advise.
fn options(blobs: bool) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_size(16 << 10);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_max_background_jobs(6);
    options.set_bytes_per_sync(1 << 20);
    options.set_level_compaction_dynamic_level_bytes(true);
    options.set_block_based_table_factory(&blocks);
    // Footage does not compress.
    options.set_compression_type(DBCompressionType::None);
    if blobs {
        options.set_write_buffer_size(BLOB_FILE_BYTES);
        options.set_enable_blob_files(true);
        options.set_min_blob_size(BLOB_BYTES_MIN);
        options.set_blob_compression_type(DBCompressionType::None);
        options.set_enable_blob_gc(true);
    }
    options
}

pub fn open(plan: &Plan<'_>) -> Outcome<Box<dyn Keeper>> {
    let dir = plan.dir.join("rocksdb");
    let families = [("index", false), ("clips", true)]
        .map(|(name, blobs)| ColumnFamilyDescriptor::new(name, options(blobs)));
    let database = DB::open_cf_descriptors(&options(false), &dir, families)?;
    Ok(Box::new(Rocks { dir, database, longest: plan.street.clip_duration() }))
}

impl Rocks {
    fn family(&self, name: &str) -> Outcome<&ColumnFamily> {
        Ok(self.database.cf_handle(name).ok_or("a column family is missing")?)
    }

    fn commit(&self, batch: WriteBatch) -> Outcome<()> {
        let mut synced = WriteOptions::default();
        synced.set_sync(true);
        Ok(self.database.write_opt(batch, &synced)?)
    }
}

impl Keeper for Rocks {
    fn name(&self) -> String {
        "RocksDB, BlobDB".to_owned()
    }

    fn settings(&self) -> String {
        "values of 1 KiB and more in blob files of 256 MiB, memory table as large, blob garbage \
         collection, no compression, blocks of 16 KiB, 6 background jobs, bytes_per_sync of 1 MiB, \
         one batch a commit with sync; its own checksums, verified by reads"
            .to_owned()
    }

    fn keep(&mut self, group: &[Take]) -> Outcome<()> {
        let (index, clips) = (self.family("index")?, self.family("clips")?);
        let mut batch = WriteBatch::default();
        for take in group {
            let key = key(&take.camera, take.window.start());
            batch.put_cf(index, &key, end_of(take));
            batch.put_cf(clips, &key, &take.bytes);
        }
        self.commit(batch)
    }

    fn find(&mut self, camera: &CameraId, wanted: Window) -> Outcome<Vec<Window>> {
        let (from, to) = range(camera, wanted, self.longest);
        let mut bounded = ReadOptions::default();
        bounded.set_iterate_upper_bound(to);
        let first = IteratorMode::From(&from, Direction::Forward);
        let mut found = Vec::new();
        for entry in self.database.iterator_cf_opt(self.family("index")?, bounded, first) {
            let (key, end) = entry?;
            found.push(window(&key, &end)?);
        }
        found.retain(|found| found.meets(&wanted));
        Ok(found)
    }

    fn read(
        &mut self,
        camera: &CameraId,
        start: Timestamp,
        each: &mut dyn FnMut(&[u8]),
    ) -> Outcome<()> {
        let mut verified = ReadOptions::default();
        verified.set_verify_checksums(true);
        let key = key(camera, start);
        let bytes = self.database.get_pinned_cf_opt(self.family("clips")?, key, &verified)?;
        each(&bytes.ok_or("no such clip")?);
        Ok(())
    }

    fn expire(&mut self, before: Timestamp) -> Outcome<()> {
        let (index, clips) = (self.family("index")?, self.family("clips")?);
        let mut batch = WriteBatch::default();
        for entry in self.database.iterator_cf(index, IteratorMode::Start) {
            let (key, end) = entry?;
            if window(&key, &end)?.end() <= before {
                batch.delete_cf(index, &key);
                batch.delete_cf(clips, &key);
            }
        }
        self.commit(batch)?;
        // Only a compaction gives the room back.
        for family in [index, clips] {
            self.database.flush_cf(family)?;
            self.database.compact_range_cf(family, None::<&[u8]>, None::<&[u8]>);
        }
        Ok(())
    }

    fn disk_bytes(&self) -> Outcome<u64> {
        Ok(allocated(&self.dir)?)
    }
}
