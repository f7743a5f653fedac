//! Bytes that say whose they are, and the search for them on a disk.
//!
//! Each 32 bytes of footage name it and their place in it, so that bytes of another clip, or of
//! another place, are never taken for the right ones, and no piece of it can hide in a file.

use std::collections::BTreeMap;

use clipkeep::vfs::sim::SimVfs;

/// What every recording begins with: the footage of nobody.
pub(crate) const INIT: &[u8; 32] = b"<clip ffffffff at ftyp moov   >\n";

const PREFIX: &[u8] = b"<clip ";
const UNIT: usize = 32;
const HEX: &[u8; 16] = b"0123456789abcdef";

/// `len` bytes of the footage `number`.
pub(crate) fn footage(number: u32, len: usize) -> Vec<u8> {
    let mut unit = format!("<clip {number:08x} at 000000000000>\n").into_bytes();
    let mut bytes = Vec::with_capacity(len + UNIT);
    let mut place = 0_usize;
    while bytes.len() < len {
        // Only the place changes from one unit to the next.
        for (digit, at) in (18..30).rev().enumerate() {
            unit[at] = HEX[place >> (4 * digit) & 15];
        }
        bytes.extend_from_slice(&unit);
        place += 1;
    }
    bytes.truncate(len);
    bytes
}

/// The numbers of all footage of which any piece is in a file of `disk`, each with such a file.
pub(crate) fn found_on(disk: &SimVfs) -> BTreeMap<u32, String> {
    let mut found = BTreeMap::new();
    for path in disk.files() {
        for (number, _) in pieces(&disk.contents(&path).unwrap_or_default()) {
            found.entry(number).or_insert_with(|| path.clone());
        }
    }
    found
}

/// The pieces of footage in a file: number and offset.
pub(crate) fn pieces(file: &[u8]) -> Vec<(u32, usize)> {
    const ZEROS: [u8; 4096] = [0; 4096];
    let mut pieces = Vec::new();
    for (index, block) in file.chunks(ZEROS.len()).enumerate() {
        if *block == ZEROS[..block.len()] {
            continue;
        }
        let (mut at, end) = (index * ZEROS.len(), index * ZEROS.len() + block.len());
        while at < end {
            let Some(skip) = file[at..end].iter().position(|byte| *byte == PREFIX[0]) else {
                break;
            };
            at += skip;
            match number_at(&file[at..]) {
                Some(number) => {
                    pieces.push((number, at));
                    at += UNIT;
                }
                None => at += 1,
            }
        }
    }
    pieces
}

fn number_at(bytes: &[u8]) -> Option<u32> {
    let digits = bytes.strip_prefix(PREFIX)?.get(..8)?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[test]
fn footage_is_found_wherever_it_begins() {
    let mut file = vec![0; 3 * 4096];
    file[4090..4090 + 64].copy_from_slice(&footage(7, 64));
    file[9000..9040].copy_from_slice(&footage(0xab, 40));
    let numbers: Vec<u32> = pieces(&file).into_iter().map(|(number, _)| number).collect();
    assert_eq!(numbers, [7, 7, 0xab]);
    assert_ne!(footage(7, 1000)[500..600], footage(7, 1000)[532..632]);
}
