//! What was done under an `Idempotency-Key`, so that asking twice does it once: also when the
//! daemon was restarted in between.
//!
//! The file `daemon/keys` in the store's folder has a line for each key, written and synced before
//! the clip is stored. So a key that is there may stand for a clip or for none, and what a restart
//! finds out is which: the clip of that camera with those bytes that came after the key did. The
//! file is bounded, and nothing else depends on it: where it cannot be written, keys count as long
//! as the daemon runs.
//!
//! What must be remembered for ever (holds) the store remembers itself.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::{CameraId, Clip, Result as StoreResult, Store, Timestamp, Window};

use super::problem::Problem;

/// How many keys are remembered: the oldest go first.
const KEYS_MAX: usize = 4_096;
/// The most bytes of the file that are read, and after which it is written anew.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// The keys.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    folder: PathBuf,
    remembered: Arc<Mutex<Remembered>>,
}

#[derive(Debug, Default)]
struct Remembered {
    is_read: bool,
    /// In the order in which they came.
    order: BTreeMap<u64, String>,
    done: BTreeMap<String, Done>,
    next: u64,
}

#[derive(Clone, Debug)]
struct Done {
    digest: [u8; 32],
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    /// It is being made.
    UnderWay,
    Made(Clip),
    /// Before a restart something was to be made, at this trusted time.
    Before(Timestamp),
}

/// A line of the file.
#[derive(Debug, Deserialize, Serialize)]
struct Line {
    /// BLAKE3 of the key, in hexadecimal digits: what it says is nobody's business.
    key: String,
    digest: String,
    at: String,
}

/// A clip that somebody wants to be made once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) key: &'a str,
    pub(super) camera: &'a CameraId,
    pub(super) digest: &'a [u8; 32],
}

impl Keys {
    /// Those of the store in `dir`.
    pub(super) fn of(dir: &Path) -> Self {
        Self { folder: dir.join("daemon"), remembered: Arc::default() }
    }

    /// The clip that was made under the key, or what `make` makes; whether it is new.
    ///
    /// # Errors
    ///
    /// `conflict` when the key stands for other bytes, or is being made by somebody else; those of
    /// `make`, which are not remembered.
    pub(super) fn once(
        &self,
        store: &Store,
        wanted: Wanted<'_>,
        make: impl FnOnce() -> Result<(Clip, bool), Problem>,
    ) -> Result<(Clip, bool), Problem> {
        let key = name(&wanted);
        let outcome = match self.begin(&key, &wanted, store.now())? {
            What::Made(clip) => return Ok((clip, false)),
            What::UnderWay => make(),
            What::Before(at) => match made_since(store, &wanted, at) {
                Ok(Some(clip)) => Ok((clip, false)),
                Ok(None) => make(),
                Err(error) => Err(error.into()),
            },
        };
        let mut remembered = self.remembered.lock();
        if let Ok((clip, _)) = &outcome {
            if let Some(done) = remembered.done.get_mut(&key) {
                done.what = What::Made(clip.clone());
            }
        } else {
            remembered.forget(&key);
        }
        outcome
    }

    /// What is there under `key`; where nothing is, takes it.
    fn begin(&self, key: &str, wanted: &Wanted<'_>, now: Timestamp) -> Result<What, Problem> {
        let mut remembered = self.remembered.lock();
        if !remembered.is_read {
            remembered.is_read = true;
            match self.read() {
                Ok(lines) => lines.into_iter().for_each(|line| remembered.read(&line)),
                Err(error) => tracing::warn!(%error, "the Idempotency-Keys cannot be read"),
            }
        }
        if let Some(done) = remembered.done.get_mut(key) {
            if done.digest != *wanted.digest {
                let detail = "the Idempotency-Key was used for another body";
                return Err(Problem::new("conflict", detail));
            }
            let busy = || Problem::new("conflict", "the same upload is under way").retry_after(1);
            return match std::mem::replace(&mut done.what, What::UnderWay) {
                What::UnderWay => Err(busy()),
                What::Made(clip) => {
                    done.what = What::Made(clip.clone());
                    Ok(What::Made(clip))
                }
                before @ What::Before(_) => Ok(before),
            };
        }
        remembered.put(key.to_owned(), *wanted.digest, What::UnderWay);
        let digest = blake3::Hash::from_bytes(*wanted.digest).to_hex().to_string();
        let line = Line { key: key.to_owned(), digest, at: now.to_string() };
        if let Err(error) = self.write(&line, &remembered, File::sync_all) {
            tracing::warn!(%error, "an Idempotency-Key cannot be kept over a restart");
        }
        Ok(What::UnderWay)
    }

