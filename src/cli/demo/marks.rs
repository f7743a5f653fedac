//! A mark in every clip of the demo, by which its bytes can be found in any file.
//!
//! It sits in a `free` box at the clip's end, which every player skips.

use std::collections::BTreeSet;
use std::path::Path;

use crate::Timestamp;
use crate::cli::files;
use crate::types::Result;

const PREFIX: &[u8] = b"\xC5clipkeep demo clip: ";
const SUFFIX: u8 = 0xC5;
/// More than a mark has.
const MARK_BYTES_MAX: usize = 128;
/// How much of a file is looked at at once.
const READ_BYTES: usize = 4 << 20;

/// The mark of the clip of `camera` that starts at `start`.
pub(super) fn mark(camera: &str, start: Timestamp) -> String {
    format!("{camera} {start}")
}

/// `media` with the mark in it.
pub(super) fn stamp(media: &[u8], mark: &str) -> Vec<u8> {
    let len = 8 + PREFIX.len() + mark.len() + 1;
    let mut bytes = media.to_vec();
    bytes.extend_from_slice(&u32::try_from(len).unwrap_or(8).to_be_bytes());
    bytes.extend_from_slice(b"free");
    bytes.extend_from_slice(PREFIX);
    bytes.extend_from_slice(mark.as_bytes());
    bytes.push(SUFFIX);
    bytes
}

/// All marks in all files of folder `dir`.
pub(super) fn find(dir: &Path) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for path in files::list(dir, true)? {
        let mut file = files::open(&path)?;
        let mut buffer = vec![0; READ_BYTES + MARK_BYTES_MAX];
        let mut kept = 0;
        loop {
            let room = buffer.get_mut(kept..).unwrap_or(&mut []);
            let wanted = room.len();
            let read = files::read_full(&mut file, room, &path)?;
            let filled = kept + read;
            collect(buffer.get(..filled).unwrap_or(&[]), &mut found);
            if read < wanted {
                break;
            }
            // A mark may lie across two readings.
            buffer.copy_within(filled - MARK_BYTES_MAX..filled, 0);
            kept = MARK_BYTES_MAX;
        }
    }
    Ok(found)
}

fn collect(bytes: &[u8], found: &mut BTreeSet<String>) {
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|&byte| byte == SUFFIX) {
        let (_, from) = rest.split_at(at);
        if let Some(text) = from.strip_prefix(PREFIX)
            && let Some(end) = text.iter().take(MARK_BYTES_MAX).position(|&byte| byte == SUFFIX)
        {
            found.insert(String::from_utf8_lossy(text.get(..end).unwrap_or(&[])).into_owned());
        }
        rest = from.get(1..).unwrap_or(&[]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_wherever_they_lie() {
        let dir = tempfile::tempdir().unwrap();
        let marks: Vec<String> =
            (0..3).map(|n| mark("cam", Timestamp::from_micros(n * 1_000_000))).collect();
        for (name, before) in [("a", 0), ("b", READ_BYTES + MARK_BYTES_MAX - 20), ("c", 77)] {
            let at = usize::from(name.as_bytes()[0] - b'a');
            let bytes = stamp(&vec![0xC5; before], &marks[at]);
            std::fs::write(dir.path().join(name), bytes).unwrap();
        }
        assert_eq!(find(dir.path()).unwrap(), marks.into_iter().collect());
    }
}
