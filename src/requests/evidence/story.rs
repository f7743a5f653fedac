//! What the proved entries of a bundle tell: who asked, as what, and who agreed to what.
//!
//! Whoever makes a bundle takes its receipts from here, and whoever checks it compares them, the
//! clips and the request with the same.

use std::collections::BTreeMap;

use crate::evidence::Hash;
use crate::format::entry::{Decision, Entry, HoldPlaced};
use crate::format::leaf::Leaf;
use crate::format::merkle;
use crate::types::Media;
use crate::{HoldCause, HoldId, SegmentId, Timestamp, Window};

use crate::requests::event::{Chosen, Event, NOTE_KIND, Receipt};
use crate::requests::private::Commitment;
use crate::requests::text::Text;
use crate::requests::{AgencyId, RequestId};

use super::check::{Class, Report};
use super::manifest::{HoldReceipt, Manifest, Opened, ProvedClip, Provided, gaps, hashes_of};

/// The entries about one request of one agency.
#[derive(Debug)]
pub(super) struct Story {
    agency: AgencyId,
    request: RequestId,
    /// Where the agency became a partner or was reinstated, and when; `None` where it was
    /// suspended.
    standing: BTreeMap<u64, Option<Timestamp>>,
    submitted: Option<Submitted>,
    accepted: Vec<Accepted>,
    holds: BTreeMap<HoldId, Placed>,
    roots: BTreeMap<SegmentId, Hash>,
}

#[derive(Debug)]
struct Submitted {
    position: u64,
    window: Window,
    paper: Commitment,
    partner_by: u64,
}

#[derive(Debug)]
struct Accepted {
    chosen: Vec<Chosen>,
    hold: HoldId,
    until: Timestamp,
    receipt: Receipt,
}

#[derive(Debug)]
struct Placed {
    position: u64,
    at: Timestamp,
    hold: HoldPlaced,
}

impl Story {
    pub(super) fn of(agency: AgencyId, request: RequestId) -> Self {
        Self {
            agency,
            request,
            standing: BTreeMap::new(),
            submitted: None,
            accepted: Vec::new(),
            holds: BTreeMap::new(),
            roots: BTreeMap::new(),
        }
    }

    /// Takes in the entry at `position`; whether it tells anything of this.
    pub(super) fn take(&mut self, position: u64, entry: &Entry) -> bool {
        match &entry.decision {
            Decision::HoldPlaced(placed) => {
                let hold = (**placed).clone();
                self.holds.insert(placed.hold, Placed { position, at: entry.at, hold });
            }
            Decision::SegmentSealed { segment, root, .. } => {
                self.roots.insert(*segment, *root);
            }
            Decision::Application { kind: NOTE_KIND, bytes } => {
                return Event::decode(bytes)
                    .is_ok_and(|event| self.take_event(position, entry.at, event));
            }
            _ => return false,
        }
        true
    }

    fn take_event(&mut self, position: u64, at: Timestamp, event: Event) -> bool {
        match event {
            Event::AgencyJoined { agency, .. } | Event::AgencyReinstated { agency }
                if agency.0 == self.agency =>
            {
                self.standing.insert(position, Some(at));
            }
            Event::AgencySuspended { agency } if agency.0 == self.agency => {
                self.standing.insert(position, None);
            }
            Event::Submitted { request, agency, window, paper, partner_by, .. }
                if request.0 == self.request && agency.0 == self.agency =>
            {
                let window = window.window();
                self.submitted = Some(Submitted { position, window, paper, partner_by });
            }
            Event::Accepted { request, chosen, hold, until, receipt, .. }
                if request.0 == self.request =>
            {
                let (hold, until) = (hold.0, until.0);
                self.accepted.push(Accepted { chosen, hold, until, receipt });
            }
            _ => return false,
        }
        true
    }

