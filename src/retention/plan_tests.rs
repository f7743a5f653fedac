//! What a plan must do, and above all what it must not: free held bytes, break the order of a
//! class, or break a promise without need.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

const DAY: Duration = Duration::from_hours(24);
const MB: u64 = 1 << 20;

fn now() -> Timestamp {
    "2026-11-30T00:00:00Z".parse().unwrap()
}

/// A segment of class 0 with 30 clips of 2 MB, kept 5 to 10 days, of this age.
fn segment(id: u32, age_days: u32) -> SegmentView {
    SegmentView {
        segment: SegmentId(id),
        class: ClassId(0),
        retention: Retention::default(),
        file_bytes: 64 * MB,
        clips: 30,
        payload_bytes: 60 * MB,
        held_clips: 0,
        held_bytes: 0,
        newest_received: now().saturating_sub(DAY * age_days),
        pinned_by_clips: false,
        evidence: false,
        expirable_clips: 0,
        expirable_bytes: 0,
    }
}

fn held(clips: u64, mut view: SegmentView) -> SegmentView {
    (view.held_clips, view.held_bytes) = (clips, clips * 2 * MB);
    view
}

fn in_class(class: u16, mut view: SegmentView) -> SegmentView {
    view.class = ClassId(class);
    view
}

fn roomy(segments: Vec<SegmentView>) -> PlanInput {
    let space = SpaceView { free_bytes: 1 << 40, ..SpaceView::default() };
    let when_full = WhenFull::DropOldest;
    PlanInput {
        now: now(),
        segments,
        space,
        when_full,
        share_max_percent: 100,
        share_free_segments: 4,
    }
}

/// The same, with `short` bytes too few free.
fn short(short: u64, segments: Vec<SegmentView>) -> PlanInput {
    let space = SpaceView { floor_bytes: short, ..SpaceView::default() };
    PlanInput { space, ..roomy(segments) }
}

fn ids(plan: &SweepPlan) -> Vec<u32> {
    plan.items().iter().map(|item| item.segment().0).collect()
}

fn kept(plan: &SweepPlan, id: u32) -> KeptReason {
    plan.kept().iter().find(|item| item.segment().0 == id).unwrap().reason()
}

#[test]
fn a_segment_goes_when_its_newest_clip_is_past_at_most_and_not_before() {
    let edge = segment(1, 10);
    let mut young = in_class(1, segment(2, 10));
    young.newest_received = edge.newest_received.saturating_add(Duration::from_micros(1));
    let plan = plan(&roomy(vec![young, edge]));
    assert_eq!(ids(&plan), [1]);
    assert_eq!(plan.items()[0].reason(), ExpiryReason::Due);
    assert_eq!(plan.items()[0].due(), now());
    assert!(matches!(kept(&plan, 2), KeptReason::NotDue { .. }));
}

#[test]
fn a_due_segment_waits_for_an_older_one_of_its_class() {
    // The older one got late clips of an offline camera.
    let plan = plan(&roomy(vec![segment(2, 12), segment(1, 3), in_class(1, segment(3, 11))]));
    assert_eq!(ids(&plan), [3]);
    assert_eq!(kept(&plan, 2), KeptReason::BehindOlder);
}

#[test]
fn a_wholly_held_segment_stays_and_does_not_keep_its_neighbours() {
    let plan = plan(&roomy(vec![held(30, segment(1, 12)), segment(2, 11), segment(3, 1)]));
    assert_eq!(ids(&plan), [2]);
    assert_eq!(kept(&plan, 1), KeptReason::AllHeld);
}

#[test]
fn held_clips_are_moved_and_their_neighbours_expire_on_time() {
    let plan = plan(&roomy(vec![held(1, segment(1, 11))]));
    let item = &plan.items()[0];
    assert_eq!(item.action(), PlanAction::MoveHeldThenDrop);
    assert_eq!((item.clips(), item.bytes()), (29, 58 * MB));
    assert_eq!((item.held_clips(), item.held_bytes()), (1, 2 * MB));
    assert_eq!(plan.freed_bytes(), 62 * MB);
}

