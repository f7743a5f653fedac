//! A bundle before it is handed out: its length, its ranges, and footage that goes meanwhile.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::sync::Arc;

use super::forge::no_trim;
use super::street::{Street, agency};
use crate::ClipId;
use crate::requests::evidence::Footage;
use crate::requests::{HouseholdId, Refusal};

#[test]
fn any_range_of_a_bundle_is_that_of_the_whole() {
    let street = Street::of(3);
    let request = street.open();
    for home in 1..=2 {
        street.accept(home, request).unwrap();
    }
    let bundle = street.desk.open_bundle(&agency(), request, &no_trim).unwrap();
    let mut whole = Vec::new();
    bundle.write_to(&no_trim, &mut whole).unwrap();
    assert_eq!(bundle.len(), u64::try_from(whole.len()).unwrap());
    let footage: Arc<dyn Footage> = Arc::new(no_trim);
    let mut read = Vec::new();
    bundle.reader(Arc::clone(&footage)).read_to_end(&mut read).unwrap();
    assert_eq!(read, whole);
    let mut reader = bundle.reader(footage);
    for begin in (0..whole.len()).rev().step_by(7) {
        let end = (begin + 50).min(whole.len());
        let mut some = vec![0; end - begin];
        reader.seek(SeekFrom::Start(u64::try_from(begin).unwrap())).unwrap();
        reader.read_exact(&mut some).unwrap();
        assert_eq!(some, &whole[begin..end], "from {begin}");
    }
}

#[test]
fn a_fetch_goes_on_as_long_as_the_same_is_shared() {
    let street = Street::of(3);
    let request = street.open();
    for home in 1..=2 {
        street.accept(home, request).unwrap();
    }
    let bundle = street.desk.open_bundle(&agency(), request, &no_trim).unwrap();
    let may = || street.desk.may_go_on(&agency(), request, &bundle).ok();
    street.desk.deny(HouseholdId(3), request).unwrap();
    assert_eq!(may(), Some(true), "others decide what they like");
    let clip = street.clip(1, 18).id();
    street.desk.acknowledge(&agency(), request, &[clip]).unwrap();
    assert_eq!(may(), Some(true), "what is there may be fetched again");
    street.desk.revoke(HouseholdId(2), request).unwrap();
    assert_eq!(may(), Some(false), "taken back");
    street.desk.suspend_agency(&agency()).unwrap();
    assert_eq!(may(), None);
}

#[test]
fn footage_that_is_gone_meanwhile_breaks_it_off() {
    let street = Street::of(1);
    let request = street.open();
    street.accept(1, request).unwrap();
    let bundle = street.desk.open_bundle(&agency(), request, &no_trim).unwrap();
    let clip: ClipId = street.clip(1, 18).id();
    street.desk.erase(HouseholdId(1), clip).unwrap();
    let refused = bundle.write_to(&no_trim, &mut Vec::new()).unwrap_err();
    assert!(matches!(refused, Refusal::Store(e) if e.kind() == crate::ErrorKind::Expired));
    let mut read = Vec::new();
    assert!(bundle.reader(Arc::new(no_trim)).read_to_end(&mut read).is_err());
    assert!(!read.windows(6).any(|part| part == b"<clip "), "nothing of it came out");
}
