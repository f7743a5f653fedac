//! The crash matrix of one scenario: runs it once, and from then on only looks at forks of its
//! disk.
//!
//! 1. Before each change that the scenario makes, the disk is forked and what was promised by then
//!    is kept: a moment. After the last change comes one more.
//! 2. Each moment falls: all that is pending kept, all dropped, the process killed; then each
//!    single pending item kept, dropped, torn and garbled; then seeded mixtures without end. Where
//!    the budget has room for all ends and all single fates, none of them is left out.
//! 3. What is left is opened, half of the time with no byte of room, and everything promised is
//!    checked. Before each change that the opening makes, its disk is forked too: those moments
//!    fall in their turn, and so does the one right after opening, when what was in doubt must stay
//!    what it was shown to be.
//!    A store that was opened on a full disk also takes a hold and lets it go.
//! 4. A sample of the states goes on to live: every byte is verified, it records, sweeps, and loses
//!    power again.
//!
//! A state is the durable image that a fall leaves. It counts once for each scenario, however often
//! it is come to; it is checked again when more was promised by then.

use std::collections::HashSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::case::{Case, Fall, Step};
use crate::promises::Broken;
use crate::scenarios::Scenario;
use crate::world::{Moment, World};

/// One in so many states is opened with maps, lives on, and is searched for what is gone.
const LIFE_ONE_IN: u64 = 256;
/// After one in so many falls by power, and after each kill, a clip is stored at once: what a
/// killed
/// process left in memory alone must not carry what is acknowledged now.
const GROWTH_ONE_IN: u64 = 8;
/// When so many rounds of mixtures in a row bring no state that is new, there are hardly any more.
const BARREN_ROUNDS_MAX: u64 = 64;
/// So many falls of one recovery at most.
const INNER_MAX: u64 = 40;
/// So many states a single fate takes at most: its own, and one of its recovery.
const SINGLE_STATES: u64 = 2;
/// The ends of every moment: all that is pending kept, all dropped, killed.
const ENDS: [Fall; 3] = [Fall::Power(1), Fall::Power(0), Fall::Kill];

/// How far to look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// So many distinct states.
    pub(crate) states: u64,
    /// Decides over the order and the mixtures, and is the seed of the disk.
    pub(crate) seed: u64,
    /// And no longer than this.
    pub(crate) until: Option<Instant>,
}

/// What was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Count {
    /// Durable images that differ.
    pub(crate) distinct: u64,
    /// Openings that were checked: the same image counts again with other promises, and killed
    /// processes count here alone.
    pub(crate) checked: u64,
    /// States that went on to live.
    pub(crate) lives: u64,
    /// Changes of the scenario.
    pub(crate) changes: u64,
    /// The budget has room for all ends and all single fates.
    pub(crate) is_whole: bool,
    /// Ends (all kept, all dropped, killed) that there are at all moments, and that were tried.
    pub(crate) ends: u64,
    pub(crate) ends_tried: u64,
    /// Single fates of pending items that there are, and that were tried.
    pub(crate) singles: u64,
    pub(crate) singles_tried: u64,
}

impl Count {
    /// Nothing was looked at.
    pub(crate) const NONE: Self = Self {
        distinct: 0,
        checked: 0,
        lives: 0,
        changes: 0,
        is_whole: true,
        ends: 0,
        ends_tried: 0,
        singles: 0,
        singles_tried: 0,
    };

    /// Counts another scenario in.
    pub(crate) fn add(&mut self, other: &Self) {
        self.distinct += other.distinct;
        self.checked += other.checked;
        self.lives += other.lives;
        self.changes += other.changes;
        self.is_whole &= other.is_whole;
        self.ends += other.ends;
        self.ends_tried += other.ends_tried;
        self.singles += other.singles;
        self.singles_tried += other.singles_tried;
    }
}

/// A promise that was broken, and how to see that again.
#[derive(Debug)]
pub(crate) struct Violation {
    pub(crate) case: Case,
    pub(crate) what: Broken,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}\n  crash state {}\n  replay it, step by step:\n  CLIPKEEP_CRASH_CASE='{}' cargo \
             test --all-features --test it crash::replay -- --nocapture",
            self.what, self.case, self.case
        )
    }
}

/// Looks at the crash states of `scenario` until the budget is used up, there are no more, or a
/// promise is broken.
pub(crate) fn explore(name: &str, scenario: Scenario, budget: Budget) -> Result<Count, Violation> {
    let case = Case { scenario: name.to_owned(), seed: budget.seed, steps: Vec::new() };
    let broken = |what| Violation { case: case.clone(), what };
    let run = quietly(|| Run::of(scenario, budget.seed)).map_err(broken)?;
    let changes = u64::try_from(run.moments.len()).unwrap_or(0) - 1;
    let ends = (changes + 1) * u64::try_from(ENDS.len()).unwrap_or(1);
    let single = |moment: &Moment| moment.disk.crash_patterns().saturating_sub(2);
    let singles = run.moments.iter().map(single).sum();
    let for_ends = budget.states.saturating_sub(SINGLE_STATES * singles);
    let inner = (for_ends / (2 * ends)).clamp(1, INNER_MAX);
    let is_whole = ends * (1 + inner) + SINGLE_STATES * singles <= budget.states;
    let partly = (budget.states / (2 * ends)).clamp(2, INNER_MAX);
    let inner = if is_whole { inner } else { partly };
    let count = Count { changes, is_whole, ends, singles, ..Count::NONE };
    let (states, seen) = (HashSet::new(), HashSet::new());
    Explorer { budget, moments: run.moments, inner, states, seen, count }.all(&case)
}

