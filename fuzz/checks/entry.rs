//! Ledger entries and the headers of ledger files.
//!
//! Asserts that an entry is read only under its right CRC and in its one spelling, that no cut or
//! flipped byte of it passes, and that no length in it is believed before it is checked.

use super::choices::Choices;
use super::{BLOCK_LEN, STORE, index, memory, put, u32_at};
use crate::format::Damage;
use crate::format::entry::{ENTRY_BYTES_MAX, Entry, LedgerHeader};

const MAGIC: &[u8; 4] = b"CLPE";
const HEADER_MAGIC: &[u8; 8] = b"CLIPLED\0";
/// What stands before the payload, and where in it the payload's length is.
const FRAME_BYTES: usize = 80;
const LENGTH: std::ops::Range<usize> = 60..64;
/// How an input is taken.
const AS_IT_IS: u8 = 0;
const FORGED: u8 = 1;
const LYING: u8 = 2;

/// Input: how, then an entry as it stands on disk; or, forged, the frame from byte 8 on and the
/// payload, which get magic, length and CRC (`LYING` keeps the length they claim); or the fields of
/// a file's header.
pub fn check(data: &[u8]) {
    let mut choices = Choices::new(data);
    match choices.u8() % 4 {
        AS_IT_IS => one(choices.rest()),
        FORGED => one(&forged(choices.rest(), false)),
        LYING => one(&forged(choices.rest(), true)),
        _ => header(&mut choices),
    }
}

/// An entry of these bytes with a right CRC.
fn forged(fields: &[u8], lying: bool) -> Vec<u8> {
    let mut bytes = vec![0; (8 + fields.len()).max(FRAME_BYTES)];
    put(&mut bytes, 0, MAGIC);
    put(&mut bytes, 8, fields);
    if !lying {
        let payload_bytes = u32::try_from(bytes.len() - FRAME_BYTES).unwrap();
        put(&mut bytes, LENGTH.start, &payload_bytes.to_le_bytes());
    }
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    let end = entry_bytes(&bytes).min(bytes.len());
    let crc = salted_crc(&bytes[8..end]);
    put(&mut bytes, 4, &crc.to_le_bytes());
    bytes
}

/// How long the entry at the start of `bytes` says it is.
fn entry_bytes(bytes: &[u8]) -> usize {
    let payload_bytes = index(u32_at(bytes, LENGTH.start));
    (FRAME_BYTES + payload_bytes).next_multiple_of(8)
}

fn salted_crc(body: &[u8]) -> u32 {
    crc32fast::hash(&[&STORE[..], body].concat())
}

fn one(bytes: &[u8]) {
    let most = memory::for_reading(bytes.len());
    let (entry, len) = match memory::within(most, || Entry::decode(bytes, &STORE)) {
        Ok(decoded) => decoded,
        Err(Damage::Version(_) | Damage::Field(_)) => {
            // Both stop the ledger, so neither may be said of a torn or foreign write.
            let end = entry_bytes(bytes);
            assert_eq!(salted_crc(&bytes[8..end]), u32_at(bytes, 4), "said without a right CRC");
            return;
        }
        Err(Damage::Short | Damage::Magic | Damage::Checksum) => return,
    };
    assert!(len <= ENTRY_BYTES_MAX && len == entry_bytes(bytes));
    let whole = &bytes[..len];
    assert_eq!(salted_crc(&whole[8..]), u32_at(whole, 4), "read without a right CRC");
    assert_eq!(entry.encode(&STORE), whole, "one value has one spelling");
    assert_eq!(Entry::decode(whole, &STORE), Ok((entry.clone(), len)), "what is behind counts");
    assert!(entry.batch_start <= entry.position && entry.position < entry.batch_end());
    assert!(Entry::decode(&whole[..len - 1], &STORE).is_err(), "cut short");
    let mut other = STORE;
    other[0] ^= 1;
    assert_eq!(Entry::decode(whole, &other), Err(Damage::Checksum), "of another store");
    flipped(whole);
}

/// A flipped byte passes nowhere; those of the length change what the CRC is over.
fn flipped(whole: &[u8]) {
    let seed = index(u32_at(whole, 4));
    let mut damaged = whole.to_vec();
    for at in (0..whole.len()).skip(seed % 7).step_by(7).filter(|at| !LENGTH.contains(at)) {
        damaged[at] ^= 0x10;
        assert!(Entry::decode(&damaged, &STORE).is_err(), "byte {at} flipped");
        damaged[at] ^= 0x10;
    }
}

fn header(choices: &mut Choices<'_>) {
    let mut bytes = vec![0; BLOCK_LEN];
    put(&mut bytes, 0, HEADER_MAGIC);
    put(&mut bytes, 12, choices.bytes(BLOCK_LEN - 12));
    let crc = crc32fast::hash(&bytes[12..]);
    put(&mut bytes, 8, &crc.to_le_bytes());
    let decoded = LedgerHeader::decode(&bytes);
    if let Ok(header) = &decoded {
        assert_eq!(header.encode(), bytes, "one value has one spelling");
    }
    bytes[12 + index(crc) % (BLOCK_LEN - 12)] ^= 1;
    assert_eq!(LedgerHeader::decode(&bytes), Err(Damage::Checksum));
}

/// The input that is this entry, forged anew at each mutation.
#[cfg(test)]
pub(super) fn input(entry: &Entry) -> Vec<u8> {
    let bytes = entry.encode(&STORE);
    let payload_bytes = index(u32_at(&bytes, LENGTH.start));
    [&[FORGED], &bytes[8..FRAME_BYTES + payload_bytes]].concat()
}

/// The same with the length that it claims.
#[cfg(test)]
pub(super) fn lying_input(entry: &Entry, payload_bytes: u32) -> Vec<u8> {
    let mut input = input(entry);
    input[0] = LYING;
    put(&mut input, 1 + LENGTH.start - 8, &payload_bytes.to_le_bytes());
    input
}

/// The input that is the header of a ledger file.
#[cfg(test)]
pub(super) fn header_input(header: &LedgerHeader) -> Vec<u8> {
    [&[3], &header.encode()[12..96]].concat()
}
