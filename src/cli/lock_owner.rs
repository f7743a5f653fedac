//! Who has a store locked, as far as the system tells.
//!
//! Only for a hint to a person: the answer may be out of date, and nothing is decided by it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// What to do about a store that somebody else has open.
pub(super) fn hint(path: Option<&Path>) -> String {
    let owner = path.and_then(owner);
    let who = owner.map_or_else(
        || "another process has it open".to_owned(),
        |(pid, name)| format!("process {pid} ({name}) has it open"),
    );
    format!("{who}; wait for it, or end it in an orderly way")
}

/// The process that has a lock on the store at `path` (the store's folder or its `LOCK`).
fn owner(path: &Path) -> Option<(u32, String)> {
    let lock = if path.is_dir() { path.join("LOCK") } else { path.to_owned() };
    let inode = fs::metadata(lock).ok()?.ino();
    let pid = holder(&fs::read_to_string("/proc/locks").ok()?, inode)?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some((pid, name.trim().to_owned()))
}

/// The process that holds a lock on `inode`, of lines like
/// `1: FLOCK  ADVISORY  WRITE 4471 fd:01:131090 0 EOF`. Lines with `->` only wait for one.
fn holder(locks: &str, inode: u64) -> Option<u32> {
    locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, _, _, _, pid, file, ..] = fields.as_slice() else { return None };
        let found = file.rsplit(':').next()?.parse::<u64>().ok()?;
        if found == inode { pid.parse().ok() } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_process_by_the_inode() {
        let locks = "1: FLOCK  ADVISORY  WRITE 4471 fd:01:131090 0 EOF\n\
                     1: -> FLOCK  ADVISORY  WRITE 12 fd:01:77 0 EOF\n\
                     2: POSIX  ADVISORY  READ 9 fd:01:88 0 EOF\nrubbish\n";
        assert_eq!(holder(locks, 131_090), Some(4471));
        assert_eq!(holder(locks, 77), None);
        assert_eq!(holder(locks, 88), Some(9));
        assert_eq!(holder(locks, 1), None);
    }

    #[test]
    fn says_something_useful_when_nothing_is_known() {
        assert!(hint(None).starts_with("another process has it open"));
        assert!(hint(Some(Path::new("/no/such/folder"))).starts_with("another process"));
    }
}
