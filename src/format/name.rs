//! The names of the store's files, made and parsed in one place.

use crate::types::{ClassId, SegmentId};

pub(crate) const STORE: &str = "STORE";
pub(crate) const LOCK: &str = "LOCK";
pub(crate) const SEGMENTS: &str = "segments";
pub(crate) const SPARE: &str = "spare";
pub(crate) const LEDGER_A: &str = "ledger/a";
pub(crate) const LEDGER_B: &str = "ledger/b";
pub(crate) const BALLAST: &str = "spare/ballast";

/// A file in `spare/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SpareName { Ballast, Evidence(u32), Segment(u32) }

/// `segments/CC-IIIIIIII.seg`, hexadecimal: class (4 digits), id (8 digits).
pub(crate) fn segment(class: ClassId, id: SegmentId) -> String { unimplemented!() }
/// The class and id of a name in folder `segments`; `None` for any other spelling.
pub(crate) fn parse_segment(name: &str) -> Option<(ClassId, SegmentId)> { unimplemented!() }
/// `DIR/NNNNNNNN.log` for ledger file number `number` in copy folder `dir`.
pub(crate) fn ledger(dir: &str, number: u32) -> String { unimplemented!() }
/// The number of a name in a ledger folder.
pub(crate) fn parse_ledger(name: &str) -> Option<u32> { unimplemented!() }
/// `spare/evidence-N.seg`, `spare/segment-N.seg` or `spare/ballast`
pub(crate) fn spare(name: SpareName) -> String { unimplemented!() }
/// A name in folder `spare`.
pub(crate) fn parse_spare(name: &str) -> Option<SpareName> { unimplemented!() }
