//! The file of tokens: `daemon/tokens.json` in the store's folder.
//!
//! Owns its replacement as a whole, so that a crash leaves the old or the new, and the lock that
//! keeps the command line and a running daemon from losing one another's changes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::{Clock as _, Error, ErrorKind, Result, SystemClock};

#[cfg(any(test, feature = "cli"))]
use super::rules::Role;
use super::token::{Issued, NewToken, TokenSet};

/// The file.
#[derive(Clone, Debug)]
pub(crate) struct TokenFile {
    folder: PathBuf,
}

/// What a person may know of a token.
#[cfg(feature = "cli")]
#[derive(Clone, Debug)]
pub(crate) struct TokenLine {
    pub(crate) id: String,
    pub(crate) role: Role,
    /// The cameras that it is for; none: all.
    pub(crate) cameras: Vec<String>,
    /// The home that it is of.
    pub(crate) household: Option<String>,
    /// The agency that it is of.
    pub(crate) agency: Option<String>,
    pub(crate) name: String,
    /// When it ends, or ended.
    pub(crate) ends: Option<String>,
}

impl TokenFile {
    /// That of the store in `dir`.
    pub(crate) fn of(dir: &Path) -> Self {
        Self { folder: dir.join("daemon") }
    }

    /// The tokens; none when there is no file.
    ///
    /// # Errors
    ///
    /// `Corrupt` when it is not what we wrote; what the system says. Nobody comes in then.
    pub(in crate::daemon) fn load(&self) -> Result<TokenSet> {
        let path = self.path();
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                Error::new(ErrorKind::Corrupt, format!("read tokens: {error}")).at(&path)
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(TokenSet::default()),
            Err(error) => Err(Error::io("read tokens", &path, error)),
        }
    }

    /// What changes when somebody writes it: each time it is another file.
    pub(in crate::daemon) fn version(&self) -> Option<(u64, i64, i64)> {
        let data = fs::metadata(self.path()).ok()?;
        Some((data.ino(), data.mtime(), data.mtime_nsec()))
    }

    /// Whether there is one.
    pub(in crate::daemon) fn exists(&self) -> bool {
        self.path().exists()
    }

    /// Makes a token. It is on disk when this returns.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a token that cannot be; what the system says.
    pub(crate) fn add(&self, new: &NewToken) -> Result<Issued> {
        self.change(|set| set.add(new, SystemClock.wall()))
    }

    /// Ends a token: a running daemon knows within a second.
    ///
    /// # Errors
    ///
    /// `NotFound`; what the system says.
    pub(crate) fn revoke(&self, id: &str) -> Result<()> {
        self.change(|set| set.revoke(id, SystemClock.wall()))
    }

    /// What a person may know of each.
    ///
    /// # Errors
    ///
    /// As for loading.
    #[cfg(feature = "cli")]
    pub(crate) fn list(&self) -> Result<Vec<TokenLine>> {
        let set = self.load()?;
        let lines = set.tokens.into_iter().map(|token| TokenLine {
            id: token.id,
            role: token.role,
            cameras: token.cameras,
            household: token.household,
            agency: token.agency,
            name: token.name,
            ends: token.revoked.or(token.expires),
        });
        Ok(lines.collect())
    }

    fn change<T>(&self, change: impl FnOnce(&mut TokenSet) -> Result<T>) -> Result<T> {
        self.change_synced(change, File::sync_all)
    }

    /// Replaces the file by what `change` makes of it:
    ///
    /// 1. lock `tokens.lock`, so that changes come one after the other;
    /// 2. write and sync `tokens.new`: a crash leaves the old file;
    /// 3. rename it: a crash leaves the old or the new;
    /// 4. sync the folder: the new one stays, and a token that was revoked does not come back;
    /// 5. sync the store's folder: so does a `daemon` folder that was just made.
    ///
    /// A test passes a `sync` of its own, which looks at what is there by then.
    fn change_synced<T>(
        &self,
        change: impl FnOnce(&mut TokenSet) -> Result<T>,
        mut sync: impl FnMut(&File) -> io::Result<()>,
    ) -> Result<T> {
        let (path, fresh) = (self.path(), self.folder.join("tokens.new"));
        let fail = |error| Error::io("write tokens", &path, error);
        fs::create_dir_all(&self.folder).map_err(fail)?;
        let private = |path: &Path| {
            OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path)
        };
        let lock = private(&self.folder.join("tokens.lock")).map_err(fail)?;
        lock.lock().map_err(fail)?;
        let mut set = self.load()?;
        let outcome = change(&mut set)?;
        let text = serde_json::to_vec_pretty(&set).map_err(|error| {
            Error::new(ErrorKind::InvalidInput, format!("write tokens: {error}"))
        })?;
        let mut file = private(&fresh).map_err(fail)?;
        file.write_all(&text).and_then(|()| sync(&file)).map_err(fail)?;
        move_into_place(&fresh, &path).map_err(fail)?;
        for folder in [&self.folder, &self.folder.join("..")] {
            let opened = OpenOptions::new().read(true).open(folder);
            opened.and_then(|folder| sync(&folder)).map_err(fail)?;
        }
        Ok(outcome)
    }

    fn path(&self) -> PathBuf {
        self.folder.join("tokens.json")
    }
}

