//! What the kernel counted for this process, and what machine it runs on: for benchmarks.
//!
//! Parses files of `/proc` and `/sys`; what is missing there is `None`, never zero.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Counters of the kernel since the process began (the device's: since boot).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Bytes that this process made the kernel send to a disk; the file system's own are not in.
    pub written_bytes: Option<u64>,
    /// Bytes that this process made the kernel fetch from a disk.
    pub read_bytes: Option<u64>,
    /// Bytes that the whole device was sent, by anybody, the file system's journal included.
    pub device_written_bytes: Option<u64>,
    /// The most memory the process ever had resident.
    pub memory_peak_bytes: Option<u64>,
}

/// What the kernel counted so far; the device is the one that has `dir`.
#[must_use]
pub(crate) fn counted(dir: &Path) -> Counted {
    const SECTOR_BYTES: u64 = 512;
    let io = fs::read_to_string("/proc/self/io").unwrap_or_default();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let device = device_folder(dir).and_then(|device| fs::read_to_string(device.join("stat")));
    let sectors = device.ok().and_then(|stat| stat.split_whitespace().nth(6)?.parse::<u64>().ok());
    Counted {
        written_bytes: field(&io, "write_bytes:"),
        read_bytes: field(&io, "read_bytes:"),
        device_written_bytes: sectors.map(|sectors| sectors.saturating_mul(SECTOR_BYTES)),
        memory_peak_bytes: field(&status, "VmHWM:").map(|kib| kib.saturating_mul(1024)),
    }
}

/// Lets the peak of memory count anew from what is resident now, where the kernel allows that.
pub(crate) fn forget_memory_peak() {
    fs::write("/proc/self/clear_refs", "5").ok();
}

/// The machine that a benchmark ran on: nothing that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Processors that this process may use.
    pub cores: usize,
    /// The processor's model.
    pub processor: String,
    /// Main memory.
    pub memory_bytes: Option<u64>,
    /// `rotating`, `solid state` or `unknown`, as the kernel sees the disk.
    pub disk: String,
    /// The file system's name.
    pub file_system: String,
    /// Free for this process on it.
    pub free_bytes: u64,
}

/// The machine, seen from folder `dir`.
///
/// # Errors
///
/// What the system says when `dir` cannot be looked at.
pub(crate) fn machine(dir: &Path) -> io::Result<Machine> {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let stat = rustix::fs::statvfs(dir)?;
    Ok(Machine {
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        processor: model.map_or_else(|| "unknown".to_owned(), |(_, name)| name.to_owned()),
        memory_bytes: field(&memory, "MemTotal:").map(|kib| kib.saturating_mul(1024)),
        disk: disk_kind(dir).to_owned(),
        file_system: file_system(dir),
        free_bytes: stat.f_frsize.saturating_mul(stat.f_bavail),
    })
}

/// The first number behind `name` in a text of `name: number` lines.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn device_folder(dir: &Path) -> io::Result<PathBuf> {
    let device = fs::metadata(dir)?.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    fs::canonicalize(format!("/sys/dev/block/{major}:{minor}"))
}

fn disk_kind(dir: &Path) -> &'static str {
    let Ok(device) = device_folder(dir) else { return "unknown" };
    // A partition has its disk's queue one folder up.
    let queue = [device.join("queue/rotational"), device.join("../queue/rotational")];
    let text = queue.iter().find_map(|path| fs::read_to_string(path).ok());
    let is_virtual =
        device.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vd"));
    match text.as_deref().map(str::trim) {
        _ if is_virtual => "virtual",
        Some("1") => "rotating",
        Some("0") => "solid state",
        _ => "unknown",
    }
}

fn file_system(dir: &Path) -> String {
    const NAMES: [(i64, &str); 6] = [
        (0xEF53, "ext4"),
        (0x5846_5342, "xfs"),
        (0x9123_683E, "btrfs"),
        (0x0102_1994, "tmpfs"),
        (0xF2F5_2010, "f2fs"),
        (0x794C_7630, "overlay"),
    ];
    let kind = rustix::fs::statfs(dir).map(|stat| stat.f_type);
    let name = kind.ok().and_then(|kind| {
        NAMES.into_iter().find_map(|(magic, name)| (magic == kind).then_some(name))
    });
    name.unwrap_or("unknown").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_field_is_not_zero() {
        let text = "rchar: 17\nwrite_bytes: 4096\ncancelled_write_bytes: 0\n";
        assert_eq!(field(text, "write_bytes:"), Some(4096));
        assert_eq!(field(text, "read_bytes:"), None);
        assert_eq!(field("VmHWM:\t  2048 kB\n", "VmHWM:"), Some(2048));
    }

    #[test]
    fn a_machine_is_told_without_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let machine = machine(dir.path()).unwrap();
        assert!(machine.cores >= 1);
        assert!(machine.free_bytes > 0);
    }
}
