//! fjall: a log-structured tree in Rust that keeps large values in files of their own.

use std::path::PathBuf;
use std::time::Duration;

use clipkeep::workload::{Keeper, Outcome, Take, allocated};
use clipkeep::{CameraId, Timestamp, Window};
use fjall::{
    CompressionType, Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode,
};

use crate::Plan;
use crate::key::{end_of, key, range, window};

pub struct Fjall {
    dir: PathBuf,
    database: Database,
    index: Keyspace,
    clips: Keyspace,
    longest: Duration,
}

pub fn open(plan: &Plan<'_>) -> Outcome<Box<dyn Keeper>> {
    let dir = plan.dir.join("fjall");
    // Footage does not compress.
    let database = Database::builder(&dir).journal_compression(CompressionType::None).open()?;
    let index = database.keyspace("index", KeyspaceCreateOptions::default)?;
    let apart = || {
        let values = KvSeparationOptions::default().compression(CompressionType::None);
        KeyspaceCreateOptions::default().with_kv_separation(Some(values))
    };
    let clips = database.keyspace("clips", apart)?;
    Ok(Box::new(Fjall { dir, database, index, clips, longest: plan.street.clip_duration() }))
}

impl Keeper for Fjall {
    fn name(&self) -> String {
        "fjall, blobs apart".to_owned()
    }

    fn settings(&self) -> String {
        "values apart, no compression, one batch a commit with SyncData; its own checksums"
            .to_owned()
    }

    fn keep(&mut self, group: &[Take]) -> Outcome<()> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        for take in group {
            let key = key(&take.camera, take.window.start());
            batch.insert(&self.index, &key[..], &end_of(take)[..]);
            batch.insert(&self.clips, &key[..], &take.bytes[..]);
        }
        Ok(batch.commit()?)
    }

    fn find(&mut self, camera: &CameraId, wanted: Window) -> Outcome<Vec<Window>> {
        let (from, to) = range(camera, wanted, self.longest);
        let mut found = Vec::new();
        for entry in self.index.range(from..to) {
            let (key, end) = entry.into_inner()?;
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
        each(&self.clips.get(key(camera, start))?.ok_or("no such clip")?);
        Ok(())
    }

    fn expire(&mut self, before: Timestamp) -> Outcome<()> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        for entry in self.index.iter() {
            let (key, end) = entry.into_inner()?;
            if window(&key, &end)?.end() <= before {
                batch.remove(&self.index, key.clone());
                batch.remove(&self.clips, key);
            }
        }
        batch.commit()?;
        // Only a compaction gives the room back.
        Ok(self.clips.major_compact()?)
    }

    fn disk_bytes(&self) -> Outcome<u64> {
        Ok(allocated(&self.dir)?)
    }
}
