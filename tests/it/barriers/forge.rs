//! Bytes that a checksum cannot tell from the right ones: made by somebody with the disk in hand,
//! or by chance.

use clipkeep::vfs::sim::SimVfs;

use super::kit::{overwrite, places};

const BLOCK: usize = 4096;

/// CRC32 as everybody computes it.
pub(super) fn crc32(bytes: &[&[u8]]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 }
        })
    };
    !bytes.iter().copied().flatten().fold(!0, step)
}

/// The key of a segment: the ids of store and segment and its salt, in the order of the checksums.
pub(super) fn key_of(segment: &[u8]) -> Vec<u8> {
    [&segment[32..48], &segment[28..32], &segment[48..64]].concat()
}

/// Puts `crc` under the bytes of a block that it must match.
pub(super) fn salted(key: &[u8], block: usize, bytes: &[u8]) -> [u8; 4] {
    let block = u32::try_from(block).unwrap().to_le_bytes();
    crc32(&[key, &block, bytes]).to_le_bytes()
}

/// Changes the first byte of the clip that begins with `bytes` in an open segment, and makes every
/// checksum right again.
pub(super) fn swap_a_byte(disk: &SimVfs, path: &str, bytes: &[u8]) {
    let segment = disk.contents(path).unwrap();
    let payload = places(&segment, bytes)[0];
    let start = payload - payload % BLOCK;
    let mut record = segment[start..payload + bytes.len()].to_vec();
    let header_bytes = payload - start;
    record[header_bytes] ^= 1;
    let (right, wrong) = (crc32(&[bytes]).to_le_bytes(), crc32(&[&record[header_bytes..]]));
    let at = places(&record[..header_bytes], &right)[0];
    record[at..at + 4].copy_from_slice(&wrong.to_le_bytes());
    let crc = salted(&key_of(&segment), start / BLOCK, &record[8..header_bytes]);
    record[4..8].copy_from_slice(&crc);
    overwrite(disk, path, start, &record);
}

/// Bits that can be flipped anywhere in a message without changing its CRC32: the generator itself,
/// in the order in which the bits count.
pub(super) fn invisible() -> [u8; 5] {
    const GENERATOR: u64 = 0x1_04C1_1DB7;
    let mut pattern = [0; 5];
    for place in 0..33 {
        let bit = u8::from(GENERATOR >> (32 - place) & 1 == 1);
        pattern[place / 8] |= bit << (place % 8);
    }
    pattern
}

#[test]
fn an_invisible_change_keeps_the_checksum() {
    assert_eq!(crc32(&[b"123456789"]), 0xCBF4_3926);
    let before = [7; 64];
    let mut after = before;
    for (byte, bits) in after[20..].iter_mut().zip(invisible()) {
        *byte ^= bits;
    }
    assert_ne!(before, after);
    assert_eq!(crc32(&[&before]), crc32(&[&after]));
}