/// A scenario that was run without a crash.
pub(super) struct Run {
    /// The moment before each change, and the last one.
    pub(super) moments: Vec<Moment>,
    /// Each change in a line.
    pub(super) changes: Vec<String>,
}

impl Run {
    pub(super) fn of(scenario: Scenario, seed: u64) -> Result<Self, Broken> {
        let kept: Arc<Mutex<Vec<(String, Moment)>>> = Arc::default();
        let mut world = World::new(seed, u64::MAX);
        let keep = Arc::clone(&kept);
        world.observe(move |change, moment| {
            let kept = &mut keep.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push((change.to_string(), moment));
        });
        scenario(&mut world).map_err(|error| format!("it fails without a crash: {error}"))?;
        if world.is_open() {
            world.check_quickly()?;
            world.check_deeply()?;
        }
        let last = world.moment();
        world.plug.pull();
        world.close();
        let kept = std::mem::take(&mut *kept.lock().unwrap_or_else(PoisonError::into_inner));
        let (changes, mut moments): (Vec<_>, Vec<_>) = kept.into_iter().unzip();
        moments.push(last);
        Ok(Self { moments, changes })
    }
}

struct Explorer {
    budget: Budget,
    moments: Vec<Moment>,
    /// How many falls of a recovery are tried.
    inner: u64,
    /// The durable images so far.
    states: HashSet<u64>,
    /// The same, with the promises that they were checked against.
    seen: HashSet<(u64, u64)>,
    count: Count,
}

impl Explorer {
    fn all(mut self, scenario: &Case) -> Result<Count, Violation> {
        self.ends(scenario)?;
        self.singles(scenario)?;
        self.mixtures(scenario)?;
        self.count.distinct = self.distinct();
        Ok(self.count)
    }

    fn distinct(&self) -> u64 {
        u64::try_from(self.states.len()).unwrap_or(u64::MAX)
    }

    /// Whether `share` percent of the budget are used up.
    #[expect(clippy::disallowed_methods, reason = "a long run ends when its time is over")]
    fn is_used_up(&self, share: u64) -> bool {
        self.distinct() >= self.budget.states * share / 100
            || self.budget.until.is_some_and(|until| Instant::now() >= until)
    }

    /// Whether what must come first ends here, `share` percent of the budget being used up: not
    /// where there is room for all of it.
    fn gives_up(&self, share: u64) -> bool {
        self.is_used_up(if self.count.is_whole { 200 } else { share })
    }

    /// Everything kept, everything dropped, killed: at every moment.
    fn ends(&mut self, scenario: &Case) -> Result<(), Violation> {
        let mut order: Vec<usize> = (0..self.moments.len()).collect();
        shuffle(&mut order, self.budget.seed);
        for changes in order {
            for fall in ENDS {
                if self.gives_up(60) {
                    return Ok(());
                }
                self.count.ends_tried += 1;
                self.visit(&scenario.then(Step { changes, fall }), self.inner)?;
            }
        }
        Ok(())
    }

    /// Every pending item kept, dropped, torn and garbled, alone.
    fn singles(&mut self, scenario: &Case) -> Result<(), Violation> {
        let mut singles = Vec::new();
        for (changes, moment) in self.moments.iter().enumerate() {
            let patterns = 2..moment.disk.crash_patterns();
            singles.extend(patterns.map(|n| Step { changes, fall: Fall::Power(n) }));
        }
        shuffle(&mut singles, self.budget.seed);
        for step in singles {
            if self.gives_up(90) {
                break;
            }
            self.count.singles_tried += 1;
            self.visit(&scenario.then(step), 1)?;
        }
        Ok(())
    }

    /// Each item for itself, by seed, until nothing new comes of it for long.
    fn mixtures(&mut self, scenario: &Case) -> Result<(), Violation> {
        let listed: Vec<u64> =
            self.moments.iter().map(|moment| moment.disk.crash_patterns()).collect();
        let (mut round, mut barren) = (0, 0);
        while barren < BARREN_ROUNDS_MAX {
            let before = self.distinct();
            for (changes, listed) in listed.iter().enumerate() {
                if self.is_used_up(100) {
                    return Ok(());
                }
                // Every moment has mixtures of its own: with the same for all, a poor one would
                // be poor everywhere.
                let own = self.budget.seed ^ draw(round, listed + 1);
                let n = listed + draw(own, u64::try_from(changes).unwrap_or(0)) % (1 << 32);
                self.visit(&scenario.then(Step { changes, fall: Fall::Power(n) }), 2)?;
            }
            barren = if self.distinct() == before { barren + 1 } else { 0 };
            round += 1;
        }
        Ok(())
    }

