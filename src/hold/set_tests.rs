//! What a set of holds must do, and above all what it must not: free what another hold covers.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::hold::{HoldCause, NewHold, ReleaseCause};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

fn at(hours: u64) -> Timestamp {
    "2026-11-30T00:00:00Z"
        .parse::<Timestamp>()
        .unwrap()
        .saturating_add(HOUR * u32::try_from(hours).unwrap())
}

/// The window of so many hours before the first instant of these tests.
fn before(from: u32, to: u32) -> Window {
    Window::new(at(0).saturating_sub(HOUR * from), at(0).saturating_sub(HOUR * to)).unwrap()
}

fn camera(name: &str) -> CameraId {
    name.parse().unwrap()
}

fn new_hold(cause: HoldCause) -> NewHold {
    let hold = NewHold::new([camera("door")], before(10, 5)).cause(cause).reference("case 1");
    if cause == HoldCause::Order { hold.for_duration(30 * DAY) } else { hold }
}

/// A ledger of holds, as the store would write it.
#[derive(Default)]
struct Ledger {
    set: HoldSet,
    entries: Vec<Entry>,
}

impl Ledger {
    fn append(&mut self, now: Timestamp, decision: Decision) {
        let position = u64::try_from(self.entries.len()).unwrap();
        let entry = Entry {
            position,
            batch_start: position,
            batch_count: 1,
            at: now,
            previous: [0; 32],
            decision,
        };
        self.set.apply(&entry);
        self.set.check_invariants().unwrap();
        self.entries.push(entry);
    }

    fn place(&mut self, hold: NewHold) -> HoldId {
        let id = self.set.next_id();
        let placed = hold.into_placed(id, at(0)).unwrap();
        self.append(at(0), Decision::HoldPlaced(Box::new(placed)));
        id
    }

    fn sweep(&mut self, now: Timestamp) -> usize {
        let due = self.set.due(now);
        let count = due.len();
        for decision in due {
            self.append(now, decision);
        }
        count
    }

    fn release(&mut self, id: HoldId, cause: ReleaseCause, now: Timestamp) -> ReleaseOutcome {
        let release = Release::new(cause, "Ann").second_actor("Bob");
        let outcome = self.set.release(id, &release, now).unwrap();
        if let ReleaseOutcome::Append(decisions) = &outcome {
            for decision in decisions {
                self.append(now, decision.clone());
            }
        }
        outcome
    }

    fn covers(&self) -> bool {
        self.set.covers(&camera("door"), &before(10, 5))
    }
}

#[test]
fn a_clip_under_two_holds_stays_held_when_one_is_released() {
    let mut ledger = Ledger::default();
    let (one, two) =
        (ledger.place(new_hold(HoldCause::Keep)), ledger.place(new_hold(HoldCause::Keep)));
    assert_eq!(ledger.set.covering(&camera("door"), &before(7, 6)), [one, two]);
    ledger.release(one, ReleaseCause::Owner, at(1));
    assert_eq!(ledger.set.covering(&camera("door"), &before(7, 6)), [two]);
    assert!(ledger.covers());
    ledger.release(two, ReleaseCause::Owner, at(1));
    assert!(!ledger.covers());
}

#[test]
fn a_hold_covers_its_camera_and_window_and_no_neighbour() {
    let mut ledger = Ledger::default();
    ledger.place(new_hold(HoldCause::Keep));
    assert!(ledger.set.covers(&camera("door"), &before(11, 9)));
    assert!(!ledger.set.covers(&camera("door"), &before(12, 10)));
    assert!(!ledger.set.covers(&camera("door"), &before(5, 1)));
    assert!(!ledger.set.covers(&camera("yard"), &before(10, 5)));
}

#[test]
fn a_clip_that_arrives_later_in_a_held_window_is_born_held() {
    let mut ledger = Ledger::default();
    let window = Window::new(at(0), at(48)).unwrap();
    ledger.place(NewHold::new([camera("door")], window));
    assert!(ledger.set.covers(&camera("door"), &Window::new(at(20), at(21)).unwrap()));
}

#[test]
fn time_alone_never_ends_protection() {
    let mut ledger = Ledger::default();
    ledger.place(new_hold(HoldCause::Provisional));
    let due = ledger.set.due(Timestamp::MAX);
    assert_eq!(due.len(), 2);
    assert!(ledger.covers(), "asking what is due must not free anything");
}