    /// The receipts of the holds on what was agreed to, in the order of their ids.
    pub(super) fn receipts(&self) -> Vec<HoldReceipt> {
        let mut receipts: Vec<HoldReceipt> = self
            .accepted
            .iter()
            .filter_map(|accepted| {
                let placed = self.holds.get(&accepted.hold)?;
                Some(HoldReceipt {
                    bytes: accepted.receipt.bytes,
                    clips: accepted.receipt.clips,
                    deadline: Text(placed.hold.deadline),
                    hold: Text(accepted.hold),
                    kept_anyway_until: accepted.receipt.kept_anyway_until,
                    placed: Text(placed.at),
                    position: placed.position,
                })
            })
            .collect();
        receipts.sort_unstable_by_key(|receipt| receipt.hold);
        receipts
    }

    /// Compares a clip that is provided, whose bytes are looked at elsewhere.
    pub(super) fn check_clip(
        &self,
        clip: &Provided,
        proofs: &[ProvedClip],
        manifest: &Manifest,
        report: &mut Report,
    ) {
        let id = Some(clip.clip.0);
        match proofs.iter().find(|proof| proof.clip == clip.clip) {
            None => {
                report.find(Class::Unproved, id, "there is no proof from it to its segment");
            }
            Some(proof) => {
                if let Err(what) = self.leaves(proof).and_then(|leaves| compare(clip, &leaves)) {
                    report.find(Class::Unproved, id, what);
                }
            }
        }
        self.check_consent(clip, manifest, report);
        if !possible(clip).meets(&manifest.window.window()) {
            report.find(Class::Policy, id, "it is not of the time that was asked about");
        }
    }

    /// The leaves of the parts of a clip, if they lead to the roots that are on record.
    fn leaves(&self, proof: &ProvedClip) -> Result<Vec<Leaf>, &'static str> {
        let mut leaves: Vec<Leaf> = Vec::new();
        for part in &proof.parts {
            let root = hashes_of(&part.path)
                .and_then(|path| merkle::root_from(&merkle::leaf(&part.leaf.0), part.place, &path));
            if root.is_none() || root.as_ref() != self.roots.get(&part.segment()) {
                return Err("its digest is not under its segment's root");
            }
            let leaf = Leaf::decode(&part.leaf.0).ok();
            let leaf = leaf.filter(|leaf| leaf.clip == proof.clip.0);
            let leaf = leaf.ok_or("its proof is about something else")?;
            if leaves.last().is_some_and(|before| before.sequence >= leaf.sequence) {
                return Err("the proofs of its parts are not in their order");
            }
            leaves.push(leaf);
        }
        Ok(leaves)
    }

    fn check_consent(&self, clip: &Provided, manifest: &Manifest, report: &mut Report) {
        let id = Some(clip.clip.0);
        let agreed = self.accepted.iter().find_map(|accepted| {
            let chosen = accepted.chosen.iter().find(|chosen| chosen.clip == clip.clip)?;
            Some((accepted, chosen))
        });
        let Some((accepted, chosen)) = agreed else {
            report.find(Class::Policy, id, "nobody agreed to share it");
            return;
        };
        if chosen.part != clip.part {
            report.find(Class::Policy, id, "another part of it was shared");
        }
        if accepted.until <= manifest.made.0 {
            report.find(Class::Policy, id, "the consent had run out");
        }
        let covers = self.holds.get(&accepted.hold).is_some_and(|Placed { hold, .. }| {
            let disclosure = HoldCause::from_code(hold.cause) == Some(HoldCause::Disclosure);
            let meets = |(camera, window): &(crate::CameraId, Window)| {
                *camera == clip.camera.0 && window.meets(&possible(clip))
            };
            disclosure && hold.agency == self.agency.as_str() && hold.scope.iter().any(meets)
        });
        if !covers {
            report.find(Class::Unproved, id, "the hold under which it was kept");
        }
    }

    /// Compares what the manifest says as a whole.
    pub(super) fn check_request(
        &self,
        opened: Option<&Opened>,
        manifest: &Manifest,
        report: &mut Report,
    ) {
        self.check_receipts(manifest, report);
        if gaps(manifest.window.window(), &manifest.clips) != manifest.gaps {
            report.find(Class::Unproved, None, "the gaps are not those between the clips");
        }
        if manifest.clips.is_empty() {
            report.find(Class::Incomplete, None, "there is no clip in it");
        }
        let Some(submitted) = &self.submitted else {
            report.find(Class::Unproved, None, "the request is not in the log");
            return;
        };
        if submitted.window != manifest.window.window() {
            report.find(Class::Policy, None, "the request was about another time");
        }
        let committed = opened.and_then(|opened| Commitment::over(&opened.salt, &opened.value));
        if committed != Some(submitted.paper) {
            report.find(Class::Unproved, None, "the request's words are not what was committed to");
        }
        self.check_partner(submitted, report);
    }

    fn check_receipts(&self, manifest: &Manifest, report: &mut Report) {
        let agreed = |receipt: &&HoldReceipt| {
            self.accepted.iter().any(|accepted| accepted.hold == receipt.hold.0)
        };
        let (on_record, others): (Vec<_>, Vec<_>) = manifest.receipts.iter().partition(agreed);
        if !self.receipts().iter().eq(on_record) {
            report.find(Class::Unproved, None, "the receipts of holds are not those on record");
        }
        for other in others {
            let what = format!("nobody agreed to what hold {} is on", other.hold.0);
            report.find(Class::Policy, None, what);
        }
    }

    /// Whether the agency was a partner when it asked, and not suspended then or now.
    fn check_partner(&self, submitted: &Submitted, report: &mut Report) {
        let by = submitted.partner_by;
        let joined = matches!(self.standing.get(&by), Some(Some(_))) && by < submitted.position;
        if !joined {
            report.find(Class::Policy, None, "the agency is not shown to be a partner");
            return;
        }
        // Nothing lies between the two unless the entry of the request is wrong about it.
        let between = self.standing.range(by..submitted.position);
        if between.clone().any(|(_, partner)| partner.is_none()) {
            report.find(Class::Policy, None, "the agency was suspended when it asked");
        }
        if self.standing.values().next_back().is_some_and(Option::is_none) {
            report.find(Class::Policy, None, "the agency was suspended when this was made");
        }
    }
}