#[test]
fn the_tail_of_a_clip_that_stays_is_not_dropped() {
    let tail = SegmentView { pinned_by_clips: true, ..held(30, segment(2, 11)) };
    let staying = plan(&roomy(vec![held(30, segment(1, 12)), tail.clone(), segment(3, 11)]));
    assert_eq!(ids(&staying), [3]);
    assert_eq!(kept(&staying, 2), KeptReason::HoldsTail);
    let going = plan(&roomy(vec![held(1, segment(1, 12)), tail]));
    assert_eq!(ids(&going), [1], "the clip moves with its head");
    assert_eq!(kept(&going, 2), KeptReason::AllHeld);
}

#[test]
fn the_tail_of_a_clip_that_stays_keeps_no_neighbour() {
    let tail = SegmentView { pinned_by_clips: true, ..segment(2, 11) };
    let plan = plan(&roomy(vec![held(30, segment(1, 12)), tail]));
    assert_eq!(ids(&plan), [2], "its own clips expire; the file stays for the tail");
}

#[test]
fn room_is_made_of_the_oldest_past_at_least_over_all_classes() {
    let segments = vec![segment(1, 7), segment(2, 6), in_class(1, segment(3, 8)), segment(4, 1)];
    let plan = plan(&short(65 * MB, segments));
    assert_eq!(ids(&plan), [3, 1]);
    assert!(plan.items().iter().all(|item| item.reason() == ExpiryReason::Space));
    assert_eq!(plan.short_bytes(), 0);
}

#[test]
fn what_is_due_counts_before_anything_else_goes_for_room() {
    let plan = plan(&short(64 * MB, vec![segment(1, 11), segment(2, 7)]));
    assert_eq!(ids(&plan), [1]);
}

#[test]
fn a_quota_makes_room_like_a_full_disk() {
    let mut input = roomy(vec![segment(1, 7), segment(2, 6)]);
    input.space.used_bytes = 128 * MB;
    input.space.quota_bytes = Some(128 * MB);
    assert!(plan(&input).is_empty());
    input.space.wanted_bytes = 1;
    assert_eq!(ids(&plan(&input)), [1]);
}

#[test]
fn when_full_the_oldest_promise_is_broken_first_and_on_record() {
    let segments = vec![segment(1, 4), in_class(1, segment(2, 3)), segment(3, 2), segment(4, 1)];
    let plan = plan(&short(128 * MB, segments));
    assert_eq!(ids(&plan), [1, 2]);
    assert!(plan.items().iter().all(|item| item.reason() == ExpiryReason::Early));
}

#[test]
fn when_told_to_refuse_the_promise_is_kept_and_the_shortage_reported() {
    let mut input = short(128 * MB, vec![segment(1, 7), segment(2, 4)]);
    input.when_full = WhenFull::Refuse;
    let plan = plan(&input);
    assert_eq!(ids(&plan), [1]);
    assert_eq!(kept(&plan, 2), KeptReason::PromiseKept);
    assert_eq!(plan.short_bytes(), 64 * MB);
}

#[test]
fn held_clips_never_make_room() {
    let segments = vec![held(30, segment(1, 7)), in_class(1, held(30, segment(2, 1)))];
    let all_held = plan(&short(u64::MAX, segments));
    assert!(all_held.is_empty());
    assert_eq!(all_held.freed_bytes(), 0);
    assert_eq!(all_held.short_bytes(), u64::MAX);
    let mut packed = held(29, segment(1, 7));
    packed.file_bytes = packed.held_bytes;
    let packed = plan(&short(MB, vec![packed, segment(2, 6)]));
    assert_eq!(ids(&packed), [2]);
    assert_eq!(kept(&packed, 1), KeptReason::FreesNothing);
}

