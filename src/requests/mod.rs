//! From an agency's request to the resident's answer.
//!
//! Owns partners, households, requests, what residents said, and who may see what of it. A request
//! pins footage so that there is something to answer about; it gives nobody access. What happened
//! is in the ledger as notes, in one batch with the holds that it placed or ended, and where every
//! request stands follows from them alone; what is personal is in records beside it, which can be
//! destroyed (`private`).
//!
//! The rules are those of the design's document on holds, requests and evidence; docs/REQUESTS.md
//! lists each with the test that shows it.
//!
//! Must never: show an agency anything from which it could tell a home without a camera, a camera
//! without clips, a resident who opted out, clips that are gone, a no, and silence from each
//! other; take silence for consent; open again what has ended.

mod agency;
mod area;
mod asked;
mod audit;
mod desk;
mod event;
pub mod evidence;
mod home;
mod id;
mod lag;
mod looks;
mod notice;
mod operator;
mod places;
mod private;
mod refusal;
mod resident;
mod rules;
mod screening;
mod state;
mod text;
mod tokens;
mod words;
#[cfg(test)]
mod tests;

pub use agency::{AgencyView, Shared, Submission};
pub use area::{Area, Place};
pub use audit::AuditLine;
pub use desk::Desk;
pub use event::{Asked, Chosen, Event, NOTE_KIND, Receipt};
pub use home::Home;
pub use id::{AgencyId, HouseholdId, PostId, RequestId};
pub use looks::Viewer;
pub use notice::Notice;
pub use operator::{NewHousehold, Partner};
pub use private::Commitment;
pub use refusal::Refusal;
pub use resident::{AskedView, FeedItem};
pub use rules::{ByRule, Rules};
pub use screening::{Approval, Screening};
pub use text::{Span, Text};
