//! SQLite with the clips in it, as blobs.

use std::path::PathBuf;
use std::time::Duration;

use clipkeep::workload::{Keeper, Outcome, Take, allocated};
use clipkeep::{CameraId, Timestamp, Window};
use rusqlite::{Connection, params};

use crate::Plan;
use crate::files::{connect, find};

pub struct Blobs {
    dir: PathBuf,
    rows: Connection,
    longest: Duration,
}

pub fn open(plan: &Plan<'_>) -> Outcome<Box<dyn Keeper>> {
    let rows = connect(&plan.dir.join("clips.sqlite"), 16_384)?;
    // The bytes stand in a table of their own, so that a lookup does not walk over them.
    rows.execute_batch(
        "CREATE TABLE IF NOT EXISTS clip (camera TEXT, start INTEGER, end INTEGER, bytes INTEGER,
         PRIMARY KEY (camera, start)) WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS blob (id INTEGER PRIMARY KEY, bytes BLOB)",
    )?;
    let (dir, longest) = (plan.dir.to_owned(), plan.street.clip_duration());
    Ok(Box::new(Blobs { dir, rows, longest }))
}

impl Keeper for Blobs {
    fn name(&self) -> String {
        "SQLite blobs".to_owned()
    }

    fn settings(&self) -> String {
        "pages of 16 KiB, WAL, synchronous=FULL, mmap 1 GiB; no checksums".to_owned()
    }

    fn keep(&mut self, group: &[Take]) -> Outcome<()> {
        let transaction = self.rows.transaction()?;
        {
            let mut blob = transaction.prepare_cached("INSERT INTO blob (bytes) VALUES (?1)")?;
            let mut clip =
                transaction.prepare_cached("INSERT INTO clip VALUES (?1, ?2, ?3, ?4)")?;
            for take in group {
                let id = blob.insert([&take.bytes[..]])?;
                let (start, end) = (take.window.start(), take.window.end());
                clip.execute(params![
                    take.camera.as_str(),
                    start.as_micros(),
                    end.as_micros(),
                    id
                ])?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn find(&mut self, camera: &CameraId, window: Window) -> Outcome<Vec<Window>> {
        find(&self.rows, camera, window, self.longest)
    }

    fn read(
        &mut self,
        camera: &CameraId,
        start: Timestamp,
        each: &mut dyn FnMut(&[u8]),
    ) -> Outcome<()> {
        let mut blob = self.rows.prepare_cached(
            "SELECT blob.bytes FROM clip JOIN blob ON blob.id = clip.bytes
             WHERE camera = ?1 AND start = ?2",
        )?;
        blob.query_row(params![camera.as_str(), start.as_micros()], |row| {
            each(row.get_ref(0)?.as_blob()?);
            Ok(())
        })?;
        Ok(())
    }

    fn expire(&mut self, before: Timestamp) -> Outcome<()> {
        let before = before.as_micros();
        let transaction = self.rows.transaction()?;
        transaction.execute(
            "DELETE FROM blob WHERE id IN (SELECT bytes FROM clip WHERE end <= ?1)",
            [before],
        )?;
        transaction.execute("DELETE FROM clip WHERE end <= ?1", [before])?;
        Ok(transaction.commit()?)
    }

    fn disk_bytes(&self) -> Outcome<u64> {
        Ok(allocated(&self.dir)?)
    }
}
