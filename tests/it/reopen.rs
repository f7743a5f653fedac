//! Closing and opening: what comes back, who may open, what is left alone.

use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use clipkeep::vfs::Vfs;
use clipkeep::vfs::sim::{SimOp, SimVfs};
use clipkeep::{Durability, ErrorKind, HoldCause, NewClip, NewHold, Store};

use crate::plug::Plug;
use crate::store_kit::{DAY, SEGMENT_BYTES, TestStore, camera, kind_of, marked, minutes};

#[test]
fn everything_comes_back_as_it_was() {
    let t = TestStore::new();
    let sealed = t.sealed_clip("door", 0, "sealed");
    let open = t.clip("yard", 1, "open");
    t.keep("door", minutes(0, 1));
    let (holds, stats, ledger) = (t.store.holds(), t.store.stats().unwrap(), t.ledger());
    let t = t.reopen();
    assert!(t.store.opening().problems.is_empty(), "{:?}", t.store.opening().problems);
    assert!(!t.store.opening().created);
    assert_eq!(t.store.clip(sealed.id()).unwrap(), sealed);
    assert_eq!(t.store.clip(open.id()).unwrap(), open);
    assert!(t.reads_as(&sealed, "sealed") && t.reads_as(&open, "open"));
    assert_eq!(t.store.holds(), holds);
    // Closing notes how far the open segment is durable.
    let new: Vec<_> = t.ledger().split_off(ledger.len());
    assert_eq!(t.ledger()[..ledger.len()], ledger);
    assert!(new.iter().all(|line| line.kind == "segment-durable"), "{new:?}");
    let again = t.store.stats().unwrap();
    assert_eq!((again.clips, again.live_bytes), (stats.clips, stats.live_bytes));
    assert_eq!(again.held_bytes, stats.held_bytes);
    assert_eq!(t.store.cameras(), [camera("door"), camera("yard")]);
}

#[test]
fn opening_again_and_again_changes_nothing() {
    let mut t = TestStore::new();
    let clip = t.clip("door", 0, "a");
    t.sealed_clip("yard", 1, "b");
    t = t.reopen();
    let ledger = t.ledger();
    for _ in 0..3 {
        t = t.reopen();
    }
    assert_eq!(t.ledger(), ledger);
    assert!(t.reads_as(&clip, "a"));
}

#[test]
fn clip_ids_are_never_given_twice() {
    let mut t = TestStore::new();
    let mut ids = Vec::new();
    for minute in 0..8 {
        ids.push(t.clip("door", minute, "a").id());
        if minute % 3 == 0 {
            t.store.seal().unwrap();
            t.pass(11 * DAY);
            t.sweep();
        }
        t = t.reopen();
    }
    let mut unique = ids.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), ids.len());
}

/// A process that finds no store, and another that makes one before the first has the lock.
fn overtaken(stays: bool) -> (Plug, Arc<Mutex<Vec<Store>>>) {
    let plug = Plug::new(&SimVfs::new(7), u64::MAX);
    let (options, open) = (Store::options().vfs(plug.clone()), Arc::new(Mutex::new(Vec::new())));
    let other = Arc::clone(&open);
    plug.before_lock(move || {
        let store = options.open("store").unwrap();
        assert!(store.opening().created);
        store.append(NewClip::new(&camera("door"), minutes(0, 1)), marked("a", 100)).unwrap();
        if stays {
            other.lock().unwrap().push(store);
        }
    });
    (plug, open)
}

#[test]
fn a_store_that_another_process_made_just_before_is_opened_as_it_is() {
    let (plug, _) = overtaken(false);
    let store = Store::options().vfs(plug).open("store").unwrap();
    assert!(!store.opening().created);
    assert_eq!(store.clips(&camera("door"), minutes(0, 1)).unwrap().count(), 1);
}

#[test]
fn a_store_that_another_process_is_making_is_locked() {
    let (plug, _other) = overtaken(true);
    let error = Store::options().vfs(plug.clone()).open("store").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
    assert!(error.to_string().contains("process 1"), "{error}");
}

#[test]
fn a_store_that_is_not_made_yet_is_locked_for_those_who_must_not_make_it() {
    let plug = Plug::new(&SimVfs::new(8), u64::MAX);
    let maker = plug.lock("LOCK", true).unwrap();
    for options in [Store::options().create(false), Store::options().read_only(true)] {
        let open = || kind_of(options.clone().vfs(plug.clone()).open("store"));
        assert_eq!(open(), ErrorKind::Locked);
    }
    drop(maker);
    let options = Store::options().create(false).vfs(plug);
    assert_eq!(kind_of(options.open("store")), ErrorKind::NotFound);
}

