//! A file a clip, and a row in SQLite for each: how most recorders do it.

#![expect(
    clippy::disallowed_methods,
    reason = "that files are touched in one place is Clipkeep's rule"
)]

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clipkeep::workload::{Keeper, Outcome, Take, allocated};
use clipkeep::{CameraId, Timestamp, Window};
use rusqlite::{Connection, params};

use crate::Plan;

pub struct Files {
    dir: PathBuf,
    rows: Connection,
    longest: Duration,
    buf: Vec<u8>,
}

/// A connection as SQLite's documents advise for durable writes: WAL, and a sync a commit.
pub fn connect(path: &Path, page_bytes: u32) -> Outcome<Connection> {
    let rows = Connection::open(path)?;
    rows.pragma_update(None, "page_size", page_bytes)?;
    rows.pragma_update(None, "journal_mode", "WAL")?;
    rows.pragma_update(None, "synchronous", "FULL")?;
    rows.pragma_update(None, "mmap_size", 1_i64 << 30)?;
    Ok(rows)
}

pub fn open(plan: &Plan<'_>) -> Outcome<Box<dyn Keeper>> {
    fs::create_dir_all(plan.dir.join("clips"))?;
    let rows = connect(&plan.dir.join("rows.sqlite"), 4096)?;
    rows.execute_batch(
        "CREATE TABLE IF NOT EXISTS clip (camera TEXT, start INTEGER, end INTEGER, len INTEGER,
         PRIMARY KEY (camera, start)) WITHOUT ROWID",
    )?;
    let dir = plan.dir.to_owned();
    Ok(Box::new(Files { dir, rows, longest: plan.street.clip_duration(), buf: Vec::new() }))
}

impl Files {
    fn path(&self, camera: &str, start: i64) -> PathBuf {
        self.dir.join("clips").join(format!("{camera}-{start}.mp4"))
    }

    fn sync_folder(&self) -> Outcome<()> {
        Ok(File::open(self.dir.join("clips"))?.sync_all()?)
    }
}

/// The windows of `camera` that overlap `window`, from a table of them.
pub fn find(
    rows: &Connection,
    camera: &CameraId,
    window: Window,
    longest: Duration,
) -> Outcome<Vec<Window>> {
    let mut found = rows.prepare_cached(
        "SELECT start, end FROM clip WHERE camera = ?1 AND start > ?2 AND start < ?3 AND end > ?4
         ORDER BY start",
    )?;
    let (start, end) = (window.start(), window.end());
    let earliest = start.saturating_sub(longest).as_micros();
    let range = params![camera.as_str(), earliest - 1, end.as_micros(), start.as_micros()];
    let mut windows = Vec::new();
    let mut rows = found.query(range)?;
    while let Some(row) = rows.next()? {
        let (start, end) = (row.get::<_, i64>(0)?, row.get::<_, i64>(1)?);
        windows.push(Window::new(Timestamp::from_micros(start), Timestamp::from_micros(end))?);
    }
    Ok(windows)
}

impl Keeper for Files {
    fn name(&self) -> String {
        "a file a clip + SQLite".to_owned()
    }

    fn settings(&self) -> String {
        "fsync of each file and of the folder, then one transaction: WAL, synchronous=FULL; no \
         checksums"
            .to_owned()
    }

    fn keep(&mut self, group: &[Take]) -> Outcome<()> {
        for take in group {
            let path = self.path(take.camera.as_str(), take.window.start().as_micros());
            let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
            file.write_all(&take.bytes)?;
            file.sync_data()?;
        }
        self.sync_folder()?;
        let transaction = self.rows.transaction()?;
        {
            let mut insert =
                transaction.prepare_cached("INSERT INTO clip VALUES (?1, ?2, ?3, ?4)")?;
            for take in group {
                let (start, end) = (take.window.start(), take.window.end());
                let len = i64::try_from(take.bytes.len())?;
                insert.execute(params![
                    take.camera.as_str(),
                    start.as_micros(),
                    end.as_micros(),
                    len
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
        let start = start.as_micros();
        let mut row =
            self.rows.prepare_cached("SELECT len FROM clip WHERE camera = ?1 AND start = ?2")?;
        let len: i64 = row.query_row(params![camera.as_str(), start], |row| row.get(0))?;
        self.buf.resize(usize::try_from(len)?, 0);
        File::open(self.path(camera.as_str(), start))?.read_exact(&mut self.buf)?;
        each(&self.buf);
        Ok(())
    }

    fn expire(&mut self, before: Timestamp) -> Outcome<()> {
        let before = before.as_micros();
        let mut due = self.rows.prepare("SELECT camera, start FROM clip WHERE end <= ?1")?;
        let due: Vec<(String, i64)> = due
            .query_map([before], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        self.rows.execute("DELETE FROM clip WHERE end <= ?1", [before])?;
        for (camera, start) in due {
            fs::remove_file(self.path(&camera, start))?;
        }
        self.sync_folder()
    }

    fn disk_bytes(&self) -> Outcome<u64> {
        Ok(allocated(&self.dir)?)
    }
}
