//! Checking a bundle with nothing but the file and the keys that one trusts.
//!
//! Goes on after a fault, so that the report says of each clip how it stands. Knows no store, and
//! takes no memory but for what is not footage.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;

use serde::{Deserialize, Serialize};

use crate::evidence::{
    ArchiveError, ArchiveMember, ArchiveReader, Checkpoint, Cosignature, Hash, NoteError,
    VerifyingKey, leaf_hash, verify_consistency, verify_inclusion,
};
use crate::format::entry::{Decision, Entry};
use crate::format::merkle;
use crate::{ClipId, HoldId, SegmentId, Timestamp};

use crate::requests::event::{Chosen, Event, NOTE_KIND};
use crate::requests::private::Commitment;

use super::manifest::{
    BEFORE, Base64, CHECKPOINT, CLIPS, ENTRIES, Entries, Envelope, FORMAT, MANIFEST, Manifest,
    Opened, PAYLOAD_TYPE, ProvedClip, Provided, REQUEST, SUMS, sums,
};

/// No member that is not footage is longer.
const MEMBER_BYTES_MAX: u32 = 16 << 20;

/// What kind of fault a finding is; the exit code of `clipkeep verify` is the lowest that was
/// found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Class {
    /// A byte is not as it was signed.
    Altered,
    /// Something is not there.
    Incomplete,
    /// Signed, but by no key that is trusted.
    UnknownKey,
    /// A proof is missing or does not prove it.
    Unproved,
    /// All of it is genuine, and should not have been provided like this.
    Policy,
}

impl Class {
    /// 1 to 5.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Altered => 1,
            Self::Incomplete => 2,
            Self::UnknownKey => 3,
            Self::Unproved => 4,
            Self::Policy => 5,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Altered => "altered",
            Self::Incomplete => "incomplete",
            Self::UnknownKey => "unknown key",
            Self::Unproved => "not proved",
            Self::Policy => "policy",
        })
    }
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// Which kind.
    pub class: Class,
    /// About which clip, if about one.
    pub clip: Option<ClipId>,
    /// What.
    pub what: String,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Everything that is wrong; empty when the bundle is whole.
    pub findings: Vec<Finding>,
    /// The clips that the manifest lists.
    pub clips: Vec<ClipId>,
    /// The key that signed, as the bundle says.
    pub key: Option<String>,
    /// Who is said to have asked, and for what.
    pub request: Option<String>,
    /// What trusted witnesses said of the checkpoint.
    pub witnesses: Vec<Cosignature>,
}

impl Report {
    /// 0 when it is whole, otherwise the lowest of its findings' codes.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.findings.iter().map(|finding| finding.class.exit_code()).min().unwrap_or(0)
    }

    fn find(&mut self, class: Class, clip: Option<ClipId>, what: impl Into<String>) {
        self.findings.push(Finding { class, clip, what: what.into() });
    }
}

/// Checks the bundle that is read from `bundle`. `keys` are those that are trusted, of stores and
/// of witnesses.
pub fn check(bundle: impl Read, keys: &[VerifyingKey]) -> Report {
    let mut report = Report::default();
    let members = read_all(bundle, &mut report);
    let Some(manifest) = manifest(&members, keys, &mut report) else { return report };
    check_files(&members, &manifest, &mut report);
    check_originals(&members, &manifest, &mut report);
    let story = Story::read(&members, &manifest, keys, &mut report);
    for clip in &manifest.clips {
        story.check_clip(clip, &members, &manifest, &mut report);
    }
    story.check_request(&members, &manifest, &mut report);
    report
}

type Members = BTreeMap<String, ArchiveMember>;

fn read_all(bundle: impl Read, report: &mut Report) -> Members {
    let mut reader = ArchiveReader::new(bundle);
    let mut members = Members::new();
    loop {
        match reader.next_member(MEMBER_BYTES_MAX) {
            Ok(Some(mut member)) => {
                if member.name.starts_with("clips/") || member.name.starts_with("derived/") {
                    member.bytes = None;
                }
                members.insert(member.name.clone(), member);
            }
            Ok(None) => return members,
            Err(error) => {
                let class = match error {
                    ArchiveError::CutOff(_) => Class::Incomplete,
                    _ => Class::Altered,
                };
                report.find(class, None, error.to_string());
                return members;
            }
        }
    }
}

