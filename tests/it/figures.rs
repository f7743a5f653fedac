//! Figures that the store must keep to: what recording and holding cost on disk.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use clipkeep::vfs::sim::SimVfs;
use clipkeep::{
    CameraId, ManualClock, NewClip, NewHold, Retention, Store, StoreOptions, Timestamp, Window,
};

use crate::world::{always, camera, footage};

const HOUR: Duration = Duration::from_secs(3600);
const MIB: u64 = 1 << 20;

fn options(clock: &ManualClock) -> StoreOptions {
    Store::options()
        .clock(clock.clone())
        .retention(Retention::new(HOUR, 2 * HOUR).unwrap())
        .segment_bytes(16 << 20)
        .segment_age(Duration::from_secs(600))
        .sweep_share(100)
        .free_space_floor(0)
}

fn clock() -> ManualClock {
    ManualClock::at("2026-11-23T18:00:00Z".parse().unwrap())
}

fn second(number: u32) -> Window {
    let start = "2026-11-23T10:00:00Z".parse::<Timestamp>().unwrap();
    let start = start.saturating_add(Duration::from_secs(u64::from(number)));
    Window::starting(start, Duration::from_secs(1)).unwrap()
}

/// `part / whole` in millionths, in whole numbers.
fn millionths(part: u64, whole: u64) -> u64 {
    part * 1_000_000 / whole
}

/// Bytes that are written for each payload byte, in millionths, seals included.
fn written_for(clip_bytes: usize, clips: u32) -> u64 {
    let disk = SimVfs::new(11);
    let store = options(&clock()).vfs(disk.clone()).open("sim").unwrap();
    let before = disk.stats().bytes_written;
    for number in 0..clips {
        let camera = camera(&format!("street-{}", number % 16));
        let bytes = footage(u64::from(number), clip_bytes);
        store.append(NewClip::new(&camera, second(number)), bytes).unwrap();
    }
    store.seal().unwrap();
    let payload = u64::try_from(clip_bytes).unwrap() * u64::from(clips);
    let cost = millionths(disk.stats().bytes_written - before, payload);
    println!("clips of {clip_bytes} bytes: {cost} millionths written for each byte of payload");
    cost
}

#[test]
fn recording_large_clips_writes_hardly_more_than_their_bytes() {
    assert!(written_for(2_000_000, 40) <= 1_020_000);
}

#[test]
fn recording_small_clips_writes_little_more_than_their_bytes() {
    assert!(written_for(200_000, 300) <= 1_050_000);
}

#[test]
fn a_hold_costs_two_syncs_whatever_it_covers() {
    let disk = SimVfs::new(12);
    let store = options(&clock()).vfs(disk.clone()).open("sim").unwrap();
    let cameras: Vec<CameraId> = (0..20).map(|n| camera(&format!("street-{n}"))).collect();
    for number in 0..400_u32 {
        let camera = &cameras[usize::try_from(number % 20).unwrap()];
        store.append(NewClip::new(camera, second(number)), footage(1, 3_000)).unwrap();
    }
    for covered in [1, 20] {
        let hold = NewHold::new(cameras[..covered].iter().cloned(), always());
        let before = disk.stats();
        let receipt = store.place_hold(hold).unwrap();
        let after = disk.stats();
        assert_eq!(receipt.clips, 20 * u64::try_from(covered).unwrap());
        assert_eq!(after.syncs - before.syncs, 2);
        assert_eq!(after.dir_syncs, before.dir_syncs);
    }
}

/// What the file system has allocated for the files of `dir`.
fn allocated(dir: &Path) -> u64 {
    let files = std::fs::read_dir(dir).unwrap();
    files.map(|file| file.unwrap().metadata().unwrap().blocks() * 512).sum()
}

/// Every byte of every file under `dir`, one file at a time.
fn each_file(dir: &Path, visit: &mut dyn FnMut(&[u8])) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            each_file(&path, visit);
        } else {
            visit(&std::fs::read(path).unwrap());
        }
    }
}

/// A clip whose every block begins with bytes that name it, so that no piece of it can hide.
fn marked(number: u32, len: usize) -> Vec<u8> {
    let mut bytes = footage(u64::from(number) + 1, len);
    for block in bytes.chunks_mut(1024) {
        let mark = marker(number);
        let len = mark.len().min(block.len());
        block[..len].copy_from_slice(&mark[..len]);
    }
    bytes
}

fn marker(number: u32) -> Vec<u8> {
    format!("footage-marker-{number:08}").into_bytes()
}

/// The numbers of the clips of which a marker is in any file of the store.
fn clips_on_disk(dir: &Path) -> std::collections::BTreeSet<u32> {
    let prefix = b"footage-marker-";
    let mut numbers = std::collections::BTreeSet::new();
    each_file(dir, &mut |bytes| {
        for at in
            (0..bytes.len()).filter(|at| bytes[*at] == b'f' && bytes[*at..].starts_with(prefix))
        {
            let digits = &bytes[at + prefix.len()..bytes.len().min(at + prefix.len() + 8)];
            numbers
                .extend(std::str::from_utf8(digits).ok().and_then(|text| text.parse::<u32>().ok()));
        }
    });
    numbers
}

#[test]
fn one_held_camera_of_sixteen_keeps_its_own_bytes_and_nobody_elses() {
    const CLIPS: u32 = 16 * 70;
    const CLIP_BYTES: usize = 512 * 1024;
    let dir = tempfile::tempdir().unwrap();
    let clock = clock();
    let store =
        options(&clock).durability(clipkeep::Durability::Buffered).open(dir.path()).unwrap();
    for number in 0..CLIPS {
        let camera = camera(&format!("street-{}", number % 16));
        let bytes = marked(number, CLIP_BYTES);
        store.append(NewClip::new(&camera, second(number)), bytes).unwrap();
    }
    store.seal().unwrap();
    let receipt = store.place_hold(NewHold::new([camera("street-3")], always())).unwrap();
    assert!(receipt.bytes >= 32 * MIB);
    clock.advance(3 * HOUR);
    let report = store.sweep().unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    let kept = allocated(&dir.path().join("segments"));
    let ratio = millionths(kept, receipt.bytes);
    println!("kept {kept} bytes for {} held: {ratio} millionths", receipt.bytes);
    assert!(ratio <= 1_050_000);
    let held: Vec<u32> = (0..CLIPS).filter(|number| number % 16 == 3).collect();
    let found: Vec<u32> = clips_on_disk(dir.path()).into_iter().collect();
    assert_eq!(found, held, "a search of all files finds the held clips and no others");
}
