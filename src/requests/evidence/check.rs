//! Checking a bundle with nothing but the file and the keys that one trusts.
//!
//! Goes on after a fault, so that the report says of each clip how it stands. Knows no store, and
//! takes no memory but for what is not footage.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;

use serde::{Deserialize, Serialize};

use crate::ClipId;
use crate::evidence::{
    ArchiveError, ArchiveMember, ArchiveReader, Checkpoint, Cosignature, NoteError, VerifyingKey,
    leaf_hash, verify_consistency, verify_inclusion,
};
use crate::format::entry::Entry;

use super::manifest::{
    BEFORE, CHECKPOINT, CLIPS, ENTRIES, Entries, Envelope, FORMAT, MANIFEST, Manifest, Opened,
    PAYLOAD_TYPE, ProvedClip, ProvedEntry, REQUEST, SUMS, hashes_of, store_id, sums,
};
use super::story::Story;

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

    pub(super) fn find(&mut self, class: Class, clip: Option<ClipId>, what: impl Into<String>) {
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
    let proofs: Vec<ProvedClip> = json(&members, CLIPS, &mut report).unwrap_or_default();
    let story = story(&members, &manifest, keys, &mut report);
    for clip in &manifest.clips {
        if !members.contains_key(&clip.file) && !manifest.files.contains_key(&clip.file) {
            let what = format!("{} is not there", clip.file);
            report.find(Class::Incomplete, Some(clip.clip.0), what);
        }
        story.check_clip(clip, &proofs, &manifest, &mut report);
    }
    let opened = json::<Opened>(&members, REQUEST, &mut report);
    story.check_request(opened.as_ref(), &manifest, &mut report);
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

/// What the entries tell that are in the log of the checkpoint.
fn story(
    members: &Members,
    manifest: &Manifest,
    keys: &[VerifyingKey],
    report: &mut Report,
) -> Story {
    let mut story = Story::of(manifest.agency.0.clone(), manifest.request.0);
    let Some(entries) = json::<Entries>(members, ENTRIES, report) else { return story };
    let Some(log) = checkpoint(members, CHECKPOINT, manifest, keys, report) else { return story };
    check_beginning(members, &entries, &log, manifest, keys, report);
    let salt = store_id(&manifest.store);
    let mut newest = None;
    for proved in &entries.entries {
        let entry = salt.and_then(|salt| proved_entry(proved, &log, &salt));
        let in_order = newest.replace(proved.index) < Some(proved.index);
        if let Some(entry) = entry.filter(|_| in_order) {
            story.take(proved.index, &entry);
        } else {
            let what = format!("entry {} is not in the log of the checkpoint", proved.index);
            report.find(Class::Unproved, None, what);
        }
    }
    story
}

/// The entry that is proved to be in `log`.
pub(super) fn proved_entry(
    proved: &ProvedEntry,
    log: &Checkpoint,
    salt: &[u8; 16],
) -> Option<Entry> {
    let path = hashes_of(&proved.path)?;
    let leaf = leaf_hash(&proved.entry.0);
    if !verify_inclusion(&leaf, proved.index, log.size, &path, &log.root) {
        return None;
    }
    let (entry, len) = Entry::decode(&proved.entry.0, salt).ok()?;
    (len == proved.entry.0.len()).then_some(entry)
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
    let holds = hashes_of(&entries.consistency).is_some_and(|proof| {
        verify_consistency(before.size, log.size, &proof, &before.root, &log.root)
    });
    if !holds {
        let what = "the log is not the one that was signed before";
        report.find(Class::Unproved, None, what);
    }
}
