//! The homes that take part: what the operator may know of them, and each home of itself.

use serde::Serialize;

use crate::CameraId;

use super::desk::Desk;
use super::state::Household;
use super::text::Text;
use super::{HouseholdId, Refusal};

/// A home with its cameras; where it is and who lives there is not in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Home {
    /// Its id.
    pub household: Text<HouseholdId>,
    /// Its cameras.
    pub cameras: Vec<Text<CameraId>>,
    /// Whether it wants to be asked by nobody.
    pub opted_out: bool,
}

impl Home {
    fn of(id: HouseholdId, known: &Household) -> Self {
        let cameras = known.cameras.iter().cloned().map(Text).collect();
        Self { household: Text(id), cameras, opted_out: known.opted_out }
    }
}

impl Desk {
    /// The homes that have not left, oldest first.
    #[must_use]
    pub fn homes(&self) -> Vec<Home> {
        let inside = self.inside();
        let there = inside.state.households.iter().filter(|(_, known)| !known.left);
        there.map(|(id, known)| Home::of(*id, known)).collect()
    }

    /// One home that has not left.
    ///
    /// # Errors
    ///
    /// `Unknown`, also for one that left.
    pub fn home(&self, id: HouseholdId) -> Result<Home, Refusal> {
        let inside = self.inside();
        let known = inside.state.households.get(&id).filter(|known| !known.left);
        known
            .map(|known| Home::of(id, known))
            .ok_or_else(|| Refusal::Unknown(format!("household {id}: there is none")))
    }
}
