//! The promise about old files: tests/golden/v1 holds real bytes of each structure, and every later
//! build must read them. docs/FORMAT.md shows the same bytes.
//!
//! `CLIPKEEP_BLESS=1 cargo test --lib format::golden` writes the files and the examples anew. Do so
//! only when a structure was added: a changed byte of an existing file is a broken promise.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::arbitrary::{
    KEY, LAST_BLOCK, STORE, sample_entries, sample_footer, sample_ledger_header, sample_partition,
    sample_partition_bytes, sample_record, sample_segment_header, sample_slot, sample_trailer,
};
use super::block::BLOCK_LEN;
use super::entry::{Entry, LedgerHeader};
use super::footer::Footer;
use super::merkle;
use super::partition::{self, PartitionHead};
use super::record::RecordHeader;
use super::segment::{SegmentHeader, Trailer};
use super::slot::StoreSlot;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn blessing() -> bool {
    std::env::var_os("CLIPKEEP_BLESS").is_some_and(|value| value == "1")
}

/// The committed bytes of `name`, after writing `encoded` there if asked to.
fn golden(name: &str, encoded: &[u8]) -> Vec<u8> {
    let path = path("tests/golden/v1").join(name);
    if blessing() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, encoded).unwrap();
    }
    std::fs::read(&path).unwrap()
}

#[test]
fn store_slot_of_v1_is_read() {
    let bytes = golden("store-slot.bin", &sample_slot().encode());
    let slot = StoreSlot::decode(&bytes).unwrap();
    assert_eq!(slot, sample_slot());
    assert_eq!(slot.encode(), bytes);
}

#[test]
fn segment_header_of_v1_is_read() {
    let bytes = golden("segment-header.bin", &sample_segment_header().encode());
    let header = SegmentHeader::decode(&bytes).unwrap();
    assert_eq!(header, sample_segment_header());
    assert_eq!(header.encode(), bytes);
}

#[test]
fn record_header_of_v1_is_read() {
    let bytes = golden("record-header.bin", &sample_record().encode(&[0xc0], &KEY, 9));
    let (header, crcs) = RecordHeader::decode(&bytes, &KEY, 9).unwrap();
    assert_eq!((&header, &crcs), (&sample_record(), &vec![0xc0]));
    assert_eq!(header.encode(&crcs, &KEY, 9), bytes);
}

#[test]
fn record_tail_of_v1_is_read() {
    let ends = sample_record().ends(&[0xc0], &KEY, 9);
    let bytes = golden("record-tail.bin", ends.tail());
    let block = [vec![0; BLOCK_LEN - bytes.len()], bytes.clone()].concat();
    let (first, header, crcs) = RecordHeader::decode_tail(&block, &KEY, 9).unwrap();
    assert_eq!((first, &header, &crcs), (9, &sample_record(), &vec![0xc0]));
    assert_eq!(header.ends(&crcs, &KEY, 9).tail(), bytes);
}

#[test]
fn footer_and_trailer_of_v1_are_read() {
    let bytes = golden("trailer.bin", &sample_trailer().encode(&KEY, LAST_BLOCK));
    let trailer = Trailer::decode(&bytes, &KEY, LAST_BLOCK).unwrap();
    assert_eq!(trailer, sample_trailer());
    assert_eq!(trailer.encode(&KEY, LAST_BLOCK), bytes);

    let bytes = golden("footer.bin", &sample_footer().encode(&KEY));
    assert_eq!(KEY.crc(trailer.footer_block(), &bytes), trailer.footer_crc);
    let footer = Footer::decode(&bytes, &KEY).unwrap();
    assert_eq!(footer, sample_footer());
    assert_eq!(footer.encode(&KEY), bytes);
    assert_eq!(footer.root(), trailer.root);
}

#[test]
fn partition_of_index_version_3_is_read() {
    let bytes = golden("partition.idx", &sample_partition_bytes());
    let (rows, parts) = sample_partition();
    let head = PartitionHead::decode(&bytes).unwrap();
    assert_eq!(head.rows, rows);
    assert_eq!(partition::encode(STORE, head.salt, rows, parts), bytes);
}

#[test]
fn ledger_of_v1_is_read_entry_by_entry() {
    let mut encoded = sample_ledger_header().encode();
    for entry in sample_entries() {
        encoded.extend(entry.encode(&STORE));
    }
    let bytes = golden("ledger.log", &encoded);
    assert_eq!(LedgerHeader::decode(&bytes), Ok(sample_ledger_header()));
    assert_eq!(sample_ledger_header().encode(), bytes[..4096]);

    let (mut offset, mut previous) = (4096, [0; 32]);
    for expected in sample_entries() {
        let (entry, len) = Entry::decode(&bytes[offset..], &STORE).unwrap();
        assert_eq!(entry, expected);
        assert_eq!(entry.previous, previous);
        assert_eq!(entry.encode(&STORE), bytes[offset..offset + len]);
        previous = Entry::hash(&bytes[offset..offset + len]);
        offset += len;
    }
    assert_eq!(offset, bytes.len());
}