#[test]
fn one_sweep_drops_no_more_than_its_share() {
    let mut input = roomy((0..100).map(|id| segment(id, 20)).collect());
    (input.share_max_percent, input.share_free_segments) = (25, 4);
    let limited = plan(&input);
    assert_eq!(ids(&limited), (0..25).collect::<Vec<_>>());
    assert_eq!(kept(&limited, 25), KeptReason::ShareLimit);
    assert_eq!((limited.deferred(), limited.deferred_bytes()), (75, 75 * 60 * MB));
}

#[test]
fn a_small_store_expires_in_spite_of_the_share() {
    let mut input = roomy((0..5).map(|id| segment(id, 20)).collect());
    (input.share_max_percent, input.share_free_segments) = (0, 4);
    assert_eq!(ids(&plan(&input)), [0, 1, 2, 3]);
    assert_eq!(plan(&input).deferred(), 1);
}

#[test]
fn the_share_does_not_stop_what_makes_room() {
    let mut input = short(3 * 64 * MB, (0..5).map(|id| segment(id, 20)).collect());
    (input.share_max_percent, input.share_free_segments) = (0, 1);
    let plan = plan(&input);
    assert_eq!(ids(&plan), [0, 1, 2]);
    assert_eq!(plan.items()[1].reason(), ExpiryReason::Space);
    assert_eq!(plan.deferred(), 2);
}

#[test]
fn released_evidence_expires_and_held_evidence_stays() {
    let evidence = |id, expirable, held_clips| SegmentView {
        class: ClassId::EVIDENCE,
        evidence: true,
        expirable_clips: expirable,
        expirable_bytes: expirable * 2 * MB,
        held_clips,
        ..segment(id, 40)
    };
    let plan = plan(&roomy(vec![evidence(1, 3, 27), evidence(2, 0, 30)]));
    assert_eq!(ids(&plan), [1]);
    let item = &plan.items()[0];
    assert_eq!((item.action(), item.reason()), (PlanAction::ExpireClips, ExpiryReason::Released));
    assert_eq!((item.clips(), item.bytes()), (3, 6 * MB));
    assert_eq!(kept(&plan, 2), KeptReason::AllHeld);
}

#[test]
fn a_segment_without_clips_of_its_own_makes_room_without_breaking_a_promise() {
    let empty = SegmentView { clips: 0, payload_bytes: 0, ..segment(1, 1) };
    let plan = plan(&short(MB, vec![empty]));
    assert_eq!(plan.items()[0].reason(), ExpiryReason::Space);
}

#[test]
fn an_empty_store_has_an_empty_plan() {
    let plan = plan(&roomy(vec![]));
    assert!(plan.is_empty() && plan.kept().is_empty());
}

#[test]
fn a_plan_reads_as_sentences() {
    let plan =
        plan(&roomy(vec![held(1, segment(1, 11)), segment(2, 11), held(30, segment(3, 11))]));
    let lines: Vec<_> = plan.items().iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "segment 1 (class 0): move 1 clip held, then drop, 29 clips, past at_most since \
             2026-11-29T00:00:00Z",
            "segment 2 (class 0): drop, 30 clips, past at_most since 2026-11-29T00:00:00Z",
        ]
    );
    assert_eq!(plan.kept()[0].to_string(), "segment 3 (class 0): keep, every clip in it is held");
}

fn views() -> impl Strategy<Value = Vec<SegmentView>> {
    let view = (0..3_u16, 0..14_u32, 0..31_u64, any::<bool>(), 0..31_u64, 0..10_u8);
    prop::collection::vec(view, 0..30).prop_map(|views| {
        let numbered = (0_u32..).zip(views);
        let view = |(id, (class, age, clips, pinned, held_clips, evidence)): (
            u32,
            (u16, u32, u64, bool, u64, u8),
        )| {
            let view = in_class(class, segment(id, age));
            let view = held(held_clips.min(clips), SegmentView { clips, ..view });
            let evidence = evidence == 0;
            SegmentView {
                payload_bytes: clips * 2 * MB,
                pinned_by_clips: pinned,
                evidence,
                class: if evidence { ClassId::EVIDENCE } else { view.class },
                expirable_clips: if evidence { (clips - view.held_clips) / 2 } else { 0 },
                expirable_bytes: if evidence { (clips - view.held_clips) / 2 * 2 * MB } else { 0 },
                ..view
            }
        };
        numbered.map(view).collect()
    })
}

