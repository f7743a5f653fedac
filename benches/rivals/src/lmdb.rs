//! LMDB: a copy-on-write B-tree that is read through a map.

use std::fs;
use std::ops::Bound;
use std::path::PathBuf;
use std::time::Duration;

use clipkeep::workload::{Keeper, Outcome, Take, allocated};
use clipkeep::{CameraId, Timestamp, Window};
use heed::types::Bytes;
use heed::{Database, Env, EnvOpenOptions};

use crate::Plan;
use crate::key::{end_of, key, range, window};

const MAP_BYTES: usize = 64 << 30;

pub struct Lmdb {
    dir: PathBuf,
    env: Env,
    index: Database<Bytes, Bytes>,
    clips: Database<Bytes, Bytes>,
    longest: Duration,
}

pub fn open(plan: &Plan<'_>) -> Outcome<Box<dyn Keeper>> {
    let dir = plan.dir.join("lmdb");
    fs::create_dir_all(&dir)?;
    // SAFETY: the folder is this process's own, and it is opened once at a time.
    let env = unsafe { EnvOpenOptions::new().map_size(MAP_BYTES).max_dbs(2).open(&dir)? };
    let mut txn = env.write_txn()?;
    let index = env.create_database(&mut txn, Some("index"))?;
    let clips = env.create_database(&mut txn, Some("clips"))?;
    txn.commit()?;
    Ok(Box::new(Lmdb { dir, env, index, clips, longest: plan.street.clip_duration() }))
}

impl Keeper for Lmdb {
    fn name(&self) -> String {
        "LMDB (heed)".to_owned()
    }

    fn settings(&self) -> String {
        "map of 64 GiB, default flags: a sync a commit; no checksums".to_owned()
    }

    fn keep(&mut self, group: &[Take]) -> Outcome<()> {
        let mut txn = self.env.write_txn()?;
        for take in group {
            let key = key(&take.camera, take.window.start());
            self.index.put(&mut txn, &key, &end_of(take))?;
            self.clips.put_reserved(&mut txn, &key, take.bytes.len(), |space| {
                use std::io::Write as _;
                space.write_all(&take.bytes)
            })?;
        }
        Ok(txn.commit()?)
    }

    fn find(&mut self, camera: &CameraId, wanted: Window) -> Outcome<Vec<Window>> {
        let txn = self.env.read_txn()?;
        let (from, to) = range(camera, wanted, self.longest);
        let bounds = (Bound::Included(&from[..]), Bound::Excluded(&to[..]));
        let mut found = Vec::new();
        for entry in self.index.range(&txn, &bounds)? {
            let (key, end) = entry?;
            found.push(window(key, end)?);
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
        let txn = self.env.read_txn()?;
        each(self.clips.get(&txn, &key(camera, start))?.ok_or("no such clip")?);
        Ok(())
    }

    fn expire(&mut self, before: Timestamp) -> Outcome<()> {
        let mut txn = self.env.write_txn()?;
        let mut due = Vec::new();
        for entry in self.index.iter(&txn)? {
            let (key, end) = entry?;
            if window(key, end)?.end() <= before {
                due.push(key.to_vec());
            }
        }
        for key in &due {
            self.index.delete(&mut txn, key)?;
            self.clips.delete(&mut txn, key)?;
        }
        Ok(txn.commit()?)
    }

    fn disk_bytes(&self) -> Outcome<u64> {
        Ok(allocated(&self.dir)?)
    }
}