    fn path(&self) -> PathBuf {
        self.folder.join("keys")
    }

    fn read(&self) -> io::Result<Vec<Line>> {
        let text = match fs::read(self.path()) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        // The last line may have been cut off: then its clip was not begun.
        let lines = text.split(|byte| *byte == b'\n');
        Ok(lines.filter_map(|line| serde_json::from_slice(line).ok()).collect())
    }

    /// Appends `line`; when the file has grown too large, it begins anew with the newest half.
    /// Syncs it, and the folder for the name of a new one. A test passes a `sync` of its own.
    fn write(
        &self,
        line: &Line,
        remembered: &Remembered,
        mut sync: impl FnMut(&File) -> io::Result<()>,
    ) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let path = self.path();
        let is_new = !path.exists();
        let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path)?;
        if file.metadata()?.len() > FILE_BYTES_MAX {
            let kept = self.read()?;
            let kept = kept.iter().filter(|line| remembered.done.contains_key(&line.key));
            let text: Vec<u8> = kept.flat_map(bytes).collect();
            // Losing some by a crash right here costs what losing all of them did before.
            file.set_len(0)?;
            file.write_all(&text)?;
        }
        file.write_all(&bytes(line))?;
        sync(&file)?;
        if is_new { sync(&OpenOptions::new().read(true).open(&self.folder)?) } else { Ok(()) }
    }
}

fn bytes(line: &Line) -> Vec<u8> {
    // Text and nothing else: it cannot fail. The first newline ends a line that was cut off.
    let mut bytes = vec![b'\n'];
    bytes.extend(serde_json::to_vec(line).unwrap_or_default());
    bytes
}

