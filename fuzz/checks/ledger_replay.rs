//! The ledger after crashes and damage: batches, their two copies, and what is believed of them.
//!
//! Asserts that whatever is shown is a beginning of the history that was written, batch by batch;
//! that damage to one copy costs nothing; that what is missing makes the ledger unreadable rather
//! than shorter; that an unreadable ledger is not written to; and that a repaired one stays so.

use std::io;
use std::sync::Arc;

use super::choices::Choices;
use super::{STORE, index};
use crate::format::entry::{Decision, Entry};
use crate::format::name;
use crate::ledger::{Extent, LEDGER_FILE_BYTES, Ledger, Replay};
use crate::types::{ErrorKind, HoldId, Timestamp};
use crate::vfs::sim::{SimOp, SimVfs};

const BATCHES_MAX: u32 = 8;
const DAMAGE_MAX: usize = 24;
/// Damage goes mostly where the entries are.
const FIRST_FRAME: u64 = 4096;

/// Input: batches, perhaps a failure in the last one, how the power went, then damage to the end.
pub fn check(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mut written = Written::new(u64::from(choices.u8()));
    for _ in 0..choices.below(BATCHES_MAX) {
        written.append(&mut choices);
    }
    let how = choices.u8();
    if how & 1 != 0 {
        written.append_and_fail(&mut choices);
    }
    let disk = if how & 2 != 0 { written.disk.crash() } else { written.disk.clone() };
    let (damaged, bad_sectors) = damage(&disk, &mut choices);
    // Damage to one copy costs nothing while the other had every batch.
    let harmless = damaged != [true, true] && (damaged == [false, false] || !written.failed);
    let known = if how & 4 != 0 { written.acknowledged } else { 0 };
    let before = disk.stats().bytes_written;
    let first = open(&disk, known, how & 8 == 0);
    written.check_shown(&first.shown);
    if harmless {
        assert_eq!(first.replay.unreadable, None, "one sound copy is enough");
        assert!(first.len() >= written.acknowledged, "an acknowledged decision is gone");
    }
    if first.len() < known {
        assert!(first.replay.unreadable.is_some(), "a shorter history passes for a whole one");
    }
    if first.replay.unreadable.is_some() || how & 8 != 0 {
        let appended = { first.ledger }.append(at(9), vec![ended(9)]);
        let kind = appended.unwrap_err().kind();
        assert!(matches!(kind, ErrorKind::Corrupt | ErrorKind::ReadOnly), "{kind:?}");
        assert_eq!(disk.stats().bytes_written, before, "written to all the same");
        return;
    }
    goes_on(&disk, first, how & 16 != 0, bad_sectors);
}

/// A ledger that was opened whole and repaired: nothing is left to repair, and it goes on.
fn goes_on(disk: &SimVfs, first: Opened, thoroughly: bool, bad_sectors: bool) {
    let sound = first.replay.problems.is_empty() && !bad_sectors;
    let shown = first.shown.clone();
    drop(first);
    let again = open(disk, 0, true);
    assert_eq!(again.shown, shown, "opening again shows something else");
    if sound {
        assert!(again.replay.repairs.is_empty(), "repaired again: {:?}", again.replay.repairs);
        let faults = again.ledger.snapshot().verify(&mut || None::<()>, &mut |_, _| ()).unwrap();
        assert!(faults.is_empty(), "verify after repair: {faults:?}");
    }
    if !thoroughly {
        // Most inputs are for the reading; this is slow.
        return;
    }
    let Opened { mut ledger, .. } = again;
    ledger.append(at(9), vec![ended(77), ended(78)]).expect("a readable ledger goes on");
    drop(ledger);
    let after = open(&disk.crash(), 0, true);
    assert_eq!(after.replay.unreadable, None);
    assert_eq!(after.shown, [&shown[..], &[ended(77), ended(78)]].concat());
}

fn at(us: i64) -> Timestamp {
    Timestamp::from_micros(us)
}

fn ended(hold: u64) -> Decision {
    Decision::HoldEnded { hold: HoldId(hold) }
}

/// The ledger as it was written, and what was acknowledged of it.
struct Written {
    disk: SimVfs,
    ledger: Ledger,
    /// Every decision in order, those of an append that failed included.
    history: Vec<Decision>,
    /// Lengths of the history at which a batch ends.
    ends: Vec<u64>,
    acknowledged: u64,
    /// A write or sync failed, so that a copy may be behind.
    failed: bool,
    /// The bytes of an entry, as a payload could have them too.
    frame: Vec<u8>,
}

impl Written {
    fn new(seed: u64) -> Self {
        let disk = SimVfs::new(seed);
        let ledger = Ledger::create(Arc::new(disk.clone()), STORE, at(1), Vec::new()).unwrap();
        let history = vec![Decision::StoreMade { store: STORE }];
        let decision = ended(5);
        let entry = Entry {
            position: 1,
            batch_start: 1,
            batch_count: 1,
            at: at(1),
            previous: [7; 32],
            decision,
        };
        let frame = entry.encode(&STORE);
        Self { disk, ledger, history, ends: vec![1], acknowledged: 1, failed: false, frame }
    }

    fn decisions(&self, choices: &mut Choices<'_>) -> Vec<Decision> {
        (0..=choices.below(6)).map(|_| self.decision(choices)).collect()
    }