#[test]
fn proof_survives_a_move_to_another_segment() {
    // The same parts elsewhere: other blocks, another camera directory, other table places.
    let mut moved = sample_footer();
    moved.cameras.insert(0, "attic".parse().unwrap());
    moved.parts.iter_mut().for_each(|part| part.camera += 1);
    moved.records.iter_mut().for_each(|record| record.block += 500);
    assert_eq!(moved.leaves(), sample_footer().leaves());
    assert_eq!(Footer::decode(&moved.encode(&KEY), &KEY).unwrap().root(), sample_footer().root());
}

#[test]
fn leaf_covers_camera_bytes_and_time() {
    let original = sample_footer().leaves();
    let changed = |change: fn(&mut Footer)| {
        let mut footer = sample_footer();
        change(&mut footer);
        footer.leaves()[0] != original[0]
    };
    assert!(changed(|footer| footer.cameras[0] = "lane".parse().unwrap()));
    assert!(changed(|footer| footer.parts[0].digest[31] ^= 1));
    assert!(changed(|footer| footer.parts[0].start = super::arbitrary::time(1)));
    assert!(changed(|footer| footer.chunk_crcs[1] ^= 1));
    assert!(changed(|footer| footer.records[2].payload_bytes = 1));
    assert!(!changed(|footer| footer.parts[1].digest[0] ^= 1), "that is another leaf");
    assert_eq!(sample_footer().root(), merkle::root(&original));
}

#[test]
fn document_has_every_table_of_the_modules() {
    if blessing() {
        return; // another test is writing the document
    }
    let document = std::fs::read_to_string(path("docs/FORMAT.md")).unwrap();
    let rows: std::collections::HashSet<&str> = document.lines().collect();
    let modules = [
        "slot",
        "segment",
        "record",
        "footer",
        "partition",
        "page",
        "page_part",
        "entry",
        "payload",
        "piece",
    ];
    for module in modules {
        let source = std::fs::read_to_string(path(&format!("src/format/{module}.rs"))).unwrap();
        for row in source.lines().filter_map(|line| line.strip_prefix("//! ")) {
            let drawn = row.starts_with(['|', '+']);
            assert!(!drawn || rows.contains(row), "{module}: {row}");
        }
    }
}

/// `bytes` in rows of 16; rows like the one before become one `*`.
fn hex(bytes: &[u8]) -> String {
    let mut out = String::new();
    let mut before: Option<&[u8]> = None;
    let mut starred = false;
    for (row, line) in bytes.chunks(16).enumerate() {
        if before == Some(line) {
            if !starred {
                out.push_str("*\n");
            }
            starred = true;
            continue;
        }
        (before, starred) = (Some(line), false);
        write!(out, "{:04x} ", row * 16).unwrap();
        for byte in line {
            write!(out, " {byte:02x}").unwrap();
        }
        out.push('\n');
    }
    writeln!(out, "{:04x}", bytes.len()).unwrap();
    out
}

#[test]
fn examples_in_the_document_are_real_bytes() {
    let entries = sample_entries();
    let examples = [
        ("store-slot", sample_slot().encode()),
        ("segment-header", sample_segment_header().encode()),
        ("record-header", sample_record().encode(&[0xc0], &KEY, 9)),
        ("record-tail", sample_record().ends(&[0xc0], &KEY, 9).tail().to_vec()),
        ("footer", sample_footer().encode(&KEY)),
        ("trailer", sample_trailer().encode(&KEY, LAST_BLOCK)),
        ("partition-page", sample_partition_bytes()[2 * 4096..3 * 4096].to_vec()),
        ("partition-summaries", sample_partition_bytes()[3 * 4096..].to_vec()),
        ("ledger-header", sample_ledger_header().encode()),
        ("entry", entries[10].encode(&STORE)),
    ];
    let path = path("docs/FORMAT.md");
    let mut document = std::fs::read_to_string(&path).unwrap();
    for (name, bytes) in examples {
        let open = format!("```hex {name}\n");
        let start = document.find(&open).expect(name) + open.len();
        let end = start + document[start..].find("```").expect(name);
        if blessing() {
            document.replace_range(start..end, &hex(&bytes));
            std::fs::write(&path, &document).unwrap();
        } else {
            assert_eq!(document[start..end], hex(&bytes), "{name}");
        }
    }
    assert_eq!(document.matches("```hex ").count(), 10, "every example is checked");
}
