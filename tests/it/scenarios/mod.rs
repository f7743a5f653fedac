//! Short lives of a store, each around one thing that a crash or a failing disk may hit.
//!
//! A scenario goes on until the first error that it does not expect; what it was promised before,
//! `World` remembers. Each is one function over a world that was just made, in a file by what it is
//! about. The same scenarios are run by the crash matrix, by the failing disk and by whoever
//! switches off a part of the store to see whether that is noticed.

mod deciding;
mod expiring;
mod holding;
mod recording;
mod trouble;

use clipkeep::Result;

pub(crate) use recording::append;

use crate::world::World;

pub(crate) type Scenario = fn(&mut World) -> Result<()>;

/// All of them that a working disk can live through, by name.
pub(crate) const ALL: [(&str, Scenario); 46] = [
    ("append", recording::append),
    ("stream", recording::stream),
    ("abandoned_stream", recording::abandoned_stream),
    ("two_classes", recording::two_classes),
    ("roll", recording::roll),
    ("seal_by_age", recording::seal_by_age),
    ("seal_by_hand", recording::seal_by_hand),
    ("long_clip", recording::long_clip),
    ("large_fragments", recording::large_fragments),
    ("reopen", recording::reopen),
    ("fold", recording::fold),
    ("merge", recording::merge),
    ("hold", holding::hold),
    ("hold_many_ranges", holding::hold_many_ranges),
    ("hold_and_sweep", holding::hold_and_sweep),
    ("hold_amid_sweep", holding::hold_amid_sweep),
    ("hold_lapses", holding::hold_lapses),
    ("narrow", holding::narrow),
    ("release", holding::release),
    ("relocate", holding::relocate),
    ("relocate_long_clip", holding::relocate_long_clip),
    ("relocate_without_room", holding::relocate_without_room),
    ("relocate_into_reserve", holding::relocate_into_reserve),
    ("evidence_drains", holding::evidence_drains),
    ("expire", expiring::expire),
    ("expire_many", expiring::expire_many),
    ("expire_long_clip", expiring::expire_long_clip),
    ("sweep_while_recording", expiring::sweep_while_recording),
    ("quota", expiring::quota),
    ("reuse", expiring::reuse),
    ("reuse_in_quota", expiring::reuse_in_quota),
    ("give_back", expiring::give_back),
    ("delete", deciding::delete),
    ("delete_sealed", deciding::delete_sealed),
    ("delete_long_clip", deciding::delete_long_clip),
    ("delete_refused", deciding::delete_refused),
    ("policy_change", deciding::policy_change),
    ("camera_removed", deciding::camera_removed),
    ("ledger_roll", deciding::ledger_roll),
    ("full_at_append", trouble::full_at_append),
    ("full_at_seal", trouble::full_at_seal),
    ("full_at_ledger", trouble::full_at_ledger),
    ("full_at_each_step", trouble::full_at_each_step),
    ("clock_steps", trouble::clock_steps),
    ("outage", trouble::outage),
    ("trusted_time", trouble::trusted_time),
];

/// Those in which the medium itself is damaged while the store is closed.
pub(crate) const DAMAGED: [(&str, Scenario); 3] = [
    ("ledger_copy_damaged", trouble::ledger_copy_damaged),
    ("footer_damaged", trouble::footer_damaged),
    ("slot_damaged", trouble::slot_damaged),
];