/// The JSON in a member, if it is there and in the one form that it may have.
fn json<T: Serialize + for<'de> Deserialize<'de>>(
    members: &Members,
    name: &str,
    report: &mut Report,
) -> Option<T> {
    let Some(bytes) = members.get(name).and_then(|member| member.bytes.as_ref()) else {
        report.find(Class::Incomplete, None, format!("{name} is not there"));
        return None;
    };
    let value = serde_json::from_slice::<T>(bytes).ok();
    let same = |value: &T| serde_json::to_vec(value).is_ok_and(|again| again == *bytes);
    let value = value.filter(same);
    if value.is_none() {
        report.find(Class::Altered, None, format!("{name} is not as it was written"));
    }
    value
}

fn manifest(members: &Members, keys: &[VerifyingKey], report: &mut Report) -> Option<Manifest> {
    let envelope: Envelope = json(members, MANIFEST, report)?;
    let altered = |report: &mut Report, what: &str| {
        report.find(Class::Altered, None, format!("{MANIFEST}: {what}"));
    };
    let manifest = serde_json::from_slice::<Manifest>(&envelope.payload.0).ok();
    let same =
        |read: &Manifest| serde_json::to_vec(read).is_ok_and(|again| again == envelope.payload.0);
    let known = envelope.payload_type == PAYLOAD_TYPE;
    let Some(manifest) = manifest.filter(same).filter(|read| known && read.format == FORMAT) else {
        altered(report, "it is not a manifest of this version");
        return None;
    };
    let own = manifest.key.parse::<VerifyingKey>().ok();
    if !own.as_ref().is_some_and(|key| envelope.is_by(key)) {
        altered(report, "its signature does not match");
        return None;
    }
    report.key = Some(manifest.key.clone());
    report.request = Some(format!("{} of {}", manifest.request.0, manifest.agency.0));
    report.clips = manifest.clips.iter().map(|clip| clip.clip.0).collect();
    if !own.is_some_and(|key| keys.contains(&key)) {
        let what = format!("signed by {}, which is no key that you trust", manifest.key);
        report.find(Class::UnknownKey, None, what);
    }
    Some(manifest)
}

/// Every member is one that was signed, and every one that was signed is there.
fn check_files(members: &Members, manifest: &Manifest, report: &mut Report) {
    let clip_of = |name: &String| {
        manifest.clips.iter().find(|clip| clip.file == *name).map(|clip| clip.clip.0)
    };
    for (name, hash) in &manifest.files {
        match members.get(name) {
            None => report.find(Class::Incomplete, clip_of(name), format!("{name} is not there")),
            Some(member) if member.sha256[..] != hash.0[..] => {
                report.find(Class::Altered, clip_of(name), format!("{name} was altered"));
            }
            Some(_) => {}
        }
    }
    for name in members.keys().filter(|name| ![MANIFEST, SUMS].contains(&name.as_str())) {
        if !manifest.files.contains_key(name) {
            report.find(Class::Altered, None, format!("{name} was put in"));
        }
    }
    let others = members.values().filter(|member| member.name != SUMS);
    let text = sums(others.map(|member| (&member.name, member.sha256)));
    match members.get(SUMS).and_then(|member| member.bytes.as_ref()) {
        None => report.find(Class::Incomplete, None, format!("{SUMS} is not there")),
        Some(found) if *found != text.as_bytes() => {
            report.find(Class::Altered, None, format!("{SUMS} does not match the files"));
        }
        Some(_) => {}
    }
}

/// An original has the digest that was taken when it was recorded.
fn check_originals(members: &Members, manifest: &Manifest, report: &mut Report) {
    for clip in manifest.clips.iter().filter(|clip| clip.part.is_none()) {
        let member = members.get(&clip.file);
        if member.is_some_and(|member| member.blake3[..] != clip.blake3.0[..]) {
            let what = "its bytes are not those that were recorded";
            report.find(Class::Altered, Some(clip.clip.0), what);
        }
    }
}

