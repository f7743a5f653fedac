//! What holds for every value of every structure, and for every damage to its bytes.

use proptest::prelude::*;

use super::Damage;
use super::arbitrary::{
    self, KEY, LAST_BLOCK, STORE, sample_entries, sample_footer, sample_ledger_header,
    sample_record, sample_segment_header, sample_slot, sample_trailer,
};
use super::entry::{Entry, LedgerHeader};
use super::footer::Footer;
use super::record::{HEADER_BYTES_MAX, RecordHeader, chunk_count};
use super::segment::{SegmentHeader, Trailer};
use super::slot::StoreSlot;

/// Chunk CRCs of the right number for `record`.
fn crcs(record: &RecordHeader) -> Vec<u32> {
    (0..chunk_count(record.payload_bytes)).collect()
}

/// Every single flipped bit and every truncation of `bytes` must be rejected by `decode`.
fn rejects_every_flip_and_cut<T>(bytes: &[u8], decode: impl Fn(&[u8]) -> Result<T, Damage>) {
    assert!(decode(bytes).is_ok());
    let mut flipped = bytes.to_vec();
    for bit in 0..bytes.len() * 8 {
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(decode(&flipped).is_err(), "bit {bit} flipped");
        flipped[bit / 8] ^= 1 << (bit % 8);
    }
    for len in 0..bytes.len() {
        assert!(decode(&bytes[..len]).is_err(), "cut to {len} bytes");
    }
}

#[test]
fn no_flipped_bit_or_cut_passes_in_a_store_slot() {
    rejects_every_flip_and_cut(&sample_slot().encode(), StoreSlot::decode);
}

#[test]
fn no_flipped_bit_or_cut_passes_in_a_segment_header() {
    rejects_every_flip_and_cut(&sample_segment_header().encode(), SegmentHeader::decode);
}

#[test]
fn no_flipped_bit_or_cut_passes_in_a_trailer() {
    let bytes = sample_trailer().encode(&KEY, LAST_BLOCK);
    rejects_every_flip_and_cut(&bytes, |bytes| Trailer::decode(bytes, &KEY, LAST_BLOCK));
}

#[test]
fn no_flipped_bit_or_cut_passes_in_a_ledger_header() {
    rejects_every_flip_and_cut(&sample_ledger_header().encode(), LedgerHeader::decode);
}

#[test]
fn no_flipped_bit_or_cut_passes_in_an_entry_of_any_kind() {
    for entry in sample_entries() {
        rejects_every_flip_and_cut(&entry.encode(&STORE), |bytes| Entry::decode(bytes, &STORE));
    }
}

#[test]
fn no_flipped_bit_or_cut_passes_in_a_record_header() {
    let record = sample_record();
    let bytes = record.encode(&crcs(&record), &KEY, 9);
    rejects_every_flip_and_cut(&bytes, |bytes| RecordHeader::decode(bytes, &KEY, 9));
}