/// When a clip may really have been recorded.
fn possible(clip: &Provided) -> Window {
    clip.window.window().widened(std::time::Duration::from_micros(clip.uncertainty_us))
}

/// Compares what is said of a clip with the leaves of its parts, which are proved.
fn compare(clip: &Provided, leaves: &[Leaf]) -> Result<(), &'static str> {
    let (Some(first), Some(last)) = (leaves.first(), leaves.last()) else {
        return Err("there is no proof of any part of it");
    };
    if !first.first {
        return Err("the proof of its first part is not there");
    }
    if leaves.iter().any(|leaf| leaf.camera != clip.camera.0) {
        return Err("its camera is not the one on record");
    }
    let newest = |time: fn(&Leaf) -> Timestamp| leaves.iter().map(time).max();
    // A clip cut off inside its first fragment covers an instant.
    let instant = first.start.saturating_add(std::time::Duration::from_micros(1));
    let end = newest(|leaf| leaf.end).map(|end| end.max(instant));
    let window = clip.window.window();
    let times = window.start() == first.start
        && Some(window.end()) == end
        && Some(clip.received.0) == newest(|leaf| leaf.received)
        && clip.uncertainty_us == first.uncertainty_us;
    if !times {
        return Err("its times are not those on record");
    }
    if clip.blake3.0 != last.digest || clip.bytes != last.end_offset {
        return Err("its digest is not the one on record");
    }
    let state = if leaves.iter().any(|leaf| leaf.last) { "complete" } else { "truncated" };
    if clip.state != state || clip.media != Media::from_code(first.media).name() {
        return Err("what kind of clip it is is not what is on record");
    }
    Ok(())
}