#[expect(clippy::disallowed_methods, reason = "a file of the daemon's, which is no footage")]
fn move_into_place(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn tokens_are_kept_and_read_by_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let file = TokenFile::of(dir.path());
        assert!(!file.exists() && file.load().unwrap().tokens.is_empty());
        let new = NewToken {
            role: Role::Camera,
            cameras: vec!["front".parse().unwrap()],
            household: None,
            agency: None,
            name: "gate".to_owned(),
            expires: None,
        };
        let issued = file.add(&new).unwrap();
        file.add(&new).unwrap();
        file.revoke(&issued.id).unwrap();
        let tokens = file.load().unwrap().tokens;
        assert_eq!(tokens.len(), 2);
        assert!(tokens[0].revoked.is_some() && tokens[1].revoked.is_none());
        let mode = fs::metadata(file.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_token_is_whole_before_it_counts_and_its_name_is_on_disk_before_it_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = TokenFile::of(dir.path());
        let new = NewToken {
            role: Role::Camera,
            cameras: vec!["front".parse().unwrap()],
            agency: None,
            household: None,
            name: "gate".to_owned(),
            expires: None,
        };
        let id = file.add(&new).unwrap().id;
        let revoke = |set: &mut TokenSet| set.revoke(&id, SystemClock.wall());
        let is_revoked = |path: &Path| {
            let set: TokenSet = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
            set.tokens[0].revoked.is_some()
        };
        let fresh = file.folder.join("tokens.new");
        let inode = |path: &Path| fs::metadata(path).unwrap().ino();
        for syncs_before_one_fails in 0..3 {
            let mut synced = 0;
            let failed = file.change_synced(revoke, |what| {
                let ino = what.metadata()?.ino();
                match synced {
                    0 => {
                        assert!(ino == inode(&fresh) && is_revoked(&fresh), "what counts next");
                        assert_eq!(is_revoked(&file.path()), syncs_before_one_fails > 1);
                    }
                    1 => assert!(ino == inode(&file.folder) && is_revoked(&file.path())),
                    _ => assert_eq!(ino, inode(dir.path())),
                }
                synced += 1;
                if synced > syncs_before_one_fails {
                    Err(io::ErrorKind::Other.into())
                } else {
                    Ok(())
                }
            });
            assert!(failed.is_err(), "whoever revokes is told that it may not last");
            assert_eq!(synced, syncs_before_one_fails + 1, "nothing goes on behind a failure");
        }
    }

    #[test]
    fn a_damaged_file_lets_nobody_in() {
        let dir = tempfile::tempdir().unwrap();
        let file = TokenFile::of(dir.path());
        fs::create_dir_all(&file.folder).unwrap();
        fs::write(file.path(), b"{\"tokens\": [").unwrap();
        assert_eq!(file.load().unwrap_err().kind(), crate::ErrorKind::Corrupt);
    }
}