    fn decision(&self, choices: &mut Choices<'_>) -> Decision {
        match choices.below(8) {
            0..=3 => ended(choices.u8().into()),
            4 => Decision::Application { kind: 1, bytes: choices.bytes(40).to_vec() },
            // A payload that has entries in it.
            5 => Decision::Application { kind: 2, bytes: self.frame.repeat(3) },
            // One over the ends of blocks, and one that few files have room for.
            6 => Decision::Application { kind: 3, bytes: vec![choices.u8(); 9000] },
            _ => Decision::Application { kind: 4, bytes: vec![7; 140_000] },
        }
    }

    fn append(&mut self, choices: &mut Choices<'_>) {
        if choices.flag() {
            let decision = self.decision(choices);
            self.ledger.defer(at(2), decision.clone());
            self.history.push(decision);
        }
        let decisions = self.decisions(choices);
        self.history.extend(decisions.clone());
        let entries = self.ledger.append(at(3), decisions.clone()).unwrap();
        assert_eq!(entries.len(), decisions.len());
        self.acknowledged = self.ledger.durable_position();
        assert_eq!(index(self.acknowledged), self.history.len());
        self.note_ends(entries.last().map_or(0, |entry| entry.batch_start));
    }

    /// An append as long as a file becomes several batches: each of them may be the last.
    fn note_ends(&mut self, last_start: u64) {
        self.ends.push(last_start);
        self.ends.push(self.acknowledged);
    }

    fn append_and_fail(&mut self, choices: &mut Choices<'_>) {
        let op =
            [SimOp::Write, SimOp::Sync, SimOp::SyncDir, SimOp::Create][index(choices.below(4))];
        let nth = u64::from(1 + choices.below(4));
        if choices.flag() {
            self.disk.fail_from(op, nth, io::ErrorKind::Other);
        } else {
            self.disk.fail_after(op, nth, io::ErrorKind::Other);
        }
        let decisions = self.decisions(choices);
        self.history.extend(decisions.clone());
        match self.ledger.append(at(4), decisions) {
            Ok(entries) => {
                self.acknowledged = self.ledger.durable_position();
                self.note_ends(entries.last().map_or(0, |entry| entry.batch_start));
            }
            Err(_) => self.ends.push(u64::try_from(self.history.len()).unwrap()),
        }
        self.failed = true;
        self.disk.clear_faults();
    }

    /// What was shown is a beginning of the history, up to the end of a batch.
    fn check_shown(&self, shown: &[Decision]) {
        assert_eq!(self.history.get(..shown.len()), Some(shown), "a history nobody wrote");
        let len = u64::try_from(shown.len()).unwrap();
        let last = self.ends.last().copied().unwrap_or(0);
        // The batches of a long append have ends that only the ledger knows.
        let whole = self.ends.contains(&len) || len == 0 || self.history.len() > index(last);
        assert!(whole || self.is_split(), "a batch of which only a part is shown");
    }

    /// Whether an append was so long that it became several batches.
    fn is_split(&self) -> bool {
        let long = |d: &&Decision| matches!(d, Decision::Application { kind: 4, .. });
        self.history.iter().filter(long).count() > 4
    }
}

/// Damages the files of both copies; says which of them, and whether there are sectors that no
/// repair heals.
fn damage(disk: &SimVfs, choices: &mut Choices<'_>) -> ([bool; 2], bool) {
    let (mut damaged, mut bad_sectors) = ([false, false], false);
    for _ in 0..DAMAGE_MAX {
        if choices.is_empty() {
            break;
        }
        let how = choices.u8();
        let copy = usize::from(how & 1);
        let dir = [name::LEDGER_A, name::LEDGER_B][copy];
        let path = name::ledger(dir, u32::from(how >> 1 & 1));
        let offset = match how >> 2 & 3 {
            0 => u64::from(choices.u16()),
            1 => u64::from(choices.u32()) % LEDGER_FILE_BYTES,
            _ => FIRST_FRAME + u64::from(choices.u8()) * 4,
        };
        match how >> 4 & 7 {
            0..=4 => disk.corrupt(&path, offset, choices.u8().max(1)),
            5 => (0..16 * u64::from(choices.u8()))
                .for_each(|n| disk.corrupt(&path, offset + n, 0x55)),
            6 => {
                bad_sectors = true;
                disk.bad_sector(&path, offset..offset + 1 + u64::from(choices.u16()));
            }
            _ => {
                use crate::vfs::Vfs as _;
                // A file that is not there is as gone as one that was removed.
                disk.remove(&path).ok();
            }
        }
        damaged[copy] = true;
    }
    (damaged, bad_sectors)
}

struct Opened {
    ledger: Ledger,
    replay: Replay,
    shown: Vec<Decision>,
}

impl Opened {
    fn len(&self) -> u64 {
        u64::try_from(self.shown.len()).unwrap()
    }
}

fn open(disk: &SimVfs, known_durable: u64, writable: bool) -> Opened {
    let mut shown = Vec::new();
    let mut visit = |entry: &Entry| {
        assert_eq!(index(entry.position), shown.len(), "in order, none twice");
        shown.push(entry.decision.clone());
    };
    let vfs = Arc::new(disk.clone());
    let extent = Extent { known_durable, ..Extent::default() };
    let opened = Ledger::open(vfs, STORE, extent, writable, &mut visit);
    let (ledger, replay) = opened.expect("both folders can be listed");
    assert_eq!(index(replay.entries), shown.len());
    Opened { ledger, replay, shown }
}