/// What a key is called in the file: cameras have keys of their own.
fn name(wanted: &Wanted<'_>) -> String {
    let text = format!("clip {} {}", wanted.camera, wanted.key);
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

/// The clip of these bytes that came at `at` or after.
fn made_since(store: &Store, wanted: &Wanted<'_>, at: Timestamp) -> StoreResult<Option<Clip>> {
    let always = Window::new(Timestamp::MIN, Timestamp::MAX)?;
    let same = |clip: &Clip| clip.received() >= at && clip.digest() == wanted.digest;
    Ok(store.clips(wanted.camera, always)?.rev().find(same))
}

impl Remembered {
    fn put(&mut self, key: String, digest: [u8; 32], what: What) {
        let number = self.next;
        self.next += 1;
        self.order.insert(number, key.clone());
        self.done.insert(key, Done { digest, what });
        if self.order.len() > KEYS_MAX
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.done.remove(&oldest);
        }
    }

    /// Takes a line of the file. One that cannot be understood is left out.
    fn read(&mut self, line: &Line) {
        let digest = blake3::Hash::from_hex(&line.digest);
        if let (Ok(digest), Ok(at)) = (digest, line.at.parse()) {
            // The newest of a key is the one that counts: an older one stands for a failure.
            self.forget(&line.key);
            self.put(line.key.clone(), *digest.as_bytes(), What::Before(at));
        }
    }

    fn forget(&mut self, key: &str) {
        if self.done.remove(key).is_some() {
            self.order.retain(|_, other| other != key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NewClip;
    use crate::vfs::sim::SimVfs;

    struct Kit {
        folder: tempfile::TempDir,
        store: Store,
        camera: CameraId,
    }

    impl Kit {
        fn new() -> Self {
            let options = Store::options().segment_bytes(4 << 20).free_space_floor(0);
            let store = options.vfs(SimVfs::new(1)).open("store").unwrap();
            let folder = tempfile::tempdir().unwrap();
            Self { folder, store, camera: "front".parse().unwrap() }
        }

        /// As the daemon has them after a restart.
        fn keys(&self) -> Keys {
            Keys::of(self.folder.path())
        }

        fn put(&self, keys: &Keys, key: &str, bytes: &'static [u8]) -> Result<bool, Problem> {
            let digest = *blake3::hash(bytes).as_bytes();
            let wanted = Wanted { key, camera: &self.camera, digest: &digest };
            let made = keys.once(&self.store, wanted, || Ok((self.append(bytes), true)));
            made.map(|(_, is_new)| is_new)
        }

        fn append(&self, bytes: &'static [u8]) -> Clip {
            let day = Window::parse("2024-01-01T00:00:00Z", "2024-01-01T00:01:00Z").unwrap();
            self.store.append(NewClip::new(&self.camera, day), bytes).unwrap()
        }

        fn fail(&self, keys: &Keys, key: &str, bytes: &[u8]) -> Problem {
            let digest = *blake3::hash(bytes).as_bytes();
            let wanted = Wanted { key, camera: &self.camera, digest: &digest };
            keys.once(&self.store, wanted, || Err(Problem::invalid("no clip"))).unwrap_err()
        }
    }

    #[test]
    fn a_key_counts_over_a_restart_and_is_for_one_body() {
        let kit = Kit::new();
        assert!(kit.put(&kit.keys(), "a", b"one").unwrap());
        let again = kit.keys();
        assert!(!kit.put(&again, "a", b"one").unwrap());
        assert!(!kit.put(&again, "a", b"one").unwrap());
        assert_eq!(kit.put(&again, "a", b"two").unwrap_err().code(), "conflict");
        assert!(kit.put(&again, "b", b"one").unwrap(), "the same bytes under another key");
    }

    #[test]
    fn a_key_and_the_name_of_its_file_are_synced_where_they_are_written() {
        let kit = Kit::new();
        let keys = kit.keys();
        let line = Line { key: "a".to_owned(), digest: String::new(), at: String::new() };
        let none = Remembered::default();
        let mut synced = Vec::new();
        let mut write = |fails: bool| {
            keys.write(&line, &none, |what| {
                synced.push((what.metadata()?.is_dir(), fs::read(keys.path())?.len()));
                if fails { Err(io::ErrorKind::Other.into()) } else { Ok(()) }
            })
        };
        write(false).unwrap();
        write(true).unwrap_err();
        let one = bytes(&line).len();
        assert_eq!(synced, [(false, one), (true, one), (false, 2 * one)]);
    }

    #[test]
    fn a_crash_between_key_and_clip_lets_it_be_made() {
        let kit = Kit::new();
        kit.append(b"one");
        let keys = kit.keys();
        assert_eq!(kit.fail(&keys, "b", b"two").code(), "invalid-input");
        // What is on disk is what a crash before the clip leaves.
        let again = kit.keys();
        assert!(kit.put(&again, "b", b"two").unwrap());
        assert!(!kit.put(&again, "b", b"two").unwrap());
    }

    #[test]
    fn a_line_that_was_cut_off_costs_no_other() {
        let kit = Kit::new();
        kit.put(&kit.keys(), "a", b"one").unwrap();
        let path = kit.keys().path();
        let mut text = fs::read(&path).unwrap();
        text.extend_from_slice(b"\n{\"key\": \"");
        fs::write(&path, text).unwrap();
        let keys = kit.keys();
        assert!(kit.put(&keys, "b", b"two").unwrap());
        let again = kit.keys();
        assert!(!kit.put(&again, "a", b"one").unwrap());
        assert!(!kit.put(&again, "b", b"two").unwrap());
    }

    #[test]
    fn a_key_under_way_is_nobody_elses_and_a_failure_frees_it() {
        let kit = Kit::new();
        let keys = kit.keys();
        let digest = [1; 32];
        let wanted = Wanted { key: "a", camera: &kit.camera, digest: &digest };
        let failed = keys.once(&kit.store, wanted, || {
            let other = keys.once(&kit.store, wanted, || Err(Problem::invalid("never")));
            assert_eq!(other.unwrap_err().code(), "conflict");
            Err(Problem::invalid("the clip is no clip"))
        });
        assert_eq!(failed.unwrap_err().code(), "invalid-input");
        assert!(kit.put(&keys, "a", b"another").unwrap());
    }
}
