//! The two slots of the STORE file: who the store is, and how far its clock has come.
//!
//! ```text
//! STORE:  0 [ slot of even generations ] 4096 [ slot of odd generations ] 8192
//!
//!  0        8    12 14 16     32      40      48      56     72      80     88    104    112  4096
//! +--------+----+--+--+------+-------+-------+-------+------+-------+------+------+------+-...-+
//! |CLIPSTO.|crc |v |0 |store | gener.|created|high w.| boot | uptime| wall |ledger|lag s.|zeros|
//! +--------+----+--+--+------+-------+-------+-------+------+-------+------+------+------+-...-+
//! ```
//!
//! | offset | size | name              | meaning                                           |
//! |-------:|-----:|-------------------|---------------------------------------------------|
//! |      0 |    8 | magic             | `CLIPSTO\0`                                       |
//! |      8 |    4 | crc               | CRC32 of bytes 12..4096, not salted               |
//! |     12 |    2 | version           | 1                                                 |
//! |     14 |    2 |                   | zero                                              |
//! |     16 |   16 | store             | random id of the store                            |
//! |     32 |    8 | generation        | one more at each write; even: slot 0, odd: slot 1 |
//! |     40 |    8 | created           | when the store was made, µs since 1970            |
//! |     48 |    8 | `high_water`      | trusted time of the write, µs since 1970          |
//! |     56 |   16 | `boot_id`         | the boot during which it was written              |
//! |     72 |    8 | `since_boot_us`   | uptime at the write, µs                           |
//! |     80 |    8 | wall              | wall clock at the write, µs since 1970            |
//! |     88 |    8 | `ledger_position` | how many ledger entries were known to be durable  |
//! |     96 |    4 | `ledger_first`    | number of the file that the ledger begins with    |
//! |    100 |    4 | `ledger_repair`   | files from this number on are of a repair that    |
//! |        |      |                   | does not count yet; 0: there is none              |
//! |    104 |    8 | `lag_since`       | trusted time since which it may lag behind a wall |
//! |        |      |                   | clock that is doubted, µs since 1970; 0: they     |
//! |        |      |                   | agreed                                            |
//! |    112 | 3984 |                   | zeros                                             |
//!
//! A reader may skip nothing. It must reject another magic, a wrong CRC, another version, nonzero
//! reserved bytes, a time outside years 0 to 9999, and a slot whose generation belongs in the other
//! place. A writer must zero the reserved bytes, and must write only the slot that does not count,
//! so that a torn write costs nothing.

use super::block::{self, BLOCK_LEN, Magic};
use super::{BLOCK_BYTES, Damage};
use crate::barrier::Barrier;
use crate::types::Timestamp;

/// The length of the STORE file: two slots, written in turn.
pub(crate) const STORE_BYTES: u64 = 2 * BLOCK_BYTES;

/// Stands for no lag, as in slots that were written before there was the field.
const NO_LAG: Timestamp = Timestamp::EPOCH;

const MAGIC: Magic = *b"CLIPSTO\0";

/// What the STORE file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoreSlot {
    /// The store's own random id.
    pub(crate) store: [u8; 16],
    /// Goes up by one at each write; the valid slot with the higher one counts.
    pub(crate) generation: u64,
    /// When the store was made.
    pub(crate) created: Timestamp,
    /// Trusted time when the slot was written: it never goes below this.
    pub(crate) high_water: Timestamp,
    /// The boot during which it was written.
    pub(crate) boot_id: [u8; 16],
    /// Uptime when it was written.
    pub(crate) since_boot_us: u64,
    /// Wall clock when it was written.
    pub(crate) wall: Timestamp,
    /// How many ledger entries were known to be durable when the slot was written.
    pub(crate) ledger_position: u64,
    /// The number of the file that the ledger begins with. Above 0 it was repaired: the files
    /// before are what is left of the damaged one.
    pub(crate) ledger_first: u32,
    /// Files from this number on are of a repair that does not count yet; 0: there is none.
    pub(crate) ledger_repair: u32,
    /// Trusted time since which it may lag behind a wall clock that is doubted; `None` where the
    /// two agreed.
    pub(crate) lag_since: Option<Timestamp>,
}

