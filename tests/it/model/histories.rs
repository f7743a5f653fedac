//! Strategies: which histories are tried, and how often each step comes.

use clipkeep::vfs::sim::SimOp;
use clipkeep::{HoldCause, ReleaseCause, WhenFull};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::harm::{FAILING, LOOKING};
use super::step::{Crash, House, Meanwhile, Pause, Reading, Step, WallStep};

/// The most scenes of one history.
const SCENES_MAX: usize = 40;

/// A house and what happens in it: single steps, and scenes of several without which chance alone
/// would seldom lead to where it matters.
pub(crate) fn histories() -> impl Strategy<Value = (House, Vec<Step>)> {
    let scene = prop_oneof![5 => steps().prop_map(|step| vec![step]), 1 => scenes()];
    let scenes = prop::collection::vec(scene, 1..=SCENES_MAX);
    (houses(), scenes.prop_map(|scenes| scenes.concat()))
}

fn scenes() -> impl Strategy<Value = Vec<Step>> {
    prop_oneof![
        2 => Just(expiry().to_vec()),
        3 => (any::<u8>(), any::<bool>()).prop_map(|(camera, is_unsure)| held(camera, is_unsure)),
        3 => (0..40_u8, crashes()).prop_map(|(after, crash)| cut_off_expiry(after, crash)),
        2 => (any::<u8>(), select(LOOKING.to_vec()), 1..12_u8)
            .prop_map(|(camera, op, nth)| held_and_unreadable(camera, op, nth)),
        3 => (any::<u8>(), any::<u8>()).prop_map(|(camera, clip)| crowded(camera, clip)),
        1 => (any::<u8>(), any::<bool>())
            .prop_map(|(camera, is_same)| asked_twice(camera, is_same)),
        2 => (any::<u8>(), sizes(), any::<bool>())
            .prop_map(|(camera, kib, is_finished)| recorded(camera, kib, is_finished)),
    ]
}

/// What is there is sealed, gets too old, and goes.
fn expiry() -> [Step; 4] {
    [Step::Tick(Pause::Minutes(11)), Step::Sweep, Step::Tick(Pause::Hours(9)), Step::Sweep]
}

/// Of three clips one is held, perhaps only because its camera's clock is unsure.
fn held(camera: u8, is_unsure: bool) -> Vec<Step> {
    let append =
        |camera: u8, minutes_ago, unsure| Step::Append { camera, minutes_ago, kib: 60, unsure };
    let place = Step::Place {
        camera,
        cause: HoldCause::Keep,
        minutes_ago: if is_unsure { 55 } else { 60 },
        minutes: 5,
        key: None,
        hours: 100,
    };
    let others = [append(camera, 20, false), append(camera.wrapping_add(1), 60, false)];
    let start = [append(camera, 60, is_unsure)].into_iter().chain(others).chain([place]);
    start.chain(expiry()).collect()
}

/// The answer was lost, and the same hold, or another one, is placed with the same key.
fn asked_twice(camera: u8, is_same: bool) -> Vec<Step> {
    let place = |camera| Step::Place {
        camera,
        cause: HoldCause::Request,
        minutes_ago: 0,
        minutes: 1,
        key: Some(0),
        hours: 100,
    };
    vec![place(camera), place(if is_same { camera } else { camera.wrapping_add(1) })]
}

/// A recording of several fragments, which ends as it should or is let go.
fn recorded(camera: u8, kib: u16, is_finished: bool) -> Vec<Step> {
    let end = if is_finished {
        Step::Finish { recording: 0 }
    } else {
        Step::DropRecording { recording: 0 }
    };
    let begin = Step::Begin { camera, minutes_ago: 30 };
    let write = Step::Write { recording: 0, kib };
    vec![begin, write, write, Step::Tick(Pause::Seconds(40)), write, end]
}

/// The process ends somewhere inside the sweep that lets things go.
fn cut_off_expiry(after: u8, crash: Crash) -> Vec<Step> {
    let [wait, seal, age, sweep] = expiry();
    vec![wait, seal, age, Step::Cut { after, crash }, sweep, Step::Sweep]
}

