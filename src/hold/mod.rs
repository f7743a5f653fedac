//! Holds: what may not be deleted, for whom, and until when.
//!
//! Owns the rules of each kind of hold, the checks on placing, narrowing, renewing and releasing
//! one, and [`HoldSet`], the holds as the ledger tells them. It never reads a clock, never does
//! I/O, and never ends protection by itself: it answers with decisions, and only a decision that
//! came back as a ledger entry changes anything. In doubt it protects.

mod cause;
mod life;
mod new_hold;
mod release;
mod scope;
mod set;
mod timeline;

pub use cause::{HoldCause, ReleaseCause};
pub use life::{Hold, HoldState};
pub use new_hold::NewHold;
pub use release::Release;

pub(crate) use release::ReleaseOutcome;
pub(crate) use set::HoldSet;
