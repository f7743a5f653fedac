//! The names of the store's files, made and parsed in one place.
//!
//! ```text
//! STORE  LOCK
//! ledger/a/NNNNNNNN.log   ledger/b/NNNNNNNN.log      N: number of the file
//! segments/CCCC-IIIIIIII.seg                         C: class, I: segment
//! index/PPPPPPPP.idx                                 P: number of the partition
//! spare/ballast  spare/evidence-D.seg  spare/segment-D.seg  spare/reuse-D.seg
//! ```
//!
//! N, C, I and P are lower-case hexadecimal with all leading zeros; D is decimal without any. A
//! reader must reject every other spelling, and leave a file whose name it did not parse alone.

use crate::types::{ClassId, SegmentId};

pub(crate) const STORE: &str = "STORE";
pub(crate) const LOCK: &str = "LOCK";
pub(crate) const SEGMENTS: &str = "segments";
pub(crate) const INDEX: &str = "index";
pub(crate) const SPARE: &str = "spare";
pub(crate) const LEDGER_A: &str = "ledger/a";
pub(crate) const LEDGER_B: &str = "ledger/b";
pub(crate) const BALLAST: &str = "spare/ballast";

/// A file in `spare/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SpareName {
    /// Room given up when the disk is full.
    Ballast,
    /// Room set aside for evidence segments.
    Evidence(u32),
    /// Room for a segment to come.
    Segment(u32),
    /// The file of a dropped segment, kept for another one.
    Reuse(u32),
    /// A file that was made ahead for the next segment.
    Next,
}

/// `segments/CCCC-IIIIIIII.seg`, hexadecimal: class (4 digits), id (8 digits).
pub(crate) fn segment(class: ClassId, id: SegmentId) -> String {
    format!("{SEGMENTS}/{:04x}-{:08x}.seg", class.0, id.0)
}

/// The class and id of a name in folder `segments`; `None` for any other spelling.
pub(crate) fn parse_segment(name: &str) -> Option<(ClassId, SegmentId)> {
    let (class, id) = name.strip_suffix(".seg")?.split_once('-')?;
    let class = u16::try_from(hexadecimal(class, 4)?).ok()?;
    Some((ClassId(class), SegmentId(hexadecimal(id, 8)?)))
}

/// `DIR/NNNNNNNN.log`, hexadecimal, for ledger file number `number` in copy folder `dir`.
pub(crate) fn ledger(dir: &str, number: u32) -> String {
    format!("{dir}/{number:08x}.log")
}

/// The number of a name in a ledger folder.
pub(crate) fn parse_ledger(name: &str) -> Option<u32> {
    hexadecimal(name.strip_suffix(".log")?, 8)
}

/// `index/PPPPPPPP.idx`, hexadecimal, for partition `number`.
pub(crate) fn partition(number: u32) -> String {
    format!("{INDEX}/{number:08x}.idx")
}

/// The number of a name in folder `index`.
pub(crate) fn parse_partition(name: &str) -> Option<u32> {
    hexadecimal(name.strip_suffix(".idx")?, 8)
}

/// `spare/evidence-N.seg`, `spare/segment-N.seg`, `spare/reuse-N.seg`, `spare/reuse-next.seg` or
/// `spare/ballast`.
pub(crate) fn spare(name: SpareName) -> String {
    match name {
        SpareName::Ballast => BALLAST.to_owned(),
        SpareName::Evidence(number) => format!("{SPARE}/evidence-{number}.seg"),
        SpareName::Segment(number) => format!("{SPARE}/segment-{number}.seg"),
        SpareName::Reuse(number) => format!("{SPARE}/reuse-{number}.seg"),
        SpareName::Next => format!("{SPARE}/reuse-next.seg"),
    }
}

/// A name in folder `spare`.
pub(crate) fn parse_spare(name: &str) -> Option<SpareName> {
    if name == "ballast" {
        return Some(SpareName::Ballast);
    }
    match name.strip_suffix(".seg")?.split_once('-')? {
        ("evidence", number) => decimal(number).map(SpareName::Evidence),
        ("segment", number) => decimal(number).map(SpareName::Segment),
        ("reuse", "next") => Some(SpareName::Next),
        ("reuse", number) => decimal(number).map(SpareName::Reuse),
        _ => None,
    }
}

/// A number of exactly `digits` lower-case hexadecimal digits.
fn hexadecimal(text: &str, digits: usize) -> Option<u32> {
    let plain = text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
    if plain && text.len() == digits { u32::from_str_radix(text, 16).ok() } else { None }
}

