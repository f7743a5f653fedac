//! What notices first that a barrier is gone.

use clipkeep::barrier::{Barrier, Barrier as B};

use super::{Catcher, crashes, damage, disk, holds, index, ledger, repair, requests};

/// A directed test as a catcher.
macro_rules! test {
    ($module:ident::$name:ident) => {
        Catcher::test(stringify!($name), $module::$name)
    };
}

/// The catcher of each barrier.
#[expect(clippy::match_same_arms, reason = "they stand in the order of the barriers")]
pub(super) fn catcher_of(barrier: Barrier) -> Catcher {
    match barrier {
        B::StoreSlotCrc => test!(damage::flipped_bit_in_the_store_file),
        B::SegmentHeaderCrc => test!(damage::flipped_bit_in_a_segment_header),
        B::TrailerCrc => test!(damage::flipped_bit_in_a_trailer),
        B::RecordHeaderCrc => test!(damage::flipped_bit_in_a_record_header),
        B::SaltInCrc => test!(damage::stale_record),
        B::BlockInCrc => test!(damage::misdirected_record),
        B::LedgerHeaderCrc => test!(damage::flipped_bit_in_a_ledger_header),
        B::LedgerEntryCrc => test!(damage::flipped_bit_in_a_ledger_entry),
        B::IndexHeadCrc | B::IndexPageCrc | B::RootInIndex => index::catcher_of(barrier),

        B::CommitSync => crashes::of("append"),
        B::OpenSegmentSync => test!(disk::a_synced_store_keeps_what_was_buffered),
        B::SealSync => crashes::of("roll"),
        B::EvidenceSync => crashes::of("hold_and_sweep"),
        B::ScannedChunkCrc => crashes::of("append"),
        B::FooterCrc => test!(damage::flipped_bit_in_a_footer),
        B::SegmentOwner => test!(damage::segment_of_another_store),
        B::ChunkCrc => test!(damage::flipped_bit_in_a_chunk),

        B::LedgerSyncA => test!(ledger::copy_a_does_alone),
        B::LedgerSyncB => test!(ledger::copy_b_does_alone),
        B::LedgerAllocateSync | B::LedgerAllocateDirSync => test!(ledger::room_is_set_aside),
        B::LedgerRollDirSync => test!(ledger::a_file_that_was_found_blank_gets_its_name),
        B::LedgerResumeSync => test!(ledger::what_a_killed_process_left_lasts),
        B::LedgerResumeDirSync => test!(ledger::a_file_that_a_killed_process_began_gets_its_name),
        B::LedgerFolderSync => crashes::of("make"),
        B::LedgerRebuildSync => test!(ledger::a_rebuilt_file_lasts),
        B::LedgerRepairSync => test!(ledger::a_repair_lasts),
        B::LedgerGap => test!(damage::lost_entry_before_another),
        B::LedgerBothLost => test!(damage::unreadable_end_of_the_ledger),
        B::LedgerLength => test!(damage::lost_end_of_the_ledger),
        B::LedgerChain => test!(damage::swapped_ledger_entry),
        B::LedgerCopyChain => test!(damage::ledger_copy_of_another_past),

        B::SalvageCopies => test!(repair::of_two_copies_that_differ_neither_deletes),
        B::SalvageLink => test!(repair::an_entry_that_nothing_follows_deletes_nothing),
        B::SalvageChain => test!(repair::an_expiry_behind_a_loss_takes_nothing),
        B::SalvageWhole => test!(repair::a_release_with_a_lost_companion_frees_nothing),
        B::SalvageBatch => test!(repair::nor_does_one_behind_another_loss),
        B::RepairMark => test!(repair::a_repair_that_was_cut_off_adds_nothing),

        B::FoldersSync | B::StoreFileSync => crashes::of("make"),
        B::StoreNameSync | B::SegmentNameSync | B::SegmentOldNameSync => crashes::of("append"),
        B::StoreSlotSync => test!(disk::trusted_time_does_not_go_back),
        B::FoundNamesSync => test!(disk::a_drop_that_was_found_unsynced_is_kept),
        B::HeaderSync => test!(disk::a_segment_without_a_record_has_its_header),
        B::ReserveSync => test!(disk::held_clips_move_on_a_full_disk),
        B::ReserveNameSync => test!(disk::a_reserve_that_was_made_again_outlives_a_power_cut),
        B::FoundSealSync => test!(disk::a_seal_that_was_found_unsynced_is_kept),
        B::DropSync => crashes::of("hold_and_sweep"),
        B::ReuseNameSync => crashes::of("reuse"),
        B::ReuseZeroSync => test!(disk::zeroed_bytes_stay_zeroed),
        B::ReuseGoneSync => test!(disk::what_could_not_be_zeroed_stays_gone),
        B::WipeSync => test!(disk::what_was_found_unsynced_is_kept),
        B::PunchSync => test!(disk::erased_bytes_stay_erased),

        B::RootAtOpening => test!(damage::swapped_segment),
        B::RootAtResealing => test!(damage::swapped_segment_without_its_footer),
        B::RootAtVerifying => test!(damage::segment_swapped_while_open),
        B::RecordAtVerifying => test!(damage::damaged_record_header_is_told_by_verify),
        B::DigestAtVerifying => test!(damage::forged_byte_is_told_by_verify),
        B::CopyFooter => test!(damage::copy_without_a_footer),
        B::CopyRecords => test!(damage::copy_with_other_checksums),
        B::CopyBytes => test!(damage::copy_with_an_invisible_change),
        B::CopyDigest => test!(damage::forged_clip_stays_where_it_is),

        B::RecordSync | B::RecordNameSync => test!(requests::a_home_that_joined_is_known),
        B::RecordGoneSync => test!(requests::a_home_that_left_has_taken_its_record),
        B::RecordCommitment => test!(requests::another_record_is_not_taken_for_it),

        hold => of_a_hold_check(hold),
    }
}

/// The catcher of a hold check.
fn of_a_hold_check(barrier: Barrier) -> Catcher {
    use Barrier as B;
    match barrier {
        B::PlanHolds => test!(holds::a_plan_knows_what_is_held),
        B::ExpiryHolds | B::GateFile => test!(holds::a_held_clip_outlives_its_segment),
        B::EvidenceHolds => test!(holds::a_held_clip_outlives_its_neighbour_in_evidence),
        B::PunchNeeded => test!(holds::neighbours_go_where_a_held_clip_stays),
        // The gate is the second to look: it is missed where the first one has failed.
        B::GateClips => {
            test!(holds::a_held_clip_that_cannot_be_moved_stays).behind(Barrier::PunchNeeded)
        }
        B::PunchLease => test!(holds::a_reader_reads_on),
        B::ReplayHolds => crashes::of("relocate"),
        B::GateLedger => test!(holds::an_unreadable_ledger_finishes_no_deletion),
        B::GateUnopened => test!(holds::the_tail_of_an_unknown_clip_stays),
        B::DeleteHolds => test!(holds::an_owner_cannot_delete_what_is_held),
        B::DeleteOrders => test!(holds::an_owner_cannot_end_an_order),
        B::MoveDeleted => test!(holds::a_clip_erased_while_it_moves_is_gone),
        B::RepairHolds => test!(repair::an_expiry_behind_a_loss_takes_nothing),
        other => unreachable!("nothing misses {other:?}"),
    }
}
