//! redb: a copy-on-write B-tree in Rust.

use std::path::PathBuf;
use std::time::Duration;

use clipkeep::workload::{Keeper, Outcome, Take, allocated};
use clipkeep::{CameraId, Timestamp, Window};
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};

use crate::Plan;
use crate::key::{end_of, key, range, window};

const INDEX: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("index");
const CLIPS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("clips");

pub struct Redb {
    dir: PathBuf,
    database: Database,
    longest: Duration,
}

pub fn open(plan: &Plan<'_>) -> Outcome<Box<dyn Keeper>> {
    let dir = plan.dir.join("redb");
    std::fs::create_dir_all(&dir)?;
    let database = Database::create(dir.join("clips.redb"))?;
    let txn = database.begin_write()?;
    txn.open_table(INDEX)?;
    txn.open_table(CLIPS)?;
    txn.commit()?;
    Ok(Box::new(Redb { dir, database, longest: plan.street.clip_duration() }))
}

impl Keeper for Redb {
    fn name(&self) -> String {
        "redb".to_owned()
    }

    fn settings(&self) -> String {
        "defaults: cache of 1 GiB, Durability::Immediate; its own checksums, which a read does not \
         check"
            .to_owned()
    }

    fn keep(&mut self, group: &[Take]) -> Outcome<()> {
        let txn = self.database.begin_write()?;
        {
            let (mut index, mut clips) = (txn.open_table(INDEX)?, txn.open_table(CLIPS)?);
            for take in group {
                let key = key(&take.camera, take.window.start());
                index.insert(&key[..], &end_of(take)[..])?;
                let mut space = clips.insert_reserve(&key[..], take.bytes.len())?;
                space.as_mut().copy_from_slice(&take.bytes);
            }
        }
        Ok(txn.commit()?)
    }

    fn find(&mut self, camera: &CameraId, wanted: Window) -> Outcome<Vec<Window>> {
        let index = self.database.begin_read()?.open_table(INDEX)?;
        let (from, to) = range(camera, wanted, self.longest);
        let mut found = Vec::new();
        for entry in index.range(&from[..]..&to[..])? {
            let (key, end) = entry?;
            found.push(window(key.value(), end.value())?);
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
        let clips = self.database.begin_read()?.open_table(CLIPS)?;
        each(clips.get(&key(camera, start)[..])?.ok_or("no such clip")?.value());
        Ok(())
    }

    fn expire(&mut self, before: Timestamp) -> Outcome<()> {
        let txn = self.database.begin_write()?;
        {
            let (mut index, mut clips) = (txn.open_table(INDEX)?, txn.open_table(CLIPS)?);
            let mut due = Vec::new();
            for entry in index.iter()? {
                let (key, end) = entry?;
                if window(key.value(), end.value())?.end() <= before {
                    due.push(key.value().to_vec());
                }
            }
            for key in &due {
                index.remove(&key[..])?;
                clips.remove(&key[..])?;
            }
        }
        Ok(txn.commit()?)
    }

    fn disk_bytes(&self) -> Outcome<u64> {
        Ok(allocated(&self.dir)?)
    }
}