#[test]
fn an_unanswered_request_lapses_and_protects_72_hours_more() {
    let mut ledger = Ledger::default();
    let id = ledger.place(new_hold(HoldCause::Request));
    assert_eq!(ledger.sweep(at(14 * 24 - 1)), 0);
    assert_eq!(ledger.sweep(at(14 * 24)), 1);
    assert_eq!(ledger.set.get(id).unwrap().state(), HoldState::Grace { until: at(17 * 24) });
    assert_eq!(ledger.set.get(id).unwrap().release_reason(), "lapsed");
    assert_eq!(ledger.sweep(at(17 * 24 - 1)), 0);
    assert!(ledger.covers());
    assert_eq!(ledger.sweep(at(17 * 24)), 1);
    assert!(!ledger.covers());
    assert_eq!(ledger.sweep(at(99 * 24)), 0);
}

#[test]
fn grace_is_given_in_full_after_the_store_was_off_at_the_deadline() {
    let mut ledger = Ledger::default();
    let id = ledger.place(new_hold(HoldCause::Request));
    assert_eq!(ledger.sweep(at(40 * 24)), 1);
    assert_eq!(ledger.set.get(id).unwrap().state(), HoldState::Grace { until: at(43 * 24) });
}

#[test]
fn screening_that_runs_out_ends_at_once() {
    let mut ledger = Ledger::default();
    let id = ledger.place(new_hold(HoldCause::Provisional));
    assert_eq!(ledger.sweep(at(24)), 2);
    assert_eq!(ledger.set.get(id).unwrap().state(), HoldState::Ended);
}

#[test]
fn a_denied_hold_protects_through_its_undo_and_no_longer() {
    let mut ledger = Ledger::default();
    let id = ledger.place(new_hold(HoldCause::Request));
    ledger.release(id, ReleaseCause::Denied, at(5));
    assert_eq!(ledger.set.get(id).unwrap().state(), HoldState::Grace { until: at(29) });
    assert!(ledger.covers());
    ledger.sweep(at(28));
    assert!(ledger.covers());
    ledger.sweep(at(29));
    assert!(!ledger.covers());
}

#[test]
fn releasing_twice_changes_nothing() {
    let mut ledger = Ledger::default();
    let id = ledger.place(new_hold(HoldCause::Request));
    ledger.release(id, ReleaseCause::Withdrawn, at(5));
    let record = ledger.set.get(id).unwrap().clone();
    // Not with a cause that has less grace either.
    let outcome = ledger.release(id, ReleaseCause::Disclosed, at(6));
    assert_eq!(outcome, ReleaseOutcome::AlreadyReleased);
    assert_eq!(*ledger.set.get(id).unwrap(), record);
    assert_eq!(record.released_at(), Some(at(5)));
    assert_eq!(record.released_by(), "Ann + Bob");
    assert_eq!(record.release_reason(), "withdrawn");
}

#[test]
fn an_order_stands_above_the_owner_through_its_written_grace() {
    let mut ledger = Ledger::default();
    ledger.place(new_hold(HoldCause::Request));
    let order = ledger.place(new_hold(HoldCause::Order).grace(10 * HOUR));
    let blocking = |ledger: &Ledger| ledger.set.blocks_owner(&camera("door"), &before(7, 6));
    assert_eq!(blocking(&ledger), [order]);
    ledger.release(order, ReleaseCause::Ended, at(1));
    ledger.sweep(at(10));
    assert_eq!(blocking(&ledger), [order]);
    ledger.sweep(at(11));
    assert!(blocking(&ledger).is_empty());
    assert!(ledger.covers(), "the request still holds");
}

#[test]
fn one_person_can_neither_release_nor_narrow_an_order() {
    let mut ledger = Ledger::default();
    let order = ledger.place(new_hold(HoldCause::Order));
    let alone = Release::new(ReleaseCause::Ended, "Ann").second_actor("ann");
    assert!(ledger.set.release(order, &alone, at(1)).is_err());
    let part = vec![(camera("door"), before(8, 7))];
    assert!(ledger.set.narrow(order, part, &alone).is_err());
}

