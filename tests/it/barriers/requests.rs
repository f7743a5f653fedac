//! What is personal about requests, and power cuts.

use clipkeep::requests::{Desk, HouseholdId, NewHousehold, Place, Rules, Text};
use clipkeep::vfs::Vfs;

use super::kit::{cut_power, seeded};
use crate::store_kit::{TestStore, camera};

const HOME: HouseholdId = HouseholdId(1);

fn desk(t: &TestStore) -> Desk {
    Desk::open(t.store.clone(), Rules::default()).unwrap()
}

/// A store in which a household has joined.
fn joined(seed: u64) -> TestStore {
    let t = seeded(seed);
    let cameras = vec![(Text(camera("door")), Place { lat: 40.0, lon: -75.0 })];
    let home = NewHousehold { cameras, contact: "resident".to_owned() };
    assert_eq!(desk(&t).join_household(&home).unwrap(), HOME);
    t
}

pub(super) fn a_home_that_joined_is_known(attempt: u64) {
    let t = cut_power(joined(attempt), |_| {});
    assert!(desk(&t).asked(HOME).unwrap().is_empty());
}

pub(super) fn a_home_that_left_has_taken_its_record(attempt: u64) {
    let t = joined(attempt);
    desk(&t).leave(HOME).unwrap();
    let left = t.disk.crash().files();
    assert!(!left.iter().any(|path| path.starts_with("private/h1")), "{left:?}");
}

pub(super) fn another_record_is_not_taken_for_it(attempt: u64) {
    let t = cut_power(joined(attempt), |disk| {
        let record = disk.open("private/h1.json", true).unwrap();
        let mut bytes = vec![0; usize::try_from(record.len().unwrap()).unwrap()];
        record.read_at(0, &mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap().replace("40.0", "41.0");
        record.write_at(0, &[text.as_bytes()]).unwrap();
        record.sync().unwrap();
    });
    assert!(Desk::open(t.store.clone(), Rules::default()).is_err());
}