/// A held clip cannot be read when it is to be moved; the next sweeps are as they should be.
fn held_and_unreadable(camera: u8, op: SimOp, nth: u8) -> Vec<Step> {
    let mut steps = held(camera, false);
    steps.pop();
    let failing = Step::FailRead { op, nth, meanwhile: Meanwhile::Sweep };
    steps.extend([failing, Step::Sweep, Step::Reopen, Step::Sweep]);
    steps
}

/// More comes in than there is room for, while somebody watches an old clip.
fn crowded(camera: u8, clip: u8) -> Vec<Step> {
    let large = Step::Append { camera, minutes_ago: 5, kib: 3_000, unsure: false };
    let before = [large, Step::Seal, Step::Lease { clip }];
    let after = [Step::Sweep, Step::EndLease { lease: 0 }];
    before.into_iter().chain([large; 7]).chain(after).collect()
}

fn houses() -> impl Strategy<Value = House> {
    let quota = option::weighted(0.4, 4..8_u8);
    let when_full = select(vec![WhenFull::DropOldest, WhenFull::Refuse]);
    (quota, when_full, prop::bool::weighted(0.8), any::<u64>()).prop_map(
        |(quota, when_full, reserve, disk_seed)| House { quota, when_full, reserve, disk_seed },
    )
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => recording(),
        12 => holding(),
        10 => looking(),
        16 => passing(),
        12 => Just(Step::Sweep),
        8 => deciding(),
        8 => restarting(),
        6 => harming(),
        8 => failing_reads(),
    ]
}

/// Mostly small; now and then one that runs over the end of a segment.
fn sizes() -> impl Strategy<Value = u16> {
    prop_oneof![12 => 1..40_u16, 3 => 100..400_u16, 3 => 1_000..3_000_u16]
}

fn recording() -> impl Strategy<Value = Step> {
    let append = (any::<u8>(), 1..90_u16, sizes(), prop::bool::weighted(0.2));
    prop_oneof![
        5 => append.prop_map(|(camera, minutes_ago, kib, unsure)| {
            Step::Append { camera, minutes_ago, kib, unsure }
        }),
        3 => (any::<u8>(), 10..90_u16)
            .prop_map(|(camera, minutes_ago)| Step::Begin { camera, minutes_ago }),
        5 => (any::<u8>(), sizes()).prop_map(|(recording, kib)| Step::Write { recording, kib }),
        2 => any::<u8>().prop_map(|recording| Step::Finish { recording }),
        1 => any::<u8>().prop_map(|recording| Step::DropRecording { recording }),
    ]
}

fn holding() -> impl Strategy<Value = Step> {
    use HoldCause::{Disclosure, Keep, Order, Provisional, Request};
    use ReleaseCause::{Denied, Disclosed, Ended, Owner, Rejected, Withdrawn};
    let cause = select(vec![Keep, Keep, Keep, Request, Request, Order, Disclosure, Provisional]);
    let key = option::weighted(0.2, 0..3_u8);
    let place = (any::<u8>(), cause, 0..120_u16, 1..120_u16, key, 0..120_u8);
    let release = select(vec![Owner, Owner, Denied, Ended, Withdrawn, Disclosed, Rejected]);
    prop_oneof![
        6 => place.prop_map(|(camera, cause, minutes_ago, minutes, key, hours)| {
            Step::Place { camera, cause, minutes_ago, minutes, key, hours }
        }),
        1 => (any::<u8>(), 1..=100_u8)
            .prop_map(|(hold, keep_percent)| Step::Narrow { hold, keep_percent }),
        3 => (any::<u8>(), release).prop_map(|(hold, cause)| Step::Release { hold, cause }),
        1 => (any::<u8>(), 1..400_u16).prop_map(|(hold, hours)| Step::Renew { hold, hours }),
    ]
}

fn looking() -> impl Strategy<Value = Step> {
    let reading = prop_oneof![
        Just(Reading::Whole),
        Just(Reading::Copied),
        (any::<u8>(), any::<u8>()).prop_map(|(from, to)| Reading::Range(from, to)),
    ];
    prop_oneof![
        2 => (any::<u8>(), 0..200_u16, 1..100_u16).prop_map(|(camera, minutes_ago, minutes)| {
            Step::Query { camera, minutes_ago, minutes }
        }),
        2 => (any::<u8>(), any::<bool>())
            .prop_map(|(clip, before)| Step::QueryBeside { clip, before }),
        2 => (any::<u8>(), reading).prop_map(|(clip, reading)| Step::Read { clip, reading }),
        2 => any::<u8>().prop_map(|clip| Step::Lease { clip }),
        1 => any::<u8>().prop_map(|lease| Step::EndLease { lease }),
    ]
}

