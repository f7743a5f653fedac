//! What happened to agencies, households, requests and posts: the notes of this layer in the
//! ledger.
//!
//! Each is one JSON object, `event` naming its kind. They hold ids, times and commitments, and
//! nothing that says who somebody is, where somebody lives, or what somebody wrote: the ledger is
//! kept for ever and is shown to those who check it. What a commitment stands for is in the
//! `private` records, and can be destroyed.

use serde::{Deserialize, Serialize};

use crate::{CameraId, ClipId, HoldId, Timestamp};

use super::private::Commitment;
use super::text::{Span, Text};
use super::{AgencyId, HouseholdId, PostId, RequestId};

/// The notes of this layer carry this number in the ledger.
pub const NOTE_KIND: u16 = 1;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
#[expect(missing_docs, reason = "fields are named for what they are; docs/REQUESTS.md has a table")]
pub enum Event {
    /// A department became a partner. Public.
    AgencyJoined { agency: Text<AgencyId>, contact: Commitment },
    /// It may neither ask nor fetch any more; what it asked is withdrawn.
    AgencySuspended { agency: Text<AgencyId> },
    /// It may again.
    AgencyReinstated { agency: Text<AgencyId> },
    /// A home with its cameras; where it is and who lives there is behind the commitment.
    HouseholdJoined {
        household: Text<HouseholdId>,
        cameras: Vec<Text<CameraId>>,
        profile: Commitment,
    },
    /// It will not be asked any more, and what it was asked is over.
    HouseholdOptedOut { household: Text<HouseholdId> },
    /// It may be asked again.
    HouseholdOptedIn { household: Text<HouseholdId> },
    /// It is gone: what was personal is destroyed, its cameras may join another household.
    HouseholdLeft { household: Text<HouseholdId> },
    /// A request came in and waits for screening. Says nothing of what it matches: its agency is
    /// shown this entry with its evidence.
    Submitted {
        request: Text<RequestId>,
        agency: Text<AgencyId>,
        window: Span,
        /// What was asked, by whom and why.
        paper: Commitment,
        /// Tells whether two requests are about one incident, and nothing else. This and the next
        /// two are made with the key of tokens that was made last, and say nothing once it is
        /// destroyed.
        incident: Commitment,
        /// Tells whether a submission came before, and nothing else.
        key: Commitment,
        /// Tells whether a repeated submission is the same, and nothing else.
        fingerprint: Commitment,
        cost: u64,
        /// Where in the ledger the agency became a partner, or was last reinstated: so that whoever
        /// is shown these two entries sees that it was not suspended when it asked.
        partner_by: u64,
        /// When screening is over at the latest.
        screened_by: Text<Timestamp>,
        /// For how long its words are kept once it is over.
        words_days: u32,
        /// It keeps to the bounds within which no person screens it.
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        by_rule: bool,
    },
    /// Whom a request would ask, under which provisional holds. Noted with its submission.
    Matched {
        request: Text<RequestId>,
        asked: Vec<Asked>,
        holds: Vec<Text<HoldId>>,
        /// The hold budget did not suffice: the operator must make room before approving.
        unheld: bool,
    },
    /// A new key of tokens, with its number. Noted with the first submission under it.
    TokenKeyMade { number: u32, key: Commitment },
    /// The key with this number is destroyed: nobody can find out any more what the tokens under
    /// it stand for.
    TokenKeyDestroyed { number: u32 },
    /// The log had so many entries, with this root: what was signed is never taken back.
    Checkpointed { size: u64, root: String },
    /// A witness saw what was signed at this size: its line under the checkpoint.
    Cosigned { size: u64, witness: String, line: String },
    /// Screening refused it, or took too long.
    Rejected { request: Text<RequestId>, timed_out: bool },
    /// Screening let it through: each household that is asked has a hold of its own now. None is
    /// asked where the hold budget had no room for them all.
    Approved {
        request: Text<RequestId>,
        deadline: Text<Timestamp>,
        holds: Vec<(Text<HouseholdId>, Text<HoldId>)>,
        /// No person let it through: it keeps to the bounds of a rule.
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        by_rule: bool,
    },
    /// There is room now: these are asked in a request that is open. Its agency is not told.
    AskedLate { request: Text<RequestId>, holds: Vec<(Text<HouseholdId>, Text<HoldId>)> },
    /// The deadline moved; every hold that waits for an answer moved with it.
    Renewed { request: Text<RequestId>, deadline: Text<Timestamp> },
    /// A resident chose to share clips.
    Accepted {
        request: Text<RequestId>,
        household: Text<HouseholdId>,
        chosen: Vec<Chosen>,
        hold: Text<HoldId>,
        until: Text<Timestamp>,
        receipt: Receipt,
    },
    /// A resident said no.
    Denied { request: Text<RequestId>, household: Text<HouseholdId>, undo_until: Text<Timestamp> },
    /// The resident took the no back in time: it waits for an answer again.
    DenialUndone { request: Text<RequestId>, household: Text<HouseholdId>, hold: Text<HoldId> },
    /// The resident took what was shared back before it was fetched.
    Revoked { request: Text<RequestId>, household: Text<HouseholdId> },
    /// The agency was handed what was shared at that moment. It may be again.
    Fetched { request: Text<RequestId> },
    /// The agency has what this household shared.
    Disclosed { request: Text<RequestId>, household: Text<HouseholdId> },
    /// What this household shared was not fetched in time.
    Unfetched { request: Text<RequestId>, household: Text<HouseholdId> },
    /// The resident is erasing a clip that this request is about.
    Erasing { request: Text<RequestId>, household: Text<HouseholdId>, clip: Text<ClipId> },
    /// A court ordered that what this household has be kept.
    Ordered { request: Text<RequestId>, household: Text<HouseholdId>, hold: Text<HoldId> },
    /// The agency took it back, or was suspended.
    Withdrawn { request: Text<RequestId> },
    /// The deadline passed: whoever did not answer is not asked any more.
    Closed { request: Text<RequestId> },
    /// What was asked, by whom and why is destroyed, with its salt: nobody can find out any more
    /// what the commitment stands for.
    WordsDestroyed { request: Text<RequestId> },
    /// A resident was told, or could not be reached; never taken as an answer.
    Noticed { request: Text<RequestId>, household: Text<HouseholdId>, reached: bool },
    /// A resident put a clip into the neighbourhood feed.
    Posted {
        post: Text<PostId>,
        household: Text<HouseholdId>,
        clip: Text<ClipId>,
        hold: Text<HoldId>,
    },
    /// The resident took it out again.
    PostWithdrawn { post: Text<PostId> },
    /// Somebody looked at footage of this household that a request or a post is about: noted once
    /// for each viewer, clip and day. `who` is the id of a token or the name of an agency.
    Looked {
        household: Text<HouseholdId>,
        who: String,
        agency: Option<Text<AgencyId>>,
        clips: Vec<Text<ClipId>>,
    },
}

