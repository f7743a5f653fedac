//! Crashes one by one: every way a few pending items can go, then each item's own ways, then seeds.

use super::content::wide;
use super::crash::{Fate, Fates, SimChange};
use super::rng::mix;

/// Up to so many pending items, every choice of which are kept is made.
const SUBSETS_ITEMS_MAX: usize = 6;

/// One way for a crash to go.
#[derive(Debug)]
pub(super) enum Pattern {
    /// The items whose bits are set are kept.
    Subset(u64),
    /// All the same, but one.
    Single { item: usize, fate: Fate, others: Fate },
    /// By seed, each item for itself.
    Seeded(Fates),
}

impl Pattern {
    /// The `n`th crash of these pending items: never ends, seeds follow what can be listed.
    pub(super) fn nth(n: u64, items: &[SimChange]) -> Self {
        let listed = usize::try_from(n).ok().and_then(|n| listed(items).nth(n));
        listed.unwrap_or_else(|| Self::Seeded(Fates::mixed(mix(n))))
    }

    /// How many are listed before the seeds begin.
    pub(super) fn count(items: &[SimChange]) -> u64 {
        wide(listed(items).count())
    }

    /// What becomes of item number `item`.
    pub(super) fn fate(&mut self, item: usize, change: &SimChange) -> Fate {
        match self {
            Self::Subset(kept) if *kept >> item.min(63) & 1 == 1 => Fate::Keep,
            Self::Subset(_) => Fate::Drop,
            Self::Single { item: one, fate, .. } if *one == item => *fate,
            Self::Single { others, .. } => *others,
            Self::Seeded(fates) => fates.choose(change),
        }
    }
}

/// All kept, all lost; each subset, or each item against the others; each item torn and old.
fn listed(items: &[SimChange]) -> impl Iterator<Item = Pattern> {
    let few = items.len() <= SUBSETS_ITEMS_MAX;
    let subsets = if few { 1..(1_u64 << items.len()) - 1 } else { 0..0 };
    let singles = if few { 0..0 } else { 0..items.len() };
    let whole =
        singles.flat_map(|item| {
            [(Fate::Drop, Fate::Keep), (Fate::Keep, Fate::Drop)]
                .map(|(fate, others)| Pattern::Single { item, fate, others })
        });
    let parts = items.iter().enumerate().flat_map(|(item, change)| {
        parts(change).into_iter().flat_map(move |fate| {
            [Fate::Keep, Fate::Drop].map(|others| Pattern::Single { item, fate, others })
        })
    });
    let ends = if items.is_empty() { vec![0] } else { vec![u64::MAX, 0] };
    ends.into_iter().chain(subsets).map(Pattern::Subset).chain(whole).chain(parts)
}

/// The ways of one item besides whole and not at all.
fn parts(change: &SimChange) -> Vec<Fate> {
    match change {
        SimChange::Allocated(_) => vec![Fate::Garbage],
        SimChange::Written { sectors, fresh, .. } => {
            let first = sectors & sectors.wrapping_neg();
            let torn = [first, sectors & !first, sectors & 0b0101_0101];
            let mut fates: Vec<Fate> = torn
                .into_iter()
                .filter(|kept| *kept != 0 && kept != sectors)
                .map(Fate::Torn)
                .collect();
            fates.dedup();
            if *fresh {
                fates.extend([Fate::Zero, Fate::Garbage]);
            }
            fates
        }
        _ => Vec::new(),
    }
}