#[test]
fn of_many_who_make_a_store_at_once_each_has_it_or_finds_it_locked() {
    for round in 0..20 {
        let dir = tempfile::tempdir().unwrap();
        let start = Barrier::new(4);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    start.wait();
                    match Store::options().open(dir.path()) {
                        Ok(store) => drop(store),
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::Locked, "round {round}: {error}");
                        }
                    }
                });
            }
        });
        Store::options().create(false).open(dir.path()).unwrap();
    }
}

#[test]
fn two_writers_are_one_too_many() {
    let t = TestStore::new();
    let error = t.options.clone().open("store").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(error.to_string().contains("process"), "{error}");
    assert_eq!(kind_of(t.options.clone().read_only(true).open("store")), ErrorKind::Locked);
}

#[test]
fn readers_share_a_store_and_keep_writers_out() {
    let t = TestStore::new();
    let clip = t.clip("door", 0, "a");
    let options = t.options.clone();
    let t = t.reopen_with(|options| options.read_only(true));
    let second = options.clone().read_only(true).open("store").unwrap();
    assert!(t.reads_as(&clip, "a"));
    assert_eq!(second.read(clip.id()).unwrap().to_vec().unwrap(), marked("a", 20_000));
    assert_eq!(kind_of(options.clone().open("store")), ErrorKind::Locked);
    drop((t, second));
    options.open("store").unwrap();
}

#[test]
fn a_clone_keeps_the_store_open() {
    let t = TestStore::new();
    let clone = t.store.clone();
    drop(t.store);
    assert_eq!(kind_of(t.options.clone().open("store")), ErrorKind::Locked);
    clone.close().unwrap();
    t.options.open("store").unwrap();
}

#[test]
fn a_read_only_store_changes_nothing_and_says_so() {
    use clipkeep::{NewClip, PolicyScope, Release, ReleaseCause, Retention};
    let t = TestStore::new();
    let clip = t.clip("door", 0, "a");
    let hold = t.keep("door", minutes(0, 1));
    let t = t.reopen_with(|options| options.read_only(true));
    let written = t.disk.stats().writes;
    let store = &t.store;
    let door = camera("door");
    let refused = [
        store.append(NewClip::new(&door, minutes(1, 2)), marked("b", 10)).err(),
        store.record(NewClip::starting(&door, crate::store_kit::at(0))).err(),
        store.place_hold(NewHold::new([door.clone()], minutes(0, 1))).err(),
        store.release_hold(hold, &Release::new(ReleaseCause::Owner, "o")).err(),
        store.delete_clip(clip.id(), "o", "").err(),
        store.sweep().err(),
        store.seal().err(),
        store.sync().err(),
        store.set_retention(None, Retention::default(), PolicyScope::NewClips).err(),
        store.add_camera(&camera("new")).err(),
        store.remove_camera(&door).err(),
        store.confirm_clock("o").err(),
    ];
    for (index, error) in refused.into_iter().enumerate() {
        let kind = error.map(|error| error.kind());
        // Nobody erases what a hold covers, whoever asks.
        let held = kind == Some(ErrorKind::Held);
        assert!(kind == Some(ErrorKind::ReadOnly) || held, "call {index}: {kind:?}");
    }
    assert!(t.reads_as(&clip, "a"));
    t.store.plan_sweep().unwrap();
    t.store.stats().unwrap();
    drop(t.store);
    assert_eq!(t.disk.stats().writes, written);
}

#[test]
fn a_read_only_store_hides_what_expired_before() {
    let t = TestStore::new();
    let clip = t.sealed_clip("door", 0, "a");
    t.pass(11 * DAY);
    t.disk.fail_from(SimOp::Rename, 1, std::io::ErrorKind::Other);
    t.disk.fail_from(SimOp::Remove, 1, std::io::ErrorKind::Other);
    drop(t.store.sweep());
    t.disk.clear_faults();
    let t = t.reopen_with(|options| options.read_only(true));
    assert_eq!(t.files_with("a").len(), 1);
    t.assert_gone(&clip);
}

#[test]
fn no_store_is_made_where_none_was_wanted() {
    let t = TestStore::new();
    let disk = clipkeep::vfs::sim::SimVfs::new(2);
    let options = t.options.clone().vfs(disk.clone());
    let without = options.clone().create(false).open("store");
    assert_eq!(kind_of(without), ErrorKind::NotFound);
    let read_only = options.clone().read_only(true).open("store");
    assert_eq!(kind_of(read_only), ErrorKind::NotFound);
    assert!(disk.files().is_empty());
    assert!(options.open("store").unwrap().opening().created);
}