#[test]
fn an_order_that_reaches_its_deadline_gets_its_written_grace() {
    let mut ledger = Ledger::default();
    let id = ledger.place(new_hold(HoldCause::Order).grace(10 * HOUR));
    ledger.sweep(at(30 * 24));
    assert_eq!(ledger.set.get(id).unwrap().state(), HoldState::Grace { until: at(30 * 24 + 10) });
}

#[test]
fn narrowing_frees_the_rest_and_never_widens() {
    let mut ledger = Ledger::default();
    let id = ledger.place(new_hold(HoldCause::Keep));
    let by = Release::new(ReleaseCause::Owner, "Ann");
    for wider in [
        vec![(camera("door"), before(11, 7))],
        vec![(camera("yard"), before(8, 7))],
        vec![(camera("door"), before(8, 7)), (camera("yard"), before(8, 7))],
        vec![],
    ] {
        assert!(ledger.set.narrow(id, wider, &by).is_err());
    }
    let decision = ledger.set.narrow(id, vec![(camera("door"), before(8, 7))], &by).unwrap();
    ledger.append(at(1), decision);
    assert!(ledger.set.covers(&camera("door"), &before(8, 7)));
    assert!(!ledger.set.covers(&camera("door"), &before(10, 8)));
    assert!(!ledger.set.covers(&camera("door"), &before(7, 5)));
    ledger.release(id, ReleaseCause::Owner, at(2));
    assert!(ledger.set.narrow(id, vec![(camera("door"), before(8, 7))], &by).is_err());
}

#[test]
fn a_request_is_renewed_once_and_never_beyond_90_days() {
    let mut ledger = Ledger::default();
    let id = ledger.place(new_hold(HoldCause::Request));
    let renew = |ledger: &Ledger, hours: u64, now: u64| {
        ledger.set.renew(id, at(hours), at(now), "Ann", "asked again")
    };
    assert!(renew(&ledger, 14 * 24, 1).is_err(), "not later");
    assert!(renew(&ledger, 90 * 24 + 1, 1).is_err(), "beyond 90 days");
    assert!(renew(&ledger, 20 * 24, 14 * 24).is_err(), "its deadline passed");
    let decision = renew(&ledger, 90 * 24, 1).unwrap();
    ledger.append(at(1), decision);
    assert_eq!(ledger.set.get(id).unwrap().deadline(), at(90 * 24));
    assert_eq!(ledger.sweep(at(20 * 24)), 0);
    assert!(renew(&ledger, 90 * 24, 2).is_err(), "renewed once already");
}

#[test]
fn nothing_renews_what_was_released_or_may_not_be_renewed() {
    let mut ledger = Ledger::default();
    let screening = ledger.place(new_hold(HoldCause::Provisional));
    let shared = ledger.place(new_hold(HoldCause::Disclosure));
    let kept = ledger.place(new_hold(HoldCause::Keep));
    assert!(ledger.set.renew(screening, at(25), at(1), "", "").is_err());
    assert!(ledger.set.renew(shared, at(31 * 24), at(1), "", "").is_err());
    assert!(ledger.set.renew(kept, at(366 * 24), at(1), "", "a\nb").is_err());
    assert!(ledger.set.renew(kept, at(366 * 24), at(1), "", "").is_ok());
    ledger.release(kept, ReleaseCause::Owner, at(2));
    assert!(ledger.set.renew(kept, at(366 * 24), at(3), "", "").is_err());
}

#[test]
fn a_key_finds_the_active_hold_and_a_new_one_after_release() {
    let mut ledger = Ledger::default();
    let first = ledger.place(new_hold(HoldCause::Request).idempotency_key("k"));
    assert_eq!(ledger.set.by_key("k").unwrap().id(), first);
    assert!(ledger.set.by_key("").is_none());
    ledger.release(first, ReleaseCause::Denied, at(1));
    assert!(ledger.set.by_key("k").is_none());
    let second = ledger.place(new_hold(HoldCause::Request).idempotency_key("k"));
    assert_ne!(first, second);
    ledger.sweep(at(30));
    assert_eq!(ledger.set.by_key("k").unwrap().id(), second);
}

