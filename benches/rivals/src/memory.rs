//! Memory that is full of what nobody needs any more, as on a machine that has been up for a while.
//!
//! A virtual machine may give free memory back to its host, and the first touch of a page then
//! costs many times what it costs else: whoever writes through the page cache would be measured by
//! that. So the page cache is filled before each turn, with a file that has no blocks; the system
//! takes such pages first when somebody wants some.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use clipkeep::workload::Outcome;

/// So much may be left free, for whoever cannot wait for pages.
const FREE_BYTES: u64 = 1 << 30;
/// So much is read between two looks at what is free.
const STEP_BYTES: u64 = 256 << 20;
/// The length of the file: more than is ever read of it.
const FILE_BYTES: u64 = 1 << 42;
const PIECE_BYTES: u64 = 1 << 20;

/// The page cache of this machine.
pub struct Memory {
    file: File,
    /// Up to here it was read.
    at: u64,
}

impl Memory {
    /// Makes the file in `dir`.
    pub fn new(dir: &Path) -> Outcome<Self> {
        let path = dir.join("memory");
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
        file.set_len(FILE_BYTES)?;
        Ok(Self { file, at: 0 })
    }

    /// Fills what is free; what is taken already is left as it is. Ends, too, when the system takes
    /// pages back as fast as they are filled.
    pub fn fill(&mut self) -> Outcome<()> {
        let mut piece = vec![0; usize::try_from(PIECE_BYTES)?];
        let mut free = free_bytes()?;
        while free > FREE_BYTES && self.at < FILE_BYTES - STEP_BYTES {
            for _ in 0..STEP_BYTES / PIECE_BYTES {
                self.file.read_exact_at(&mut piece, self.at)?;
                self.at += PIECE_BYTES;
            }
            let left = free_bytes()?;
            if left.saturating_add(STEP_BYTES / 2) > free {
                break;
            }
            free = left;
        }
        Ok(())
    }
}

fn free_bytes() -> Outcome<u64> {
    let told = std::fs::read_to_string("/proc/meminfo")?;
    let line = told.lines().find_map(|line| line.strip_prefix("MemFree:"));
    let kib: u64 = line.and_then(|line| line.split_whitespace().next()).unwrap_or("0").parse()?;
    Ok(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_no_blocks_and_can_be_read() {
        let dir = std::env::temp_dir().join(format!("rivals-memory-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let memory = Memory::new(&dir).unwrap();
        let mut last = [1; 512];
        memory.file.read_exact_at(&mut last, FILE_BYTES - 512).unwrap();
        std::fs::remove_dir_all(&dir).unwrap();
        assert_eq!(last, [0; 512]);
        assert!(free_bytes().unwrap() > 0);
    }
}