#[test]
fn no_store_is_made_in_a_folder_that_has_other_things() {
    let t = TestStore::new();
    let disk = clipkeep::vfs::sim::SimVfs::new(2);
    disk.create("holiday.jpg", 4096).unwrap();
    let refused = t.options.clone().vfs(disk.clone()).open("store");
    assert_eq!(kind_of(refused), ErrorKind::InvalidInput);
    assert_eq!(disk.files(), ["holiday.jpg"]);
}

#[test]
fn a_store_on_the_real_file_system_works_alike() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep").join("store");
    let t = TestStore::new();
    let on_disk = || {
        Store::options()
            .segment_bytes(crate::store_kit::SEGMENT_BYTES)
            .free_space_floor(0)
            .evidence_reserve(crate::store_kit::SEGMENT_BYTES)
            .clock(t.clock.clone())
    };
    let store = on_disk().open(&path).unwrap();
    let new = |minute| clipkeep::NewClip::new(&camera("door"), minutes(minute, minute + 1));
    let held = store.append(new(0), marked("held", 100_000)).unwrap();
    let free = store.append(new(5), marked("free", 100_000)).unwrap();
    store.seal().unwrap();
    store.place_hold(NewHold::new([camera("door")], minutes(0, 1))).unwrap();
    assert_eq!(kind_of(on_disk().open(&path)), ErrorKind::Locked);
    let reader = store.read(free.id()).unwrap();
    t.clock.advance(11 * DAY);
    let report = store.sweep().unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    assert_eq!((report.clips_expired, report.clips_moved), (1, 1));
    assert_eq!(reader.to_vec().unwrap(), marked("free", 100_000));
    drop((reader, store));
    let store = on_disk().open(&path).unwrap();
    assert_eq!(store.read(held.id()).unwrap().to_vec().unwrap(), marked("held", 100_000));
    assert_eq!(kind_of(store.read(free.id())), ErrorKind::Expired);
    let segments: Vec<_> = std::fs::read_dir(path.join("segments")).unwrap().collect();
    assert_eq!(segments.len(), 1);
}

#[test]
fn options_out_of_range_are_refused() {
    use std::time::Duration;
    let t = TestStore::new();
    let options = || t.options.clone();
    for refused in [
        options().segment_bytes(4 << 20 | 1),
        options().segment_bytes(0),
        options().segment_bytes(2 << 30),
        options().clip_duration_max(Duration::ZERO),
        options().clip_duration_max(Duration::from_hours(2)),
        options().segment_age(Duration::ZERO),
        options().sweeper(Duration::ZERO),
        options().sweep_share(0),
        options().sweep_share(101),
        options().quota(4 << 20),
        options().durability(Durability::Grouped(Duration::ZERO)),
    ] {
        assert_eq!(kind_of(refused.open("store")), ErrorKind::InvalidInput);
    }
}

#[test]
fn holds_in_their_grace_come_back_so() {
    use clipkeep::{HoldState, Release, ReleaseCause};
    let t = TestStore::new();
    let clip = t.sealed_clip("door", 10, "a");
    t.pass(10 * DAY - DAY / 2);
    let id = t.hold(HoldCause::Request, "door", minutes(0, 20));
    t.store.release_hold(id, &Release::new(ReleaseCause::Denied, "ann")).unwrap();
    let t = t.reopen();
    assert!(matches!(t.store.hold(id).unwrap().state(), HoldState::Grace { .. }));
    t.pass(DAY - DAY / 4);
    t.sweep();
    assert!(t.reads_as(&clip, "a"));
    t.pass(DAY / 4);
    t.sweep();
    t.assert_gone(&clip);
}

#[test]
fn the_unused_room_of_an_open_segment_is_reserved_also_in_a_store_opened_for_reading() {
    let t = TestStore::new();
    t.clip("door", 10, "a");
    let written = t.store.stats().unwrap();
    assert!(written.overhead_bytes < 16 << 10, "{written:?}");
    assert!(written.reserved_bytes > SEGMENT_BYTES - (64 << 10), "{written:?}");
    let t = t.reopen_with(|options| options.read_only(true));
    let read = t.store.stats().unwrap();
    assert_eq!(read.overhead_bytes, written.overhead_bytes);
    assert_eq!(read.reserved_bytes, written.reserved_bytes);
}