/// A household with those of its cameras that lie in a request's area.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The home.
    pub household: Text<HouseholdId>,
    /// Its cameras there.
    pub cameras: Vec<Text<CameraId>>,
}

/// A clip that a resident shares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chosen {
    /// The clip.
    pub clip: Text<ClipId>,
    /// Only this part of it; the whole clip when there is none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub part: Option<Span>,
}

/// What was covered by the hold on shared clips on the day that it was placed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// How many clips.
    pub clips: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Until when ordinary retention would have kept the first of them to expire.
    pub kept_anyway_until: Text<Timestamp>,
}

impl Event {
    /// Its bytes in the ledger.
    ///
    /// # Errors
    ///
    /// None that can happen: every value has a JSON form.
    pub(super) fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// The hold on what a household shared in `request`, if any of `clips` is among that.
    pub(super) fn shares_any(&self, request: RequestId, clips: &[ClipId]) -> Option<HoldId> {
        match self {
            Self::Accepted { request: about, chosen, hold, .. } if about.0 == request => {
                let any = chosen.iter().any(|one| clips.contains(&one.clip.0));
                any.then_some(hold.0)
            }
            _ => None,
        }
    }

    /// Whether it says that `agency` is a partner or is not, or that it made `request`.
    pub(super) fn is_asked_by(&self, agency: &AgencyId, request: RequestId) -> bool {
        match self {
            Self::AgencyJoined { agency: about, .. }
            | Self::AgencySuspended { agency: about }
            | Self::AgencyReinstated { agency: about } => about.0 == *agency,
            Self::Submitted { request: about, .. } => about.0 == request,
            _ => false,
        }
    }

    /// The event in the bytes of a note.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}
