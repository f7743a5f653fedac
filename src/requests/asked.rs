//! The homes that one request is about, and where each of them stands.
//!
//! A city's desk keeps millions of these in memory, so they are kept small: the homes of a request
//! lie side by side, and what few of them have is apart.

use std::collections::BTreeSet;

use crate::{CameraId, ClipId, HoldId, Timestamp};

use super::HouseholdId;
use super::state::Answer;

/// The homes of a request, in the order of their ids. None is added or taken out later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AskedHomes(Box<[(HouseholdId, Asked)]>);

/// One household of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) cameras: Box<[CameraId]>,
    pub(super) answer: Answer,
    /// When that was answered.
    pub(super) answered: Timestamp,
    /// Whether it was told since the request was opened or renewed.
    pub(super) told: bool,
    more: Option<Box<More>>,
}

/// What few homes have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct More {
    /// Clips that the resident erased meanwhile.
    pub(super) erased: BTreeSet<ClipId>,
    /// Holds of court orders on it.
    pub(super) orders: Vec<HoldId>,
    /// How often telling it failed since the request was opened or renewed, and when last.
    pub(super) unreached: u32,
    pub(super) tried: Option<Timestamp>,
}

static NOTHING_MORE: More = More::new();

impl AskedHomes {
    /// These homes; of two with one id the later one counts.
    pub(super) fn new(homes: impl IntoIterator<Item = (HouseholdId, Asked)>) -> Self {
        let by_id: std::collections::BTreeMap<_, _> = homes.into_iter().collect();
        Self(by_id.into_iter().collect())
    }

    pub(super) fn get(&self, id: HouseholdId) -> Option<&Asked> {
        let at = self.0.binary_search_by_key(&id, |(home, _)| *home).ok()?;
        self.0.get(at).map(|(_, asked)| asked)
    }

    pub(super) fn get_mut(&mut self, id: HouseholdId) -> Option<&mut Asked> {
        let at = self.0.binary_search_by_key(&id, |(home, _)| *home).ok()?;
        self.0.get_mut(at).map(|(_, asked)| asked)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, (HouseholdId, Asked)> {
        self.0.iter()
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Asked> {
        self.0.iter().map(|(_, asked)| asked)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Asked> {
        self.0.iter_mut().map(|(_, asked)| asked)
    }
}

impl<'a> IntoIterator for &'a AskedHomes {
    type Item = &'a (HouseholdId, Asked);
    type IntoIter = std::slice::Iter<'a, (HouseholdId, Asked)>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Asked {
    pub(super) fn new(cameras: Box<[CameraId]>) -> Self {
        let (answer, answered) = (Answer::Screening, Timestamp::MIN);
        Self { cameras, answer, answered, told: false, more: None }
    }

    /// What few homes have.
    pub(super) fn more(&self) -> &More {
        self.more.as_deref().unwrap_or(&NOTHING_MORE)
    }

    pub(super) fn more_mut(&mut self) -> &mut More {
        self.more.get_or_insert_with(|| Box::new(More::new()))
    }

    /// It is told anew: nobody has tried yet.
    pub(super) fn tell_anew(&mut self) {
        self.told = false;
        if let Some(more) = &mut self.more {
            (more.unreached, more.tried) = (0, None);
        }
    }
}

impl More {
    const fn new() -> Self {
        Self { erased: BTreeSet::new(), orders: Vec::new(), unreached: 0, tried: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_are_found_by_their_ids_and_are_small() {
        let asked = |name: &str| Asked::new([name.parse().unwrap()].into());
        let ids = [7, 2, 9, 2].map(HouseholdId);
        let mut homes = AskedHomes::new(ids.map(|id| (id, asked(&format!("door-{}", id.0)))));
        assert_eq!(homes.iter().map(|(id, _)| id.0).collect::<Vec<_>>(), [2, 7, 9]);
        assert_eq!(homes.get(HouseholdId(9)).unwrap(), &asked("door-9"));
        assert!(homes.get(HouseholdId(3)).is_none() && homes.get_mut(HouseholdId(10)).is_none());
        let home = homes.get_mut(HouseholdId(7)).unwrap();
        home.more_mut().unreached = 3;
        home.told = true;
        home.tell_anew();
        assert_eq!((home.told, home.more().unreached, home.more().tried), (false, 0, None));
        assert!(size_of::<(HouseholdId, Asked)>() <= 96, "{}", size_of::<(HouseholdId, Asked)>());
    }
}
