//! The STORE file: which of its two slots counts.
//!
//! Asserts that what is read is what stands there under a right CRC, that the newest valid slot
//! counts, and that a newer build's slot is never passed over.

use super::choices::Choices;
use super::{BLOCK_LEN, put, u32_at};
use crate::format::Damage;
use crate::format::slot::StoreSlot;

const MAGIC: &[u8; 8] = b"CLIPSTO\0";
/// Where the fields of a slot begin and end.
const FIELDS: std::ops::Range<usize> = 12..96;
#[cfg(test)]
const GENERATION: usize = 32;

/// Input: how (bit 0: the even slot gets a right CRC, bit 1: the odd one), the fields of the even
/// and of the odd slot, then `offset xor` three bytes each, and a cut: damage done afterwards.
pub fn check(data: &[u8]) {
    let mut choices = Choices::new(data);
    let how = choices.u8();
    let mut file = [half(&mut choices, how & 1 != 0), half(&mut choices, how & 2 != 0)].concat();
    if how & 4 != 0 {
        file.truncate(usize::from(choices.u16()));
    }
    while !choices.is_empty() {
        let (at, xor) = (usize::from(choices.u16()), choices.u8());
        if let Some(byte) = file.get_mut(at) {
            *byte ^= xor;
        }
    }
    let slots = [0, BLOCK_LEN].map(|at| one(file.get(at..).unwrap_or_default()));
    newest(&file, &slots);
    let raw = data.get(1..).unwrap_or_default();
    let slots = [0, BLOCK_LEN].map(|at| one(raw.get(at..).unwrap_or_default()));
    newest(raw, &slots);
}

/// One slot with the chosen fields.
fn half(choices: &mut Choices<'_>, whole: bool) -> Vec<u8> {
    let mut slot = vec![0; BLOCK_LEN];
    put(&mut slot, 0, MAGIC);
    put(&mut slot, FIELDS.start, choices.bytes(FIELDS.len()));
    if whole {
        let crc = crc32fast::hash(&slot[FIELDS.start..]);
        put(&mut slot, 8, &crc.to_le_bytes());
    }
    slot
}

/// What one slot is read as.
fn one(bytes: &[u8]) -> Result<StoreSlot, Damage> {
    let decoded = StoreSlot::decode(bytes);
    let whole = bytes.len() >= BLOCK_LEN
        && bytes.starts_with(MAGIC)
        && crc32fast::hash(&bytes[FIELDS.start..BLOCK_LEN]) == u32_at(bytes, 8);
    match &decoded {
        Ok(slot) => {
            assert!(whole, "read without a right CRC");
            assert_eq!(slot.encode(), bytes[..BLOCK_LEN], "one value has one spelling");
        }
        Err(Damage::Field(_)) => assert!(whole, "a field of what is not a slot"),
        Err(Damage::Version(version)) => {
            assert!(whole && *version != 1 && bytes[12..14] == version.to_le_bytes());
        }
        Err(Damage::Short | Damage::Magic | Damage::Checksum) => {
            assert!(!whole, "a whole slot is refused");
        }
    }
    decoded
}

fn newest(file: &[u8], slots: &[Result<StoreSlot, Damage>; 2]) {
    let newer = slots.iter().any(|slot| matches!(slot, Err(Damage::Version(_))));
    let in_place = |(place, slot): (u64, &Result<StoreSlot, Damage>)| {
        slot.as_ref().ok().filter(|slot| slot.generation % 2 == place).cloned()
    };
    let best = (0..).zip(slots).filter_map(in_place).max_by_key(|slot| slot.generation);
    match (StoreSlot::newest(file), newer, best) {
        (Err(Damage::Version(_)), true, _) | (Err(_), false, None) => {}
        (found, true, _) => panic!("a newer build's slot is passed over: {found:?}"),
        (Ok(slot), false, Some(best)) => {
            assert_eq!(slot, best);
            // The next write goes to the other place, and counts from then on.
            let next = StoreSlot::offset(slot.generation.wrapping_add(1));
            assert_ne!(StoreSlot::offset(slot.generation), next);
        }
        (found, false, best) => panic!("{found:?} where {best:?} stands"),
    }
}

/// A STORE file's input whose two slots have these generations.
#[cfg(test)]
pub(super) fn input(how: u8, even: u64, odd: u64) -> Vec<u8> {
    let slot = |generation: u64| {
        let mut fields = [0; FIELDS.end];
        fields[12] = 1;
        put(&mut fields, GENERATION, &generation.to_le_bytes());
        fields[FIELDS].to_vec()
    };
    [vec![how], slot(even), slot(odd)].concat()
}
