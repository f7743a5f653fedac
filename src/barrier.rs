//! The names of what stands between a fault and the footage: every sync, every checksum test and
//! every hold check of the engine.
//!
//! Each name stands at one place of the code, in the file that its row says; a test over the
//! sources enforces it. With the feature `mutation`, which only the tests use, a thread can switch
//! barriers off for itself: a sync is then skipped, a test passes. `tests/it/barriers.rs` does that
//! to each in turn and requires that something notices. Without the feature a barrier is what it
//! guards and nothing else. Never decides anything.

#![cfg_attr(
    not(feature = "mutation"),
    expect(unreachable_pub, reason = "the names are public to the tests of the barriers alone")
)]

/// Declares the barriers: the name, its kind, and the one file in which it stands.
macro_rules! barriers {
    ($($(#[$doc:meta])+ $name:ident: $kind:ident in $file:literal,)+) => {
        /// One barrier.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Barrier {
            $($(#[$doc])+ $name,)+
        }

        #[cfg(feature = "mutation")]
        impl Barrier {
            /// All of them, in the order of the layers.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// What it does.
            #[must_use]
            pub const fn kind(self) -> Kind {
                match self { $(Self::$name => Kind::$kind,)+ }
            }

            /// The source file in which it stands.
            #[must_use]
            pub const fn file(self) -> &'static str {
                match self { $(Self::$name => $file,)+ }
            }
        }
    };
}

barriers! {
    /// What stands in a STORE slot is what was written there.
    StoreSlotCrc: Checksum in "src/format/slot.rs",
    /// The same of a segment's header.
    SegmentHeaderCrc: Checksum in "src/format/segment.rs",
    /// The same of a segment's trailer.
    TrailerCrc: Checksum in "src/format/segment.rs",
    /// The same of a record's header.
    RecordHeaderCrc: Checksum in "src/format/record.rs",
    /// The salt of a segment counts in its checksums: no record of an earlier use of the space.
    SaltInCrc: Checksum in "src/format/mod.rs",
    /// The block counts in checksums: no record that was written to a wrong place.
    BlockInCrc: Checksum in "src/format/mod.rs",
    /// What stands in the header of a ledger file is what was written there.
    LedgerHeaderCrc: Checksum in "src/format/entry.rs",
    /// The same of a ledger entry.
    LedgerEntryCrc: Checksum in "src/format/entry.rs",
    /// What stands in the head of a partition of the index is what was written there.
    IndexHeadCrc: Checksum in "src/format/partition.rs",
    /// The same of one of its pages.
    IndexPageCrc: Checksum in "src/format/page.rs",

    /// The records of a group, before their writers are told.
    CommitSync: Sync in "src/log/leader.rs",
    /// Records that were acknowledged as buffered, before `Store::sync` returns.
    OpenSegmentSync: Sync in "src/log/leader.rs",
    /// Footer and trailer, before the seal is put on record.
    SealSync: Sync in "src/log/seal.rs",
    /// An evidence segment, before the move into it is put on record.
    EvidenceSync: Sync in "src/log/seal.rs",
    /// A record that was not acknowledged counts only if its payload is whole.
    ScannedChunkCrc: Checksum in "src/log/scan.rs",
    /// A footer is the one that its trailer vouches for.
    FooterCrc: Checksum in "src/log/found.rs",
    /// A segment is of this store, and the one that its name says.
    SegmentOwner: Checksum in "src/log/found.rs",
    /// A chunk that is handed out is the one that was recorded.
    ChunkCrc: Checksum in "src/log/segment.rs",

    /// A batch in copy a, before copy b is touched.
    LedgerSyncA: Sync in "src/ledger/copy.rs",
    /// A batch in copy b, before the decision is acted upon.
    LedgerSyncB: Sync in "src/ledger/copy.rs",
    /// A ledger file that is set aside.
    LedgerAllocateSync: Sync in "src/ledger/copy.rs",
    /// Its name.
    LedgerAllocateDirSync: Sync in "src/ledger/copy.rs",
    /// The name of a file that an earlier process set aside, when the ledger goes on in it.
    LedgerRollDirSync: Sync in "src/ledger/copy.rs",
    /// What a killed process left in memory of the ledger, before anybody acts on it.
    LedgerResumeSync: Sync in "src/ledger/copy.rs",
    /// The names of ledger files that it left.
    LedgerResumeDirSync: Sync in "src/ledger/copy.rs",
    /// The folders of the copies.
    LedgerFolderSync: Sync in "src/ledger/copy.rs",
    /// A file that was made again from the other copy.
    LedgerRebuildSync: Sync in "src/ledger/copy.rs",
    /// A file that was repaired from the other copy, before that one is touched.
    LedgerRepairSync: Sync in "src/ledger/copy.rs",
    /// No entry is missing before one that was made when it was durable.
    LedgerGap: Checksum in "src/ledger/scan.rs",
    /// An entry names the one before it.
    LedgerChain: Checksum in "src/ledger/scan.rs",
    /// Of two different entries at one place, that counts whose batch goes on in the chain.
    LedgerCopyChain: Checksum in "src/ledger/scan.rs",
    /// No entry may stand where neither copy can be read.
    LedgerBothLost: Checksum in "src/ledger/replay.rs",
    /// The ledger has as many entries as the STORE file knows of.
    LedgerLength: Checksum in "src/ledger/replay.rs",

    /// In a repair: where the copies tell of different entries, neither is believed.
    SalvageCopies: Checksum in "src/ledger/salvage.rs",
    /// Nor is an entry that the one behind it does not follow.
    SalvageLink: Checksum in "src/ledger/salvage.rs",
    /// What does not follow from the entry before it is behind the loss.
    SalvageChain: Checksum in "src/ledger/salvage.rs",
    /// So is a batch of which the end is lost.
    SalvageWhole: Checksum in "src/ledger/salvage.rs",
    /// Behind the loss a batch frees or removes something only if all of it was found.
    SalvageBatch: Checksum in "src/ledger/salvage.rs",

    /// The folders of a new store, before its STORE file is there.
    FoldersSync: Sync in "src/store/folder.rs",
    /// The STORE file of a new store, before it gets its name.
    StoreFileSync: Sync in "src/store/folder.rs",
    /// The name of that file, before anything is recorded.
    StoreNameSync: Sync in "src/store/folder.rs",
    /// The names that a killed process left in memory, before anything hangs on them.
    FoundNamesSync: Sync in "src/store/folder.rs",
    /// Trusted time.
    StoreSlotSync: Sync in "src/store/time.rs",
    /// The header of a new segment, before the file gets its name.
    HeaderSync: Sync in "src/store/space.rs",
    /// The name of a new segment, before a record goes in.
    SegmentNameSync: Sync in "src/store/space.rs",
    /// That it has its old name no more.
    SegmentOldNameSync: Sync in "src/store/space.rs",
    /// The space of a reserve.
    ReserveSync: Sync in "src/store/space.rs",
    /// Its name.
    ReserveNameSync: Sync in "src/store/space.rs",
    /// A footer that a killed process left in memory, before the seal is put on record.
    FoundSealSync: Sync in "src/log/resume.rs",
    /// Torn records that are wiped, and whole ones that a killed process left in memory.
    WipeSync: Sync in "src/log/resume.rs",
    /// That a segment is gone, before the drop is put on record.
    DropSync: Sync in "src/store/gate.rs",
    /// That it is in `spare/` now, before it is zeroed: no segment is ever found zeroed.
    ReuseNameSync: Sync in "src/store/gate.rs",
    /// That it is all zeros, before the drop is put on record.
    ReuseZeroSync: Sync in "src/store/gate.rs",
    /// That one which could not be zeroed is gone from `spare/` too.
    ReuseGoneSync: Sync in "src/store/reuse.rs",
    /// That the bytes of clips are gone, before the erasure is put on record.
    PunchSync: Sync in "src/store/gate.rs",

    /// A sealed segment is the one that was put on record.
    RootAtOpening: Checksum in "src/store/open.rs",
    /// A row of the index is of the segment that was put on record.
    RootInIndex: Checksum in "src/store/partitions.rs",
    /// A footer is written again only if it is the one that was put on record.
    RootAtResealing: Checksum in "src/store/open.rs",
    /// A sealed segment is still the one that was put on record.
    RootAtVerifying: Checksum in "src/store/verify.rs",
    /// The header of a record is still the one that was written.
    RecordAtVerifying: Checksum in "src/store/verify.rs",
    /// The bytes of a clip are those that arrived.
    DigestAtVerifying: Checksum in "src/store/verify.rs",
    /// The copy of held clips has a footer.
    CopyFooter: Checksum in "src/store/relocate.rs",
    /// The copy of a held clip has the records and checksums of its source.
    CopyRecords: Checksum in "src/store/relocate.rs",
    /// It has the bytes of its source.
    CopyBytes: Checksum in "src/store/relocate.rs",
    /// They are those that arrived.
    CopyDigest: Checksum in "src/store/relocate.rs",

    /// A plan tells which clips of a segment are held.
    PlanHolds: Hold in "src/store/sweep.rs",
    /// An expiry spares the clips that a hold covers when it is put on record.
    ExpiryHolds: Hold in "src/store/sweep.rs",
    /// So does the expiry of single clips.
    EvidenceHolds: Hold in "src/store/sweep.rs",
    /// Only what is gone is punched out of a segment that stays.
    PunchNeeded: Hold in "src/store/sweep.rs",
    /// Nobody reads what is punched out.
    PunchLease: Hold in "src/store/sweep.rs",
    /// An expiry found on record at opening spared what a hold covered then.
    ReplayHolds: Hold in "src/store/history.rs",
    /// Nothing is removed while the ledger cannot be read.
    GateLedger: Hold in "src/store/gate.rs",
    /// No file is removed that has a clip which can be read.
    GateFile: Hold in "src/store/gate.rs",
    /// No clip is punched out that can be read.
    GateClips: Hold in "src/store/gate.rs",
    /// What began in a file that could not be opened is not gone.
    GateUnopened: Hold in "src/store/catalog.rs",
    /// An owner does not delete what a hold covers.
    DeleteHolds: Hold in "src/store/delete.rs",
    /// An owner does not end an order.
    DeleteOrders: Hold in "src/store/delete.rs",
    /// A clip that was deleted while it was copied does not live on in its copy.
    MoveDeleted: Hold in "src/store/relocate.rs",
    /// That the files of a repair do not count yet, before the first is there.
    RepairMark: Sync in "src/store/repair.rs",
    /// Everything is held for the holds that may be lost, before what was found behind the loss.
    RepairHolds: Hold in "src/store/repair.rs",

    /// A private record, before it gets its name.
    #[cfg_attr(not(feature = "requests"), expect(dead_code, reason = "of that feature"))]
    RecordSync: Sync in "src/requests/private.rs",
    /// Its name, before the ledger commits to it.
    #[cfg_attr(not(feature = "requests"), expect(dead_code, reason = "of that feature"))]
    RecordNameSync: Sync in "src/requests/private.rs",
    /// That a destroyed record is gone, before anybody is told so.
    #[cfg_attr(not(feature = "requests"), expect(dead_code, reason = "of that feature"))]
    RecordGoneSync: Sync in "src/requests/private.rs",
    /// A private record is what the ledger committed to.
    #[cfg_attr(not(feature = "requests"), expect(dead_code, reason = "of that feature"))]
    RecordCommitment: Checksum in "src/requests/private.rs",
}

impl Barrier {
    /// Makes something durable.
    #[inline]
    pub(crate) fn sync<E>(self, sync: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        if switch::is_off(self) { Ok(()) } else { sync() }
    }

    /// Whether it is there at all, for what is not a sync and not a test.
    #[inline]
    pub(crate) fn stands(self) -> bool {
        !switch::is_off(self)
    }

    /// Whether what was tested may pass.
    #[inline]
    pub(crate) fn test(self, passes: bool) -> bool {
        passes || switch::is_off(self)
    }
}

#[cfg(not(feature = "mutation"))]
mod switch {
    /// Barriers stand.
    #[inline]
    pub(super) const fn is_off(_: super::Barrier) -> bool {
        false
    }
}

#[cfg(feature = "mutation")]
pub use switch::Without;

/// What a barrier does.
#[cfg(feature = "mutation")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Makes bytes or names durable before something relies on them.
    Sync,
    /// Compares what is read with what was written.
    Checksum,
    /// Keeps what somebody still needs.
    Hold,
}

#[cfg(feature = "mutation")]
mod switch {
    //! Which barriers are off on this thread, and how often something went past them.

    use std::cell::Cell;

    use super::Barrier;

    thread_local! {
        static OFF: Cell<u128> = const { Cell::new(0) };
        static PASSED: Cell<u64> = const { Cell::new(0) };
    }

    const _: () = assert!(Barrier::ALL.len() <= 128, "a bit for each");

    fn bit(barrier: Barrier) -> u128 {
        let place = Barrier::ALL.iter().position(|other| *other == barrier);
        place.map_or(0, |place| 1 << place)
    }

    pub(super) fn is_off(barrier: Barrier) -> bool {
        let off = OFF.get() != 0 && OFF.get() & bit(barrier) != 0;
        PASSED.set(PASSED.get() + u64::from(off));
        off
    }

    /// Barriers are off on this thread for as long as this lives.
    #[derive(Debug)]
    pub struct Without {
        before: (u128, u64),
    }

    impl Without {
        /// Switches `barriers` off, and those that are off already stay so.
        #[must_use = "they stand again when it is dropped"]
        pub fn these(barriers: &[Barrier]) -> Self {
            let before = (OFF.get(), PASSED.replace(0));
            OFF.set(barriers.iter().fold(before.0, |off, barrier| off | bit(*barrier)));
            Self { before }
        }

        /// How often a sync was skipped or a test that failed was passed since then.
        #[must_use]
        pub fn passed(&self) -> u64 {
            PASSED.get()
        }
    }

    impl Drop for Without {
        fn drop(&mut self) {
            OFF.set(self.before.0);
            PASSED.set(self.before.1);
        }
    }
}
