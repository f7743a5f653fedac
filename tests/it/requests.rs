//! Requests and power cuts: at any point of any transition, state and holds agree, and what was
//! answered stays answered.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clipkeep::requests::{
    AgencyId, Area, ByRule, Chosen, Desk, HouseholdId, NewHousehold, Place, PostId, Refusal,
    RequestId, Rules, Submission, Text,
};
use clipkeep::vfs::Vfs;
use clipkeep::vfs::sim::SimVfs;
use clipkeep::{CameraId, ClipId, ClockStatus, ManualClock, NewClip, Store, Timestamp, Window};

use crate::plug::Plug;
use crate::store_kit::{DAY, SEGMENT_BYTES, at, minutes};

/// Only so many ways of losing power are tried at each moment; the first ones drop, keep and tear
/// each pending item alone.
const PATTERNS_MAX: u64 = 24;

const CLIP: &[u8] = b"a clip";

fn agency() -> AgencyId {
    "springfield-pd".parse().unwrap()
}

fn camera(home: u32) -> CameraId {
    format!("door-{home}").parse().unwrap()
}

fn open(disk: impl Vfs + 'static, clock: &ManualClock) -> Result<Desk, Refusal> {
    let options = Store::options()
        .segment_bytes(SEGMENT_BYTES)
        .free_space_floor(0)
        .evidence_reserve(SEGMENT_BYTES)
        // Room for one request over all homes with a clip each.
        .hold_budget(4 * u64::try_from(CLIP.len()).unwrap())
        .vfs(disk)
        .clock(clock.clone());
    let (mut rules, mut rule) = (Rules::default(), ByRule::of(vec!["package theft".to_owned()]));
    // The story's request comes days after what it is about.
    rule.reach = rules.reach;
    rules.by_rule = Some(rule);
    Desk::open(options.open("store")?, rules)
}

fn submission(key: &str) -> Submission {
    Submission {
        key: key.to_owned(),
        window: minutes(600, 660).into(),
        area: Area::Circle { center: Place { lat: 40.0, lon: -75.0 }, radius_m: 300.0 },
        incident: format!("incident of {key}"),
        kind: "theft".to_owned(),
        contact: "officer".to_owned(),
        words: String::new(),
    }
}

/// The story, a step at a time: each is acknowledged before the next one begins.
struct Story {
    clock: ManualClock,
    clips: Vec<ClipId>,
}

type Step = fn(&mut Story, &Desk) -> Result<(), Refusal>;

const REQUEST: RequestId = RequestId(1);

const WORDS_GO: &str = "the words of all requests go";
const KEY_GOES: &str = "the key of their tokens goes";