    /// Comes to the state that `case` names, checks it, and lets its recovery fall `inner` times.
    fn visit(&mut self, case: &Case, inner: u64) -> Result<(), Violation> {
        let step = case.steps[0];
        let after = fallen(&self.moments[step.changes], step.fall);
        let grows = step.fall == Fall::Kill || self.count.checked.is_multiple_of(GROWTH_ONE_IN);
        let Some(moments) = self.look(case, after, step.fall, grows)? else { return Ok(()) };
        let count = u64::try_from(moments.len()).unwrap_or(1);
        for turn in 0..inner {
            // The end, and all moments one after the other, if there are turns enough; else some.
            let seed = draw(self.budget.seed ^ self.count.checked, turn);
            let pick = if inner >= count { count - 1 - turn % count } else { seed % count };
            let changes = usize::try_from(pick).unwrap_or(0);
            let fall = match (turn / count, seed >> 32 & 7) {
                (0, 0..4) => Fall::Power(1),
                (_, 4) => Fall::Kill,
                (1, _) => Fall::Power(0),
                (_, way) => Fall::Power(2 + (seed >> 40 & 63) * u64::from(way > 1)),
            };
            let case = case.then(Step { changes, fall });
            let after = fallen(&moments[changes], fall);
            self.look(&case, after, fall, false)?;
        }
        Ok(())
    }

    /// Opens and checks what a fall has left, unless that was seen; answers the moments of opening.
    fn look(
        &mut self,
        case: &Case,
        after: Moment,
        fall: Fall,
        grows: bool,
    ) -> Result<Option<Vec<Moment>>, Violation> {
        let image = after.disk.fingerprint();
        if fall != Fall::Kill {
            self.states.insert(image);
            if !self.seen.insert((image, after.version())) {
                return Ok(None);
            }
        }
        self.count.checked += 1;
        // Not by the bit that says whether the disk is full.
        let lives = (image >> 8).is_multiple_of(LIFE_ONE_IN);
        self.count.lives += u64::from(lives);
        let opened = quietly(|| survive(after, grows, lives, None));
        opened.map(Some).map_err(|what| Violation { case: case.clone(), what })
    }
}

/// What a fall leaves of a moment.
pub(super) fn fallen(moment: &Moment, fall: Fall) -> Moment {
    match fall {
        Fall::Kill => moment.killed(),
        Fall::Power(n) => moment.powered_off(n),
    }
}

/// Told of each change of a recovery.
pub(super) type Teller = Arc<dyn Fn(&str) + Send + Sync>;

/// Opens what is left after a fall and checks what was promised; `grows` by a clip, and `lives` on.
/// Answers the moments of opening and growing, and the ones behind them.
pub(super) fn survive(
    after: Moment,
    grows: bool,
    lives: bool,
    tell: Option<Teller>,
) -> Result<Vec<Moment>, Broken> {
    let full = is_full(&after);
    let mut world = after.world();
    world.squeeze(full);
    let kept: Arc<Mutex<Vec<Moment>>> = Arc::default();
    let keep = Arc::clone(&kept);
    world.observe(move |change, moment| {
        if let Some(tell) = &tell {
            tell(&change.to_string());
        }
        keep.lock().unwrap_or_else(PoisonError::into_inner).push(moment);
    });
    let reads = world.disk.stats().reads;
    let opened = if lives { world.open() } else { world.open_copying() };
    opened.map_err(|error| format!("it does not open: {error}"))?;
    world.check_opening_reads(reads)?;
    let seen = world.check_quickly()?;
    world.settle(&seen);
    let keep = |moment| kept.lock().unwrap_or_else(PoisonError::into_inner).push(moment);
    keep(world.moment());
    if grows {
        world.grow(full)?;
        keep(world.moment());
    }
    let moments = std::mem::take(&mut *kept.lock().unwrap_or_else(PoisonError::into_inner));
    if full {
        world.decide()?;
    }
    if lives {
        world.check_deeply()?;
        world.go_on()?;
    }
    world.plug.pull();
    world.close();
    Ok(moments)
}

/// Whether what a fall has left is opened without a byte of room: every other store.
pub(super) fn is_full(after: &Moment) -> bool {
    after.disk.fingerprint() & 1 == 1 && after.disk.contents("STORE").is_some()
}

/// A panic is a broken promise too.
fn quietly<T>(act: impl FnOnce() -> Result<T, Broken>) -> Result<T, Broken> {
    catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("it panics: {}", text.unwrap_or_default()))
    })
}

/// Number `turn` of the random numbers of `seed`.
pub(super) fn draw(seed: u64, turn: u64) -> u64 {
    super::below(seed, turn, u64::MAX)
}

fn shuffle<T>(items: &mut [T], seed: u64) {
    for last in (1..items.len()).rev() {
        let bound = u64::try_from(last + 1).unwrap_or(1);
        let turn = u64::try_from(last).unwrap_or(0);
        let other = super::below(seed, turn, bound);
        items.swap(last, usize::try_from(other).unwrap_or(0));
    }
}