/// A decimal number without sign or leading zeros.
fn decimal(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|c| c.is_ascii_digit());
    if plain && (text == "0" || !text.starts_with('0')) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The name without its folder.
    fn file(path: &str) -> &str {
        path.rsplit_once('/').map_or(path, |(_, file)| file)
    }

    #[test]
    fn names_are_spelled_as_documented() {
        assert_eq!(segment(ClassId(0x1f), SegmentId(0xa0)), "segments/001f-000000a0.seg");
        assert_eq!(segment(ClassId::EVIDENCE, SegmentId(7)), "segments/ffff-00000007.seg");
        assert_eq!(ledger(LEDGER_A, 1), "ledger/a/00000001.log");
        assert_eq!(partition(0xa0), "index/000000a0.idx");
        assert_eq!(spare(SpareName::Evidence(3)), "spare/evidence-3.seg");
        assert_eq!(spare(SpareName::Segment(0)), "spare/segment-0.seg");
        assert_eq!(spare(SpareName::Reuse(4_294_967_295)), "spare/reuse-4294967295.seg");
        assert_eq!(spare(SpareName::Next), "spare/reuse-next.seg");
        assert_eq!(spare(SpareName::Ballast), BALLAST);
    }

    #[test]
    fn other_spellings_are_not_ours() {
        for name in [
            "",
            ".seg",
            "-.seg",
            "001F-000000a0.seg",
            "1f-a0.seg",
            "001f-000000a0",
            "001f000000a0.seg",
            "001f-000000a0.seg~",
            "+01f-000000a0.seg",
            "001f-+00000a0.seg",
            "001f-000000a0.seg.seg",
            " 001f-000000a0.seg",
            "segments/001f-000000a0.seg",
            "0001f-000000a0.seg",
        ] {
            assert_eq!(parse_segment(name), None, "{name:?}");
        }
        for name in ["", ".log", "1.log", "0000000A.log", "000000001.log", "00000001.LOG"] {
            assert_eq!(parse_ledger(name), None, "{name:?}");
        }
        for name in ["", ".idx", "1.idx", "0000000A.idx", "000000001.idx", "00000001.idx~"] {
            assert_eq!(parse_partition(name), None, "{name:?}");
        }
        for name in [
            "",
            "Ballast",
            "ballast.seg",
            "evidence-.seg",
            "evidence-01.seg",
            "evidence-+1.seg",
            "evidence--1.seg",
            "segment-4294967296.seg",
            "reuse-00.seg",
            "other-1.seg",
            "segment-1",
        ] {
            assert_eq!(parse_spare(name), None, "{name:?}");
        }
    }

    /// Text near enough to our names that random edits reach every branch.
    fn near_miss() -> impl Strategy<Value = String> {
        let pieces = prop::sample::select(vec![
            "0", "00", "0000", "1", "a", "f", "F", "9", "-", ".", "seg", ".seg", "log", ".log",
            ".idx", "evidence", "segment", "reuse", "ballast", "+", " ", "/", "\u{0661}",
            "00000001", "001f",
        ]);
        prop::collection::vec(pieces, 0..6).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn names_parse_to_what_made_them(class: u16, id: u32) {
            let (class, id) = (ClassId(class), SegmentId(id));
            prop_assert_eq!(parse_segment(file(&segment(class, id))), Some((class, id)));
            prop_assert_eq!(parse_ledger(file(&ledger(LEDGER_B, id.0))), Some(id.0));
            prop_assert_eq!(parse_partition(file(&partition(id.0))), Some(id.0));
            for name in [
                SpareName::Evidence(id.0),
                SpareName::Segment(id.0),
                SpareName::Reuse(id.0),
                SpareName::Next,
                SpareName::Ballast,
            ] {
                prop_assert_eq!(parse_spare(file(&spare(name))), Some(name));
            }
        }

        #[test]
        fn whatever_parses_is_the_exact_spelling(
            text in prop_oneof![near_miss(), any::<String>()],
        ) {
            if let Some((class, id)) = parse_segment(&text) {
                let made = segment(class, id);
                prop_assert_eq!(file(&made), &text);
            }
            if let Some(number) = parse_ledger(&text) {
                let made = ledger(LEDGER_A, number);
                prop_assert_eq!(file(&made), &text);
            }
            if let Some(number) = parse_partition(&text) {
                let made = partition(number);
                prop_assert_eq!(file(&made), &text);
            }
            if let Some(name) = parse_spare(&text) {
                let made = spare(name);
                prop_assert_eq!(file(&made), &text);
            }
        }
    }
}
