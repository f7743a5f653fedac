//! Retention: how long footage is kept, what a sweep would drop and why, and what time it is.
//!
//! Owns the policy and the decisions; never acts. No I/O, and no clock: the times come in as
//! arguments, so that every decision can be repeated.

mod plan;
mod policy;
mod sweep_plan;
mod trusted_time;

pub use policy::{Retention, WhenFull};
pub use sweep_plan::{KeptItem, KeptReason, PlanAction, PlanItem, SweepPlan};
pub use trusted_time::ClockStatus;

pub(crate) use plan::{PlanInput, SegmentView, SpaceView, plan};
pub(crate) use trusted_time::{TrustedTime, WALL_BOUND_DEFAULT};