/// What the proved entries tell.
#[derive(Default)]
struct Story {
    joined: Option<Timestamp>,
    submitted: Option<(Timestamp, crate::Window, Commitment)>,
    chosen: Vec<(Chosen, HoldId, Timestamp)>,
    holds: Vec<HoldId>,
    roots: BTreeMap<SegmentId, Hash>,
    clips: Vec<ProvedClip>,
}

impl Story {
    fn read(
        members: &Members,
        manifest: &Manifest,
        keys: &[VerifyingKey],
        report: &mut Report,
    ) -> Self {
        let clips = json(members, CLIPS, report).unwrap_or_default();
        let mut story = Self { clips, ..Self::default() };
        let Some(entries) = json::<Entries>(members, ENTRIES, report) else { return story };
        let Some(log) = checkpoint(members, CHECKPOINT, manifest, keys, report) else {
            return story;
        };
        check_beginning(members, &entries, &log, manifest, keys, report);
        let salt: Option<[u8; 16]> = store_id(&manifest.store);
        for proved in &entries.entries {
            let path: Option<Vec<Hash>> = proved.path.iter().map(hash_of).collect();
            let leaf = leaf_hash(&proved.entry.0);
            let holds = path.is_some_and(|path| {
                verify_inclusion(&leaf, proved.index, log.size, &path, &log.root)
            });
            let decoded = salt.and_then(|salt| Entry::decode(&proved.entry.0, &salt).ok());
            let whole = decoded.filter(|(_, len)| holds && *len == proved.entry.0.len());
            if let Some((entry, _)) = whole {
                story.take(entry, manifest);
            } else {
                let what = format!("entry {} is not in the log of the checkpoint", proved.index);
                report.find(Class::Unproved, None, what);
            }
        }
        story
    }

    fn take(&mut self, entry: Entry, manifest: &Manifest) {
        let at = entry.at;
        match entry.decision {
            Decision::HoldPlaced(placed) => self.holds.push(placed.hold),
            Decision::SegmentSealed { segment, root, .. } => {
                self.roots.insert(segment, root);
            }
            Decision::Application { kind: NOTE_KIND, bytes } => match Event::decode(&bytes) {
                Ok(Event::AgencyJoined { agency, .. }) if agency == manifest.agency => {
                    self.joined = Some(at);
                }
                Ok(Event::Submitted { request, agency, window, paper, .. })
                    if request == manifest.request && agency == manifest.agency =>
                {
                    self.submitted = Some((at, window.window(), paper));
                }
                Ok(Event::Accepted { request, chosen, hold, until, .. })
                    if request == manifest.request =>
                {
                    let one = |chosen| (chosen, hold.0, until.0);
                    self.chosen.extend(chosen.into_iter().map(one));
                }
                _ => {}
            },
            _ => {}
        }
    }

    fn check_clip(
        &self,
        clip: &Provided,
        members: &Members,
        manifest: &Manifest,
        report: &mut Report,
    ) {
        let id = Some(clip.clip.0);
        let proof = self.clips.iter().find(|proof| proof.clip == clip.clip);
        let Some(proof) = proof else {
            report.find(Class::Unproved, id, "there is no proof from it to its segment");
            return;
        };
        let path: Option<Vec<Hash>> = proof.path.iter().map(hash_of).collect();
        let leaf = merkle::leaf(&proof.leaf.0);
        let root = path.and_then(|path| merkle::root_from(&leaf, proof.place, &path));
        // The leaf is made of the clip's id, its times and its digest, among others.
        let has = |bytes: &[u8]| {
            !bytes.is_empty() && proof.leaf.0.windows(bytes.len()).any(|part| part == bytes)
        };
        let names_it = has(&clip.blake3.0) && has(clip.camera.0.as_str().as_bytes());
        if root.is_none() || root.as_ref() != self.roots.get(&proof.segment()) || !names_it {
            report.find(Class::Unproved, id, "its digest is not under its segment's root");
        }
        let agreed = self.chosen.iter().find(|(chosen, ..)| chosen.clip == clip.clip);
        match agreed {
            Some((chosen, hold, until)) => {
                if chosen.part != clip.part {
                    report.find(Class::Policy, id, "another part of it was shared");
                }
                if *until <= manifest.made.0 {
                    report.find(Class::Policy, id, "the consent had run out");
                }
                if !self.holds.contains(hold) {
                    report.find(Class::Unproved, id, "the hold under which it was kept");
                }
            }
            None => report.find(Class::Policy, id, "nobody agreed to share it"),
        }
        let uncertainty = std::time::Duration::from_micros(clip.uncertainty_us);
        if !clip.window.window().widened(uncertainty).meets(&manifest.window.window()) {
            report.find(Class::Policy, id, "it is not of the time that was asked about");
        }
        if !members.contains_key(&clip.file) && !manifest.files.contains_key(&clip.file) {
            report.find(Class::Incomplete, id, format!("{} is not there", clip.file));
        }
    }

