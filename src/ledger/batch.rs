//! Decisions to batches: positions, the chain, and the bytes that are written.
//!
//! Pure. A batch is never longer than what fits into one file: what is to count as a whole and does
//! not fit is refused before anything is written.

use super::scan::{Chain, FILE_LEN, FIRST_FRAME, header};
use crate::format::entry::{Decision, ENTRY_BYTES_MAX, Entry};
use crate::types::{Error, Result, Timestamp};

/// The most bytes of one batch.
pub(super) const BATCH_BYTES_MAX: usize = FILE_LEN - FIRST_FRAME;

const _: () = assert!(ENTRY_BYTES_MAX <= BATCH_BYTES_MAX);

/// A decision that has no position yet.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) at: Timestamp,
    pub(super) decision: Decision,
}

/// Entries that are written at once and count only together.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) entries: Vec<Entry>,
    pub(super) bytes: Vec<u8>,
    start: Chain,
    /// The chain behind them.
    pub(super) end: Chain,
}

impl Batch {
    /// The start of file `number` when this is its first batch.
    pub(super) fn with_header(&self, store: &[u8; 16], number: u32) -> Vec<u8> {
        let mut head = header(store, number, self.start).encode();
        head.extend_from_slice(&self.bytes);
        head
    }

    /// Chains `entries` behind `start`.
    fn new(store: &[u8; 16], start: Chain, mut entries: Vec<Entry>, len: usize) -> Self {
        let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        let mut bytes = Vec::with_capacity(len);
        let mut end = start;
        for entry in &mut entries {
            entry.position = end.position;
            entry.batch_start = start.position;
            entry.batch_count = count;
            entry.previous = end.hash;
            let frame = entry.encode(store);
            end = Chain { position: end.position.saturating_add(1), hash: Entry::hash(&frame) };
            bytes.extend_from_slice(&frame);
        }
        debug_assert_eq!(bytes.len(), len, "places are of fixed width");
        Self { entries, bytes, start, end }
    }
}

/// The batches of `items`, in order, behind `start`, as few as they fit in. The last `together` of
/// the items are in one batch, whatever that takes.
///
/// # Errors
///
/// `InvalidInput` for a decision with a text or list that is too long, and when `together` do not
/// fit into one file.
pub(super) fn seal(
    store: &[u8; 16],
    start: Chain,
    items: &[Item],
    together: usize,
) -> Result<Vec<Batch>> {
    let mut sized = Vec::with_capacity(items.len());
    for item in items {
        let checked = item.decision.check();
        checked.map_err(|damage| Error::invalid("append to ledger").caused_by(damage))?;
        let entry = unplaced(item);
        // The place of an entry is of fixed width, so its length is known before its place.
        let len = entry.encode(store).len();
        sized.push((entry, len));
    }
    let whole = sized.split_off(items.len().saturating_sub(together));
    let whole_len = whole.iter().map(|(_, len)| len).sum::<usize>();
    if whole_len > BATCH_BYTES_MAX {
        let message = format!(
            "append to ledger: decisions of {whole_len} bytes, and {BATCH_BYTES_MAX} count as one"
        );
        return Err(Error::invalid(message));
    }
    let units = sized.into_iter().map(|(entry, len)| (vec![entry], len));
    let whole = whole.into_iter().map(|(entry, _)| entry).collect();
    Ok(pack(store, start, units.chain([(whole, whole_len)])))
}

/// Fills batches with units of entries that stay together, each with its length.
fn pack(
    store: &[u8; 16],
    start: Chain,
    units: impl Iterator<Item = (Vec<Entry>, usize)>,
) -> Vec<Batch> {
    let mut batches = Vec::new();
    let mut chain = start;
    let (mut entries, mut len) = (Vec::new(), 0_usize);
    for (unit, unit_len) in units {
        if len.saturating_add(unit_len) > BATCH_BYTES_MAX {
            let batch = Batch::new(store, chain, std::mem::take(&mut entries), len);
            chain = batch.end;
            batches.push(batch);
            len = 0;
        }
        entries.extend(unit);
        len += unit_len;
    }
    if !entries.is_empty() {
        batches.push(Batch::new(store, chain, entries, len));
    }
    batches
}

fn unplaced(item: &Item) -> Entry {
    Entry {
        position: 0,
        batch_start: 0,
        batch_count: 1,
        at: item.at,
        previous: [0; 32],
        decision: item.decision.clone(),
    }
}