#[test]
fn unknown_holds_are_not_found_and_free_nothing() {
    let mut ledger = Ledger::default();
    ledger.place(new_hold(HoldCause::Keep));
    let ghost = HoldId(77);
    let release = Release::new(ReleaseCause::Owner, "Ann");
    let error = ledger.set.release(ghost, &release, at(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let (actor, reason) = (String::new(), String::new());
    ledger.append(at(1), Decision::HoldEnded { hold: ghost });
    ledger.append(at(1), Decision::HoldLapsed { hold: ghost, grace_until: at(1) });
    let (a, r) = (actor.clone(), reason.clone());
    ledger.append(
        at(1),
        Decision::HoldReleased { hold: ghost, grace_until: at(1), actor: a, reason: r },
    );
    ledger.append(at(1), Decision::HoldNarrowed { hold: ghost, scope: vec![], actor, reason });
    assert!(ledger.covers());
}

#[test]
fn impossible_entries_protect_rather_than_free() {
    let mut ledger = Ledger::default();
    let id = ledger.place(new_hold(HoldCause::Keep).idempotency_key("k"));
    let (actor, reason) = (String::new(), String::new());
    ledger.append(at(1), Decision::HoldNarrowed { hold: id, scope: vec![], actor, reason });
    assert!(ledger.covers(), "narrowed to nothing");
    let again = NewHold::new([camera("yard")], before(3, 2)).into_placed(id, at(0)).unwrap();
    ledger.append(at(1), Decision::HoldPlaced(Box::new(again)));
    assert!(ledger.covers() && ledger.set.covers(&camera("yard"), &before(3, 2)), "placed twice");
    let mut later = new_hold(HoldCause::Keep).into_placed(HoldId(9), at(0)).unwrap();
    later.cause = 200;
    ledger.append(at(1), Decision::HoldPlaced(Box::new(later)));
    assert_eq!(ledger.set.blocks_owner(&camera("door"), &before(7, 6)), [HoldId(9)]);
}

#[test]
fn a_snapshot_does_not_change_with_the_set() {
    let mut ledger = Ledger::default();
    let id = ledger.place(new_hold(HoldCause::Keep));
    let snapshot = ledger.set.clone();
    ledger.release(id, ReleaseCause::Owner, at(1));
    assert!(!ledger.covers());
    assert!(snapshot.covers(&camera("door"), &before(7, 6)));
    snapshot.check_invariants().unwrap();
}

#[test]
fn ten_thousand_holds_on_one_camera_are_all_found_and_all_freed() {
    let mut set = HoldSet::default();
    let door = camera("door");
    let us = |us: i64| Timestamp::from_micros(us);
    let entry = |decision| Entry {
        position: 0,
        batch_start: 0,
        batch_count: 1,
        at: at(0),
        previous: [0; 32],
        decision,
    };
    // The first reaches over all others, so that a running maximum alone would walk them all.
    for n in 0..10_000_i64 {
        let end = if n == 0 { 1_000_000 } else { n * 10 + 5 };
        let window = Window::new(us(n * 10), us(end)).unwrap();
        let hold = NewHold::new([door.clone()], window);
        let placed = hold.into_placed(set.next_id(), at(0)).unwrap();
        set.apply(&entry(Decision::HoldPlaced(Box::new(placed))));
    }
    set.check_invariants().unwrap();
    let gap = Window::new(us(50_005), us(50_010)).unwrap();
    assert_eq!(set.covering(&door, &gap), [HoldId(1)]);
    set.apply(&entry(Decision::HoldEnded { hold: HoldId(1) }));
    assert!(!set.covers(&door, &gap));
    assert!(set.covers(&door, &Window::new(us(50_004), us(50_010)).unwrap()));
    for n in (2..=10_000).rev() {
        set.apply(&entry(Decision::HoldEnded { hold: HoldId(n) }));
    }
    set.check_invariants().unwrap();
    assert!(!set.covers(&door, &Window::new(us(0), us(1_000_000)).unwrap()));
}

/// One step of a random history; numbers are taken modulo what exists.
#[derive(Clone, Debug)]
enum Step {
    Place { ranges: Vec<(u8, i64, i64)> },
    End { hold: usize },
    Release { hold: usize },
    Narrow { hold: usize, camera: u8, start: i64, len: i64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let range = (0..3_u8, 0..60_i64, 1..20_i64);
    let step = prop_oneof![
        4 => prop::collection::vec(range, 1..5).prop_map(|ranges| Step::Place { ranges }),
        2 => any::<usize>().prop_map(|hold| Step::End { hold }),
        1 => any::<usize>().prop_map(|hold| Step::Release { hold }),
        1 => (any::<usize>(), 0..3_u8, 0..60_i64, 1..5_i64)
            .prop_map(|(hold, camera, start, len)| Step::Narrow { hold, camera, start, len }),
    ];
    prop::collection::vec(step, 1..40)
}

fn range((name, start, len): (u8, i64, i64)) -> (CameraId, Window) {
    let window = Window::new(Timestamp::from_micros(start), Timestamp::from_micros(start + len));
    (camera(&format!("c{name}")), window.unwrap())
}

/// The naive model: for each hold in order of placing, its ranges until it ended.
type Model = Vec<Option<Vec<(CameraId, Window)>>>;

fn run(step: Step, ledger: &mut Ledger, model: &mut Model) {
    let pick = |n: usize| HoldId(1 + u64::try_from(n % model.len().max(1)).unwrap());
    let index = |id: HoldId| usize::try_from(id.0 - 1).unwrap();
    let (actor, reason) = (String::new(), String::new());
    match step {
        Step::Place { ranges } => {
            let ranges: Vec<_> = ranges.into_iter().map(range).collect();
            let (first, window) = ranges[0].clone();
            let mut hold = NewHold::new([first], window);
            for (camera, window) in &ranges[1..] {
                hold = hold.also(camera, *window);
            }
            ledger.place(hold);
            model.push(Some(ranges));
        }
        Step::End { hold } => {
            let hold = pick(hold);
            ledger.append(at(0), Decision::HoldEnded { hold });
            if let Some(ranges) = model.get_mut(index(hold)) {
                *ranges = None;
            }
        }
        Step::Release { hold } => {
            let (hold, grace_until) = (pick(hold), at(1));
            ledger.append(at(0), Decision::HoldReleased { hold, grace_until, actor, reason });
        }
        Step::Narrow { hold, camera, start, len } => {
            let (hold, scope) = (pick(hold), vec![range((camera, start, len))]);
            let by = Release::new(ReleaseCause::Owner, "Ann");
            if let Ok(decision) = ledger.set.narrow(hold, scope.clone(), &by) {
                ledger.append(at(0), decision);
                model[index(hold)] = Some(scope);
            }
        }
    }
}

proptest! {
    #[test]
    fn the_set_agrees_with_a_list_of_holds(
        steps in steps(),
        asked in prop::collection::vec((0..4_u8, 0..80_i64, 1..10_i64), 1..20),
    ) {
        let (mut ledger, mut model) = (Ledger::default(), Model::new());
        for step in steps {
            run(step, &mut ledger, &mut model);
        }
        let mut replayed = HoldSet::default();
        ledger.entries.iter().for_each(|entry| replayed.apply(entry));
        for (camera, window) in asked.into_iter().map(range) {
            let meets = |(c, w): &(CameraId, Window)| *c == camera && w.meets(&window);
            let holds: Vec<HoldId> = (1..)
                .map(HoldId)
                .zip(&model)
                .filter(|(_, ranges)| ranges.as_ref().is_some_and(|r| r.iter().any(meets)))
                .map(|(id, _)| id)
                .collect();
            prop_assert_eq!(ledger.set.covers(&camera, &window), !holds.is_empty());
            // Ranges of one hold that touch are one.
            let ranges = || model.iter().flatten().flatten().filter(|(c, _)| *c == camera);
            let covers_all = ledger.set.on(&camera).covers_all(&window);
            prop_assert!(covers_all || !ranges().any(|(_, range)| range.contains(&window)));
            let instants = window.start().as_micros()..window.end().as_micros();
            let is_held = |at: Timestamp| ranges().any(|(_, r)| r.start() <= at && at < r.end());
            let all_held = instants.map(Timestamp::from_micros).all(is_held);
            prop_assert!(!covers_all || all_held);
            prop_assert_eq!(ledger.set.covering(&camera, &window), holds.clone());
            prop_assert_eq!(replayed.covering(&camera, &window), holds);
        }
    }
}