    fn check_request(&self, members: &Members, manifest: &Manifest, report: &mut Report) {
        let opened = json::<Opened>(members, REQUEST, report);
        let Some((at, window, paper)) = self.submitted else {
            report.find(Class::Unproved, None, "the request is not in the log");
            return;
        };
        if window != manifest.window.window() {
            report.find(Class::Policy, None, "the request was about another time");
        }
        let committed = opened.and_then(|opened| Commitment::over(&opened.salt, &opened.value));
        if committed != Some(paper) {
            report.find(Class::Unproved, None, "the request's words are not what was committed to");
        }
        match self.joined {
            None => report.find(Class::Policy, None, "the agency is not shown to be a partner"),
            Some(joined) if joined > at => {
                report.find(Class::Policy, None, "the agency was no partner yet when it asked");
            }
            Some(_) => {}
        }
        if manifest.clips.is_empty() {
            report.find(Class::Incomplete, None, "there is no clip in it");
        }
    }
}

/// The checkpoint in member `name`, if the manifest's own key signed it.
fn checkpoint(
    members: &Members,
    name: &str,
    manifest: &Manifest,
    keys: &[VerifyingKey],
    report: &mut Report,
) -> Option<Checkpoint> {
    let note = members.get(name).and_then(|member| member.bytes.as_ref());
    let Some(note) = note.and_then(|note| std::str::from_utf8(note).ok()) else {
        report.find(Class::Unproved, None, format!("{name} is not there"));
        return None;
    };
    let key = manifest.key.parse::<VerifyingKey>().ok()?;
    match Checkpoint::cosignatures(note, keys) {
        Ok(witnesses) => report.witnesses.extend(witnesses),
        Err(error) => report.find(Class::Unproved, None, format!("{name}: {error}")),
    }
    match Checkpoint::verified(note, &key) {
        Ok(checkpoint) => Some(checkpoint),
        Err(error) => {
            let class = match error {
                NoteError::BadSignature(_) => Class::Altered,
                _ => Class::Unproved,
            };
            report.find(class, None, format!("{name}: {error}"));
            None
        }
    }
}

/// What was signed before is the beginning of what is signed now.
fn check_beginning(
    members: &Members,
    entries: &Entries,
    log: &Checkpoint,
    manifest: &Manifest,
    keys: &[VerifyingKey],
    report: &mut Report,
) {
    if !members.contains_key(BEFORE) {
        return;
    }
    let Some(before) = checkpoint(members, BEFORE, manifest, keys, report) else { return };
    let proof: Option<Vec<Hash>> = entries.consistency.iter().map(hash_of).collect();
    let holds = proof.is_some_and(|proof| {
        verify_consistency(before.size, log.size, &proof, &before.root, &log.root)
    });
    if !holds {
        let what = "the log is not the one that was signed before";
        report.find(Class::Unproved, None, what);
    }
}

fn hash_of(bytes: &Base64) -> Option<Hash> {
    bytes.0.as_slice().try_into().ok()
}

fn store_id(text: &str) -> Option<[u8; 16]> {
    super::manifest::Hex::try_from(text.to_owned()).ok()?.0.try_into().ok()
}
