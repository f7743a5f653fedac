//! The page cache of a real file system with direct writes: recording leaves next to nothing in it,
//! and what people watch stays there.

use std::fs;
use std::path::Path;

use clipkeep::workload::{
    Commit, Keeper as _, RawKeeper, StoreKeeper, Street, cached, check, drop_caches,
};
use tempfile::TempDir;

use super::tally;

const CLIP_BYTES: usize = 2_000_000;
const MIB: u64 = 1 << 20;

#[test]
fn recording_does_not_push_out_what_is_watched() {
    const WATCHED: u64 = 32;
    const RECORDED: u64 = 160;
    let street = Street::new(5, 8, CLIP_BYTES);
    tally::unless_missing(missing(&street), "what recording leaves in the page cache", || {
        let dir = tempfile::tempdir().unwrap();
        let mut store = StoreKeeper::open(dir.path(), &street, Commit::Each).unwrap();
        store.keep(&street.takes(0, WATCHED).unwrap()).unwrap();
        // One segment, half full: what is recorded next fills it, and it is sealed.
        let before = links(dir.path(), None);
        drop_caches(dir.path()).unwrap();
        // What is watched once is read past the cache.
        for _ in 0..2 {
            check(&mut store, &street, 0..WATCHED).unwrap();
        }
        store.keep(&street.takes(WATCHED, RECORDED).unwrap()).unwrap();
        store.settle().unwrap();
        assert!(store.store().unwrap().stats().unwrap().segments_sealed >= 2);
        let behind = links(dir.path(), Some(&before));
        // To look at what is not cached may bring it in: at each place only once.
        let mib = |links: &TempDir| cached(links.path()).unwrap().unwrap();
        let ((half, _), (own, all)) = (mib(&before), mib(&behind));
        println!("cached: {half} MiB where a half was watched, of {all} MiB behind that {own}");
        let bytes = |clips: u64| clips * u64::try_from(CLIP_BYTES).unwrap();
        let watched = bytes(WATCHED) / MIB;
        assert!(half >= watched - watched / 20, "{half} MiB of {watched} that were watched");
        let recorded = bytes(RECORDED) / MIB;
        let left = (half + own).saturating_sub(watched);
        assert!(left <= recorded / 20, "{left} MiB of {recorded} that were recorded");
    });
}

/// The segments of the store in `dir`, by names of their own; not those that `but` has.
fn links(dir: &Path, but: Option<&TempDir>) -> TempDir {
    let links = tempfile::tempdir().unwrap();
    for file in fs::read_dir(dir.join("segments")).unwrap() {
        let file = file.unwrap();
        if but.is_none_or(|but| !but.path().join(file.file_name()).exists()) {
            fs::hard_link(file.path(), links.path().join(file.file_name())).unwrap();
        }
    }
    links
}

/// What is missing here: direct writes that leave nothing in the page cache, or a kernel that tells
/// what is in it.
fn missing(street: &Street) -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    let mut raw = match RawKeeper::open(dir.path(), true, 8 * MIB) {
        Ok(raw) => raw,
        Err(error) => return Some(format!("no direct writes: {error}")),
    };
    raw.keep(&street.takes(0, 4).unwrap()).unwrap();
    match cached(dir.path()).unwrap() {
        Some((0, _)) => None,
        Some(_) => Some("direct writes stay in the page cache".to_owned()),
        None => Some("the kernel does not tell what is cached".to_owned()),
    }
}