/// Every transition of a request's life at least once.
const STEPS: [(&str, Step); 35] = [
    ("an agency joins", |_, desk| desk.join_agency(&agency(), "desk")),
    ("four homes join", |_, desk| {
        for home in 1..=4 {
            let lat = 40.0 + f64::from(home) * 0.000_1;
            let cameras = vec![(Text(camera(home)), Place { lat, lon: -75.0 })];
            desk.join_household(&NewHousehold { cameras, contact: "resident".to_owned() })?;
        }
        Ok(())
    }),
    ("clips come", |story, desk| {
        story.record(desk, at(610))?;
        story.clock.advance(DAY);
        Ok(())
    }),
    ("a request comes", |_, desk| desk.submit(&agency(), &sent(1)).map(drop)),
    ("a home opts out", |_, desk| desk.opt_out(HouseholdId(4))),
    ("it is approved", |_, desk| desk.approve(REQUEST).map(drop)),
    ("a home is told", |_, desk| desk.noticed(REQUEST, HouseholdId(1), true)),
    ("one accepts", |story, desk| desk.accept(HouseholdId(1), REQUEST, &story.chosen(0))),
    ("one denies", |_, desk| desk.deny(HouseholdId(2), REQUEST)),
    ("it takes that back", |_, desk| desk.undo_denial(HouseholdId(2), REQUEST)),
    ("and denies again", |_, desk| desk.deny(HouseholdId(2), REQUEST)),
    ("an order comes", |_, desk| desk.order(REQUEST, HouseholdId(3), 20 * DAY).map(drop)),
    ("it is renewed", |_, desk| desk.renew(&agency(), REQUEST).map(drop)),
    ("one is fetched", |story, desk| {
        desk.acknowledge(&agency(), REQUEST, &story.clips[..1]).map(drop)
    }),
    ("one is posted", |story, desk| desk.post(HouseholdId(1), story.clips[0]).map(drop)),
    ("one is erased", |story, desk| desk.erase(HouseholdId(2), story.clips[1])),
    ("the deadline passes", |story, desk| {
        story.clock.advance(28 * DAY);
        desk.settle()
    }),
    ("the post is taken out", |_, desk| desk.withdraw_post(HouseholdId(1), PostId(1))),
    ("a second comes", |_, desk| desk.submit(&agency(), &sent(2)).map(drop)),
    ("it is rejected", |_, desk| desk.reject(RequestId(2))),
    ("a third comes", |_, desk| desk.submit(&agency(), &sent(3)).map(drop)),
    ("a home opts in", |_, desk| desk.opt_in(HouseholdId(4))),
    ("a rule lets another through", |_, desk| {
        desk.submit(&agency(), &sent(4))?;
        desk.settle()
    }),
    ("more clips come", |story, desk| story.record(desk, on_day(27))),
    // What the first one held of the third home is in its grace.
    ("one comes that there is no room for", |_, desk| desk.submit(&agency(), &sent(5)).map(drop)),
    ("it is opened and asks nobody", |_, desk| {
        desk.approve(RequestId(5)).map(|done| assert_eq!((done.asked, done.not_asked), (0, 4)))
    }),
    ("a home makes room", |_, desk| desk.opt_out(HouseholdId(4))),
    ("the others are asked late", |_, desk| {
        desk.approve(RequestId(5)).map(|done| assert_eq!((done.asked, done.not_asked), (3, 0)))
    }),
    ("one of them denies", |_, desk| desk.deny(HouseholdId(1), RequestId(5))),
    ("the agency is suspended", |_, desk| desk.suspend_agency(&agency())),
    ("and reinstated", |_, desk| desk.reinstate_agency(&agency())),
    (WORDS_GO, |story, desk| {
        story.clock.advance(91 * DAY);
        desk.settle()
    }),
    ("one comes much later", |_, desk| desk.submit(&agency(), &sent(6)).map(drop)),
    (KEY_GOES, |story, desk| {
        story.clock.advance(2 * DAY);
        desk.settle()
    }),
    ("a home leaves", |_, desk| desk.leave(HouseholdId(3))),
];

/// The steps in which a submission comes, in the order of the requests that they make.
const COMING: [&str; 6] = [
    "a request comes",
    "a second comes",
    "a third comes",
    "a rule lets another through",
    "one comes that there is no room for",
    "one comes much later",
];

fn on_day(day: u32) -> Timestamp {
    at(0).saturating_add(day * DAY)
}

/// What makes request `number`.
fn sent(number: u32) -> Submission {
    let day = match number {
        1 => return submission("k1"),
        2..=4 => 20,
        5 => 27,
        _ => 119,
    };
    let window = Window::starting(on_day(day), Duration::from_hours(1)).unwrap();
    let kind = if number == 4 { "package theft" } else { "theft" }.to_owned();
    Submission { window: window.into(), kind, ..submission(&format!("k{number}")) }
}

fn index_of(step: &str) -> usize {
    STEPS.iter().position(|(name, _)| *name == step).unwrap()
}

impl Story {
    /// A clip of each home, of a minute from `start` on.
    fn record(&mut self, desk: &Desk, start: Timestamp) -> Result<(), Refusal> {
        for home in 1..=4 {
            let window = Window::starting(start, Duration::from_mins(1))?;
            let clip = desk.store().append(NewClip::new(&camera(home), window), CLIP)?;
            self.clips.push(clip.id());
        }
        Ok(())
    }