#[test]
fn no_flipped_bit_passes_in_a_record_tail() {
    let record = sample_record();
    let ends = record.ends(&crcs(&record), &KEY, 9);
    let mut block = [&vec![0; 4096 - ends.tail().len()], ends.tail()].concat();
    assert!(RecordHeader::decode_tail(&block, &KEY, 9).is_ok());
    for bit in (4096 - ends.tail().len()) * 8..4096 * 8 {
        block[bit / 8] ^= 1 << (bit % 8);
        assert!(RecordHeader::decode_tail(&block, &KEY, 9).is_err(), "bit {bit} flipped");
        block[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn no_flipped_bit_or_cut_passes_in_a_footer() {
    // The footer's own CRC is in the trailer; `decode` answers for the rest.
    let trailer = sample_trailer();
    rejects_every_flip_and_cut(&sample_footer().encode(&KEY), |bytes| {
        if KEY.crc(trailer.footer_block(), bytes) == trailer.footer_crc {
            Footer::decode(bytes, &KEY)
        } else {
            Err(Damage::Checksum)
        }
    });
}

#[test]
fn truncated_footer_is_short_even_without_its_crc() {
    let bytes = sample_footer().encode(&KEY);
    for len in 0..bytes.len() {
        assert_eq!(Footer::decode(&bytes[..len], &KEY), Err(Damage::Short), "{len}");
    }
    let longer = [bytes, vec![0; 4096]].concat();
    assert_eq!(Footer::decode(&longer, &KEY), Err(Damage::Field("length")));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn store_slots_come_back(slot in arbitrary::slots()) {
        prop_assert_eq!(StoreSlot::decode(&slot.encode()), Ok(slot));
    }

    #[test]
    fn segment_headers_come_back(header in arbitrary::segment_headers()) {
        prop_assert_eq!(SegmentHeader::decode(&header.encode()), Ok(header));
    }

    #[test]
    fn trailers_come_back(trailer in arbitrary::trailers()) {
        let key = trailer.header.key;
        let bytes = trailer.encode(&key, LAST_BLOCK);
        prop_assert_eq!(Trailer::decode(&bytes, &key, LAST_BLOCK), Ok(trailer.clone()));
        prop_assert_eq!(Trailer::decode_unkeyed(&bytes, LAST_BLOCK), Ok(trailer.clone()));
        prop_assert_eq!(Trailer::decode(&bytes, &key, LAST_BLOCK + 1), Err(Damage::Checksum));
    }

    #[test]
    fn records_come_back(
        record in arbitrary::records(),
        key in arbitrary::keys(),
        payload in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let mut bytes = record.encode(&crcs(&record), &key, LAST_BLOCK);
        prop_assert_eq!(bytes.len(), record.header_bytes());
        prop_assert!(bytes.len() <= HEADER_BYTES_MAX);
        bytes.extend(payload);
        let decoded = RecordHeader::decode(&bytes, &key, LAST_BLOCK);
        prop_assert_eq!(decoded, Ok((record.clone(), crcs(&record))));
        let ends = record.ends(&crcs(&record), &key, LAST_BLOCK);
        let block = [&vec![0; 4096 - ends.tail().len()], ends.tail()].concat();
        let last = LAST_BLOCK + record.blocks() - 1;
        let decoded = RecordHeader::decode_tail(&block, &key, last);
        prop_assert_eq!(decoded, Ok((LAST_BLOCK, record.clone(), crcs(&record))));
    }

    #[test]
    fn footers_come_back(footer in arbitrary::footers(), key in arbitrary::keys()) {
        let bytes = footer.encode(&key);
        let camera_bytes = footer.cameras.iter().map(|camera| camera.as_str().len()).sum();
        let expected = Footer::encoded_bytes(
            footer.parts.len(),
            footer.records.len(),
            footer.chunk_crcs.len(),
            footer.cameras.len(),
            camera_bytes,
        );
        prop_assert_eq!(u64::try_from(bytes.len()), Ok(expected));
        prop_assert_eq!(Footer::decode(&bytes, &key), Ok(footer.clone()));
        let other = super::SegmentKey { segment: key.segment.next(), ..key };
        if other != key {
            prop_assert_eq!(Footer::decode(&bytes, &other), Err(Damage::Field("segment")));
        }
    }

    #[test]
    fn ledger_headers_come_back(number: u32, first_position in 1..u64::MAX, previous: [u8; 32]) {
        let header = LedgerHeader { store: STORE, number, first_position, previous };
        prop_assert_eq!(LedgerHeader::decode(&header.encode()), Ok(header));
    }

    #[test]
    fn entries_come_back(entry in arbitrary::entries(), behind: Vec<u8>) {
        let mut bytes = entry.encode(&STORE);
        let len = bytes.len();
        prop_assert_eq!(len % 8, 0);
        bytes.extend(behind);
        prop_assert_eq!(Entry::decode(&bytes, &STORE), Ok((entry, len)));
    }

    #[test]
    fn damaged_entries_are_rejected(entry in arbitrary::entries(), at: usize, bit in 0..8) {
        let mut bytes = entry.encode(&STORE);
        let at = at % bytes.len();
        bytes[at] ^= 1_u8 << bit;
        prop_assert!(Entry::decode(&bytes, &STORE).is_err());
        prop_assert!(Entry::decode(&bytes[..at], &STORE).is_err());
    }

    #[test]
    fn damaged_footer_never_panics(
        footer in arbitrary::footers(),
        at: usize,
        bytes in prop::collection::vec(any::<u8>(), 1..9),
    ) {
        // What a CRC collision would let through: decode, and use it if it passes.
        let mut damaged = footer.encode(&KEY);
        let at = at % (damaged.len() - bytes.len());
        damaged[at..at + bytes.len()].copy_from_slice(&bytes);
        if let Ok(footer) = Footer::decode(&damaged, &KEY) {
            prop_assert_eq!(footer.encode(&KEY), damaged, "one value has one spelling");
            footer.root();
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        magic in prop::sample::select(vec![
            &b"CLIPSTO\0"[..], b"CLIPSEG\0", b"CLIPEND\0", b"CLIPLED\0", b"CLIPFTR\0\x01\0\0\0",
            b"CLPR", b"CLPE", b"",
        ]),
        bytes in prop::collection::vec(any::<u8>(), 0..5000),
    ) {
        let bytes = [magic, &bytes].concat();
        prop_assert!(StoreSlot::decode(&bytes).is_err());
        prop_assert!(StoreSlot::newest(&bytes).is_err());
        prop_assert!(SegmentHeader::decode(&bytes).is_err());
        prop_assert!(Trailer::decode(&bytes, &KEY, 1).is_err());
        prop_assert!(RecordHeader::decode(&bytes, &KEY, 1).is_err());
        let ended = [&bytes, &b"CLPT"[..], &bytes[..bytes.len().min(4)]].concat();
        let block = &ended[ended.len().saturating_sub(4096)..];
        prop_assert!(RecordHeader::decode_tail(block, &KEY, 1).is_err());
        prop_assert!(Footer::decode(&bytes, &KEY).is_err());
        prop_assert!(LedgerHeader::decode(&bytes).is_err());
        prop_assert!(Entry::decode(&bytes, &STORE).is_err());
    }
}