impl StoreSlot {
    /// The slot's 4 KiB.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut slot = block::begin(MAGIC);
        slot.put_u16(0);
        slot.put_slice(&self.store);
        slot.put_u64(self.generation);
        slot.put_timestamp(self.created);
        slot.put_timestamp(self.high_water);
        slot.put_slice(&self.boot_id);
        slot.put_u64(self.since_boot_us);
        slot.put_timestamp(self.wall);
        slot.put_u64(self.ledger_position);
        slot.put_u32(self.ledger_first);
        slot.put_u32(self.ledger_repair);
        slot.put_timestamp(self.lag_since.unwrap_or(NO_LAG));
        debug_assert_eq!(slot.len(), 112, "the table above");
        block::seal(slot, crc32fast::hash)
    }

    /// Reads one slot.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        let mut fields = block::open(bytes, MAGIC, Barrier::StoreSlotCrc, crc32fast::hash)?;
        fields.take_zeros(2, "reserved")?;
        let slot = Self {
            store: fields.take_array()?,
            generation: fields.take_u64()?,
            created: fields.take_timestamp("created")?,
            high_water: fields.take_timestamp("high_water")?,
            boot_id: fields.take_array()?,
            since_boot_us: fields.take_u64()?,
            wall: fields.take_timestamp("wall")?,
            ledger_position: fields.take_u64()?,
            ledger_first: fields.take_u32()?,
            ledger_repair: fields.take_u32()?,
            lag_since: Some(fields.take_timestamp("lag_since")?).filter(|since| *since != NO_LAG),
        };
        fields.finish_zeros("reserved")?;
        Ok(slot)
    }

    /// The byte offset of the slot that generation `generation` goes to.
    pub(crate) fn offset(generation: u64) -> u64 {
        (generation % 2) * BLOCK_BYTES
    }

    /// The newest valid slot of a whole STORE file.
    ///
    /// An error if neither is valid (the more telling of the two: `Version` before `Checksum`
    /// before the others), and also if one of them is of an unknown version: its checksum is right,
    /// so a newer build wrote it, and this one must not go on from the older slot.
    pub(crate) fn newest(file: &[u8]) -> Result<Self, Damage> {
        let even = Self::decode_at(file, 0);
        let odd = Self::decode_at(file, BLOCK_LEN);
        match (even, odd) {
            (Err(Damage::Version(version)), _) | (_, Err(Damage::Version(version))) => {
                Err(Damage::Version(version))
            }
            (Ok(even), Ok(odd)) => Ok(if even.generation > odd.generation { even } else { odd }),
            (Ok(slot), Err(_)) | (Err(_), Ok(slot)) => Ok(slot),
            (Err(Damage::Checksum), Err(_)) | (Err(_), Err(Damage::Checksum)) => {
                Err(Damage::Checksum)
            }
            (Err(damage), Err(_)) => Err(damage),
        }
    }

    /// The slot at byte `offset` of a STORE file, if its generation belongs there.
    fn decode_at(file: &[u8], offset: usize) -> Result<Self, Damage> {
        let slot = Self::decode(file.get(offset..).ok_or(Damage::Short)?)?;
        if usize::try_from(Self::offset(slot.generation)) == Ok(offset) {
            Ok(slot)
        } else {
            Err(Damage::Field("generation"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(generation: u64) -> StoreSlot {
        StoreSlot {
            store: [7; 16],
            generation,
            created: Timestamp::from_micros(1),
            high_water: Timestamp::from_micros(2),
            boot_id: [8; 16],
            since_boot_us: 3,
            wall: Timestamp::from_micros(4),
            ledger_position: 5,
            ledger_first: 0,
            ledger_repair: 0,
            lag_since: None,
        }
    }

    fn file(even: &StoreSlot, odd: &StoreSlot) -> Vec<u8> {
        [even.encode(), odd.encode()].concat()
    }

    #[test]
    fn higher_generation_counts() {
        assert_eq!(StoreSlot::newest(&file(&slot(4), &slot(3))), Ok(slot(4)));
        assert_eq!(StoreSlot::newest(&file(&slot(4), &slot(5))), Ok(slot(5)));
    }

    #[test]
    fn torn_slot_costs_only_itself() {
        let mut bytes = file(&slot(4), &slot(5));
        bytes[BLOCK_LEN + 40] ^= 1;
        assert_eq!(StoreSlot::newest(&bytes), Ok(slot(4)));
        assert_eq!(StoreSlot::newest(&bytes[..BLOCK_LEN + 17]), Ok(slot(4)));
        bytes[40] ^= 1;
        assert_eq!(StoreSlot::newest(&bytes), Err(Damage::Checksum));
        assert_eq!(StoreSlot::newest(&[]), Err(Damage::Short));
    }

    #[test]
    fn slot_in_the_other_place_is_rejected() {
        let bytes = file(&slot(5), &slot(4));
        assert_eq!(StoreSlot::newest(&bytes), Err(Damage::Field("generation")));
    }

    #[test]
    fn slot_of_a_newer_build_is_never_passed_over() {
        let mut bytes = file(&slot(4), &slot(5));
        bytes[BLOCK_LEN + 12] = 2;
        let crc = crc32fast::hash(&bytes[BLOCK_LEN + 12..]);
        bytes[BLOCK_LEN + 8..BLOCK_LEN + 12].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(StoreSlot::newest(&bytes), Err(Damage::Version(2)));
    }
}