    fn chosen(&self, index: usize) -> Vec<Chosen> {
        vec![Chosen { clip: Text(self.clips[index]), part: None }]
    }
}

/// Everything that anybody is told.
fn told(desk: &Desk) -> String {
    let views = desk.agency_views(&agency()).unwrap_or_default();
    let homes = (1..=4).map(|home| desk.asked(HouseholdId(home)).unwrap_or_default());
    let homes: Vec<_> = homes.collect();
    let (screening, notices) = (desk.screening().unwrap(), desk.notices().unwrap());
    let all = (views, homes, desk.feed(), desk.partners(), screening);
    format!("{} {notices:?}", serde_json::to_string(&all).unwrap())
}

/// A disk in the middle of the story.
struct Moment {
    disk: SimVfs,
    wall: Timestamp,
    acknowledged: usize,
    change: String,
}

/// Runs the story, and keeps the disk before each of its changes, and what is told after each step.
fn run() -> (Vec<Moment>, Vec<String>) {
    let disk = SimVfs::new(7);
    let clock = ManualClock::at(at(0));
    let moments: Arc<Mutex<Vec<Moment>>> = Arc::default();
    let done = Arc::new(AtomicUsize::new(0));
    let desk = {
        let outer = clock.clone();
        let (disk, clock) = (disk.clone(), clock.clone());
        let (moments, done) = (Arc::clone(&moments), Arc::clone(&done));
        let plug = Plug::observed(&disk.clone(), move |change| {
            moments.lock().unwrap().push(Moment {
                disk: disk.fork(1),
                wall: clipkeep::Clock::wall(&clock),
                acknowledged: done.load(Ordering::SeqCst),
                change: change.to_string(),
            });
        });
        open(plug, &outer).unwrap()
    };
    let mut story = Story { clock, clips: Vec::new() };
    let mut after = vec![told(&desk)];
    for (name, step) in STEPS {
        step(&mut story, &desk).unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        assert_eq!(desk.disagreements(), Vec::<String>::new(), "{name}");
        done.fetch_add(1, Ordering::SeqCst);
        after.push(told(&desk));
    }
    drop(desk);
    let mut moments = std::mem::take(&mut *moments.lock().unwrap());
    moments.push(Moment {
        disk: disk.fork(1),
        wall: clipkeep::Clock::wall(&story.clock),
        acknowledged: STEPS.len(),
        change: "nothing more".to_owned(),
    });
    (moments, after)
}

/// Opens what a power cut left, and checks it against what was acknowledged.
fn check(disk: &SimVfs, moment: &Moment, after: &[String]) -> Result<(), String> {
    let clock = ManualClock::at(moment.wall);
    let desk = open(disk.clone(), &clock).map_err(|refusal| format!("opening: {refusal}"))?;
    let disagreements = desk.disagreements();
    if !disagreements.is_empty() {
        return Err(disagreements.join("; "));
    }
    let now = told(&desk);
    let allowed = &after[moment.acknowledged..(moment.acknowledged + 2).min(after.len())];
    // Four homes join in one step, one after the other.
    let joining = STEPS.get(moment.acknowledged).is_some_and(|step| step.0 == "four homes join");
    if !allowed.contains(&now) && !joining {
        return Err(format!("told {now}\n  want one of {allowed:#?}"));
    }
    let orphans = left_behind(disk, &desk, moment.acknowledged);
    if !orphans.is_empty() {
        return Err(format!("left behind: {orphans:?}"));
    }
    submit_again(disk, &desk, moment.acknowledged, after)
}