fn pauses() -> impl Strategy<Value = Pause> {
    prop_oneof![
        2 => (1..60_u8).prop_map(Pause::Seconds),
        6 => (1..60_u8).prop_map(Pause::Minutes),
        6 => (1..6_u8).prop_map(Pause::Hours),
        1 => (1..12_u8).prop_map(Pause::Days),
    ]
}

fn passing() -> impl Strategy<Value = Step> {
    let wall = prop_oneof![
        2 => pauses().prop_map(WallStep::Forward),
        2 => pauses().prop_map(WallStep::Back),
        1 => (1..50_u8).prop_map(WallStep::YearsForward),
        1 => (1..50_u8).prop_map(WallStep::YearsBack),
        1 => Just(WallStep::To1970),
        1 => Just(WallStep::Freeze),
        3 => Just(WallStep::Right),
    ];
    prop_oneof![
        24 => pauses().prop_map(Step::Tick),
        4 => wall.prop_map(Step::Wall),
        1 => Just(Step::ConfirmClock),
    ]
}

fn deciding() -> impl Strategy<Value = Step> {
    let retain = (option::weighted(0.8, any::<u8>()), any::<u8>(), any::<bool>());
    prop_oneof![
        3 => any::<u8>().prop_map(|clip| Step::Delete { clip }),
        1 => any::<u8>().prop_map(|clip| Step::Erase { clip }),
        3 => retain.prop_map(|(camera, choice, existing)| {
            Step::Retain { camera, choice, existing }
        }),
        2 => Just(Step::Seal),
        1 => any::<u8>().prop_map(|camera| Step::RemoveCamera { camera }),
    ]
}

fn crashes() -> impl Strategy<Value = Crash> {
    let again = option::weighted(0.3, 0..30_u8);
    (any::<bool>(), again, prop::bool::weighted(0.2), pauses())
        .prop_map(|(power, again_after, full, off)| Crash { power, again_after, full, off })
}

fn restarting() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => crashes().prop_map(Step::Crash),
        4 => (0..40_u8, crashes()).prop_map(|(after, crash)| Step::Cut { after, crash }),
        1 => Just(Step::Reopen),
    ]
}

/// A read fails while something is done that reads: most often one of the first few.
fn failing_reads() -> impl Strategy<Value = Step> {
    let nth = prop_oneof![3 => 1..5_u8, 2 => 5..40_u8];
    let meanwhile = prop_oneof![
        2 => (any::<u8>(), any::<bool>())
            .prop_map(|(clip, copied)| Meanwhile::Read { clip, copied }),
        1 => Just(Meanwhile::Sweep),
        3 => Just(Meanwhile::Open),
    ];
    let op = select([[SimOp::Read; 3].as_slice(), &[SimOp::Map; 3], &LOOKING].concat());
    (op, nth, meanwhile).prop_map(|(op, nth, meanwhile)| Step::FailRead { op, nth, meanwhile })
}

fn harming() -> impl Strategy<Value = Step> {
    let bit = 0..8_u8;
    prop_oneof![
        6 => prop_oneof![0..64_u16, 4_000..9_000_u16].prop_map(|kib| Step::Fill { kib }),
        6 => Just(Step::Free),
        6 => (any::<u8>(), any::<u8>(), bit.clone())
            .prop_map(|(clip, at, bit)| Step::FlipPayload { clip, at, bit }),
        6 => (any::<u8>(), any::<u16>(), bit.clone())
            .prop_map(|(file, at, bit)| Step::FlipMetadata { file, at, bit }),
        6 => (any::<bool>(), any::<u16>(), bit)
            .prop_map(|(second_copy, at, bit)| Step::FlipLedger { second_copy, at, bit }),
        2 => any::<u16>().prop_map(|at| Step::LoseLedger { at }),
        6 => (select(FAILING.to_vec()), 1..10_u8)
            .prop_map(|(op, nth)| Step::Fail { op, nth }),
    ]
}