proptest! {
    #[test]
    fn no_plan_breaks_a_rule(
        views in views(),
        rotate in any::<usize>(),
        wanted in 0..1_000_u64,
        percent in 0..=100_u8,
        refuse in any::<bool>(),
    ) {
        let mut input = short(wanted * MB, views);
        (input.share_max_percent, input.share_free_segments) = (percent, 1);
        input.when_full = if refuse { WhenFull::Refuse } else { WhenFull::DropOldest };
        let plan = plan(&input);
        check_plan(&input, &plan)?;
        if !input.segments.is_empty() {
            let middle = rotate % input.segments.len();
            input.segments.rotate_left(middle);
        }
        prop_assert_eq!(super::plan(&input), plan, "the order of the segments does not matter");
    }
}

fn check_plan(input: &PlanInput, plan: &SweepPlan) -> Result<(), TestCaseError> {
    let planned: BTreeSet<_> = plan.items().iter().map(PlanItem::segment).collect();
    prop_assert_eq!(planned.len(), plan.items().len(), "each segment once");
    prop_assert_eq!(planned.len() + plan.kept().len(), input.segments.len(), "none forgotten");
    let view = |id| input.segments.iter().find(|view| view.segment == id).unwrap();
    let (mut freed, mut due_bytes, mut due_count) = (0, 0, 0);
    let mut early = false;
    for item in plan.items() {
        let view = view(item.segment());
        let promised =
            view.clips > 0 && view.retention.promised_until(view.newest_received) > now();
        match item.reason() {
            ExpiryReason::Due => {
                prop_assert!(item.due() <= now());
                (due_bytes, due_count) = (due_bytes + item.bytes(), due_count + 1);
            }
            ExpiryReason::Space => prop_assert!(!promised),
            ExpiryReason::Early => {
                prop_assert!(promised && input.when_full == WhenFull::DropOldest);
                early = true;
            }
            ExpiryReason::Released => prop_assert!(view.evidence),
        }
        if matches!(item.reason(), ExpiryReason::Space | ExpiryReason::Early) {
            prop_assert!(freed < input.space.short_bytes(), "no room was wanted any more");
        }
        prop_assert_eq!(item.action() == PlanAction::Drop, view.held_clips == 0 && !view.evidence);
        freed += match item.action() {
            PlanAction::ExpireClips => item.bytes(),
            _ => view.file_bytes - view.held_bytes,
        };
        if view.evidence {
            continue;
        }
        prop_assert!(item.clips() > 0 || view.clips == 0, "nothing would be freed");
        for older in
            input.segments.iter().filter(|o| o.class == view.class && o.segment < view.segment)
        {
            let before = plan.items().iter().take_while(|i| i.segment() != view.segment);
            let goes = before.into_iter().any(|i| i.segment() == older.segment);
            let kept = plan.kept().iter().find(|k| k.segment() == older.segment);
            let passed_by = kept.is_some_and(|k| {
                matches!(
                    k.reason(),
                    KeptReason::AllHeld | KeptReason::HoldsTail | KeptReason::FreesNothing
                )
            });
            prop_assert!(goes || passed_by, "not oldest first");
        }
    }
    prop_assert_eq!(freed, plan.freed_bytes());
    prop_assert_eq!(plan.short_bytes(), input.space.short_bytes().saturating_sub(freed));
    let live: u64 = input.segments.iter().map(|view| view.payload_bytes).sum();
    let in_share = due_bytes * 100 <= live * u64::from(input.share_max_percent);
    prop_assert!(in_share || due_count <= 1, "more than its share");
    let spare = plan.kept().iter().any(|k| matches!(k.reason(), KeptReason::PromiseKept));
    prop_assert!(!(early && spare));
    Ok(())
}