/// The private records that nothing on record explains.
fn left_behind(disk: &SimVfs, desk: &Desk, acknowledged: usize) -> Vec<String> {
    let requests = desk.agency_views(&agency()).map_or(0, |views| views.len());
    let is_done = |step: &str| acknowledged > index_of(step);
    let named = |path: &String| {
        let id = path.trim_start_matches("private/").trim_end_matches(".json");
        match id {
            "key-1" => requests >= 1 && !is_done(KEY_GOES),
            "key-2" => requests >= 6,
            "h3" if is_done("a home leaves") => false,
            "r1" | "r2" | "r3" | "r4" | "r5" if is_done(WORDS_GO) => false,
            "agency-springfield-pd" => !desk.partners().is_empty(),
            _ => {
                id.parse().is_ok_and(|home| desk.asked(home).is_ok())
                    || id.parse().is_ok_and(|id| desk.agency_view(&agency(), id).is_ok())
            }
        }
    };
    let records = disk.files().into_iter().filter(|path| path.starts_with("private/"));
    records.filter(|path| !named(path)).collect()
}

/// What was submitted comes again, as from somebody who heard no answer: what is on record answers
/// the same request as long as its key is there, and nothing changes. What was cut off is taken in.
fn submit_again(
    disk: &SimVfs,
    desk: &Desk,
    acknowledged: usize,
    after: &[String],
) -> Result<(), String> {
    let before = told(desk);
    let has_key = disk.files().iter().any(|path| path == "private/key-1.json");
    let suspended = desk.partners().iter().any(|partner| partner.suspended);
    for (number, step) in (1..).zip(COMING) {
        let is_new = index_of(step) == acknowledged;
        // It is not yet the time that it was, where nothing was written since.
        let in_doubt = desk.store().clock_status() != ClockStatus::Agrees;
        if index_of(step) > acknowledged || (is_new && in_doubt) {
            break;
        }
        let answer = desk.submit(&agency(), &sent(number));
        let as_it_must_be = match &answer {
            Ok(view) => view.request.0 == RequestId(number) && (has_key || is_new || number == 6),
            Err(Refusal::NotPartner(_)) => suspended,
            Err(Refusal::Invalid(_)) => !has_key && number < 6 && !is_new,
            Err(_) => false,
        };
        if !as_it_must_be {
            return Err(format!("submission {number} comes again: {answer:?}"));
        }
        let want = if is_new {
            desk.settle().map_err(|refusal| refusal.to_string())?;
            &after[acknowledged + 1]
        } else {
            &before
        };
        let now = told(desk);
        if now != *want {
            return Err(format!("submission {number} comes again: {now}\n  want {want}"));
        }
    }
    Ok(())
}

#[test]
fn after_a_power_cut_at_any_point_of_any_transition_state_and_holds_agree() {
    let (moments, after) = run();
    assert!(moments.len() > 120, "{} changes", moments.len());
    let mut seen = HashSet::new();
    let mut opened = 0_u64;
    for moment in moments.iter().filter(|moment| moment.acknowledged > 0) {
        let patterns = moment.disk.crash_patterns().min(PATTERNS_MAX);
        for pattern in 0..=patterns {
            // The last one kills the process alone.
            let fallen = if pattern == patterns {
                moment.disk.fork(2)
            } else {
                moment.disk.fork(2).crash_pattern(pattern)
            };
            if pattern < patterns && !seen.insert((fallen.fingerprint(), moment.acknowledged)) {
                continue;
            }
            opened += 1;
            // Opening may be cut off too.
            if opened.is_multiple_of(16) {
                for allowed in 0..6 {
                    let again = fallen.fork(3);
                    let clock = ManualClock::at(moment.wall);
                    drop(open(Plug::new(&again, allowed), &clock));
                    let left = again.crash();
                    if let Err(what) = check(&left, moment, &after) {
                        panic!("{what}\n  opening cut off, before: {}", moment.change);
                    }
                }
            }
            if let Err(what) = check(&fallen, moment, &after) {
                panic!(
                    "{what}\n  after step {} ({:?}), before: {}, pattern {pattern}",
                    moment.acknowledged,
                    STEPS.get(moment.acknowledged).map(|step| step.0),
                    moment.change
                );
            }
        }
    }
    println!(
        "REQUESTS crash states: {opened} opened, {} distinct, {} changes",
        seen.len(),
        moments.len()
    );
}
