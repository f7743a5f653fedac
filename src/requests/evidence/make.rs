//! Making a bundle: from what residents shared, and from nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use sha2::{Digest as _, Sha256};

use crate::evidence::{Archive, ArchiveError, Measure};
use crate::format::entry::{Decision, Entry};
use crate::{ClipId, HoldCause, HoldId, SegmentId};

use crate::requests::event::{Event, NOTE_KIND};
use crate::requests::private::Records;
use crate::requests::text::Text;
use crate::requests::{AgencyId, Desk, Refusal, RequestId, Shared};

use super::bundle::{Bundle, Open, cannot_write};
use super::footage::Footage;
use super::log::Log;
use super::manifest::{
    BEFORE, Base64, CHECKPOINT, CLIPS, ClockSource, ENTRIES, Entries, Envelope, FORMAT, Hex,
    HoldReceipt, MANIFEST, Manifest, Opened, PAYLOAD_TYPE, ProvedClip, ProvedEntry, ProvedPart,
    Provided, REQUEST, SUMS, coded, gaps, sums,
};
use super::story::Story;

impl Desk {
    /// Writes the bundle of what is shared with `agency` in request `id` now: see
    /// [`Desk::open_bundle`].
    ///
    /// # Errors
    ///
    /// As [`Desk::open_bundle`] and [`Bundle::write_to`].
    pub fn bundle(
        &self,
        agency: &AgencyId,
        id: RequestId,
        footage: &dyn Footage,
        to: &mut dyn Write,
    ) -> Result<(), Refusal> {
        self.open_bundle(agency, id, footage)?.write_to(footage, to)
    }

    /// The bundle of what is shared with `agency` in request `id` now: one zip file. The same state
    /// of the ledger gives the same bytes. Says what is provided, and nothing of what is not.
    ///
    /// All footage of it is read once for its checksums, and again when its bytes are wanted: none
    /// of it is kept in memory.
    ///
    /// # Errors
    ///
    /// `NotPartner`, also while suspended; `Unknown`; `Over` when nothing is shared; `Store` when a
    /// clip or the ledger cannot be read; `Invalid` when it would be above 4 GiB, or a part cannot
    /// be cut.
    pub fn open_bundle(
        &self,
        agency: &AgencyId,
        id: RequestId,
        footage: &dyn Footage,
    ) -> Result<Bundle, Refusal> {
        let view = self.fetchable(agency, id)?;
        if view.shared.is_empty() {
            return Err(Refusal::Over(format!("request {id}: nothing is shared")));
        }
        // What proves a clip is in the footer of its segment.
        self.store.seal()?;
        let mut archive = Archive::default();
        let (mut provided, mut proofs) = (Vec::new(), Vec::new());
        let mut elsewhere = BTreeMap::new();
        for shared in &view.shared {
            let (clip, measured) = self.member(shared, footage)?;
            archive.add_elsewhere(&clip.file, measured).map_err(refused)?;
            elsewhere.insert(clip.file.clone(), shared.clone());
            proofs.push(self.prove_clip(shared.clip.0)?);
            provided.push(clip);
        }
        let (log, receipts) = self.sign_for(agency, id, &view.shared, &proofs)?;
        let (salt, value) = Records::open(self.store.vfs())?.opened(&id.to_string())?;
        let before = log.before.as_ref();
        let consistency = before.and_then(|(size, _)| log.tree.consistency(*size, log.size));
        let entries = Entries {
            consistency: coded(consistency.unwrap_or_default()),
            entries: prove_entries(&log),
        };
        let members = [
            (CLIPS, to_json(&proofs)?),
            (ENTRIES, to_json(&entries)?),
            (REQUEST, to_json(&Opened { salt, value })?),
            (CHECKPOINT, log.note.clone().into_bytes()),
        ];
        for (name, bytes) in members {
            archive.add(name, bytes).map_err(refused)?;
        }
        if let Some((_, note)) = log.before {
            archive.add(BEFORE, note.into_bytes()).map_err(refused)?;
        }
        let key = self.signing_key()?;
        let files = archive.hashes().into_iter().map(|(name, hash)| (name, Hex(hash.to_vec())));
        let manifest = Manifest {
            agency: Text(agency.clone()),
            files: files.collect(),
            format: FORMAT.to_owned(),
            gaps: gaps(view.window.window(), &provided),
            clips: provided,
            key: key.verifying_key().to_string(),
            made: Text(log.at),
            receipts,
            request: Text(id),
            store: Hex(self.store.id().to_vec()).text(),
            window: view.window,
        };
        let payload = to_json(&manifest)?;
        let envelope = Envelope::signed(PAYLOAD_TYPE, payload, &key);
        archive.add(MANIFEST, to_json(&envelope)?).map_err(refused)?;
        let hashes = archive.hashes();
        let text = sums(hashes.iter().map(|(name, hash)| (name, *hash)));
        // It has the hash of every other member.
        let digest = Sha256::digest(&text).into();
        archive.add(SUMS, text.into_bytes()).map_err(refused)?;
        let named = |name: &str| elsewhere.get(name).cloned();
        let bundle = Bundle::new(self.store.clone(), archive.into_pieces(), digest, named);
        bundle.ok_or_else(|| Refusal::Invalid("bundle: above all bounds".to_owned()))
    }

    /// A shared clip as the manifest has it, and what the archive must know of its member: the
    /// original, or what was cut out.
    fn member(
        &self,
        shared: &Shared,
        footage: &dyn Footage,
    ) -> Result<(Provided, Measure), Refusal> {
        let folder = if shared.part.is_some() { "derived" } else { "clips" };
        let mut measured = Measure::default();
        Open::of(&self.store, shared, footage)?.write_to(&mut measured)?;
        let reader = self.store.read_copied(shared.clip.0)?;
        let clip = reader.clip();
        let extension = match clip.media().name() {
            "mp4" | "fragmented-mp4" => "mp4",
            "mpeg-ts" => "ts",
            "jpeg" => "jpg",
            _ => "bin",
        };
        let provided = Provided {
            blake3: Hex(clip.digest().to_vec()),
            bytes: clip.len(),
            camera: Text(clip.camera().clone()),
            clip: Text(clip.id()),
            clock: ClockSource::Recorder,
            codec: footage.codecs(&reader),
            file: format!("{folder}/{}.{extension}", clip.id()),
            media: clip.media().name().to_owned(),
            part: shared.part,
            received: Text(clip.received()),
            state: clip.state().name().to_owned(),
            uncertainty_us: u64::try_from(clip.uncertainty().as_micros()).unwrap_or(u64::MAX),
            window: clip.window().into(),
        };
        Ok((provided, measured))
    }

    fn prove_clip(&self, clip: ClipId) -> Result<ProvedClip, Refusal> {
        let parts = self.store.clip_proofs(clip)?.into_iter().map(|proof| ProvedPart {
            leaf: Base64(proof.leaf),
            path: coded(proof.path),
            place: proof.place,
            segment: proof.segment.0,
        });
        Ok(ProvedClip { clip: Text(clip), parts: parts.collect() })
    }

    /// The signed log with the entries that show how it came to this: the partner, the request, the
    /// answers of those who shared, their holds, and the roots of the segments. None that says
    /// anything of anybody else. And the receipts of those holds.
    fn sign_for(
        &self,
        agency: &AgencyId,
        id: RequestId,
        shared: &[Shared],
        proofs: &[ProvedClip],
    ) -> Result<(Log, Vec<HoldReceipt>), Refusal> {
        let segments: BTreeSet<SegmentId> =
            proofs.iter().flat_map(|proof| &proof.parts).map(ProvedPart::segment).collect();
        let clips: Vec<ClipId> = shared.iter().map(|shared| shared.clip.0).collect();
        // A hold comes before the answer that it was placed for: which ones are needed is known
        // later.
        let mut holds: BTreeMap<HoldId, usize> = BTreeMap::new();
        let mut needed: BTreeSet<usize> = BTreeSet::new();
        let mut log = self.sign_log(&mut |index, entry| match &entry.decision {
            Decision::HoldPlaced(placed) => {
                let disclosure = HoldCause::from_code(placed.cause) == Some(HoldCause::Disclosure);
                let ours = disclosure && placed.agency == agency.as_str();
                if ours {
                    holds.insert(placed.hold, index);
                }
                ours
            }
            Decision::SegmentSealed { segment, .. } => {
                let wanted = segments.contains(segment);
                needed.extend(wanted.then_some(index));
                wanted
            }
            Decision::Application { kind: NOTE_KIND, bytes } => {
                let wanted = Event::decode(bytes).is_ok_and(|event| {
                    let hold = event.shares_any(id, &clips);
                    needed.extend(hold.and_then(|hold| holds.get(&hold)));
                    hold.is_some() || event.is_asked_by(agency, id)
                });
                needed.extend(wanted.then_some(index));
                wanted
            }
            _ => false,
        })?;
        log.entries.retain(|index, _| needed.contains(index));
        let mut story = Story::of(agency.clone(), id);
        for (index, bytes) in &log.entries {
            let (entry, _) = Entry::decode(bytes, &self.store.id())
                .map_err(|damage| crate::Error::corrupt("read ledger").caused_by(damage))?;
            story.take(u64::try_from(*index).unwrap_or(u64::MAX), &entry);
        }
        let receipts = story.receipts();
        Ok((log, receipts))
    }
}

/// The entries that were wanted of a log, each with its way to the checkpoint.
pub(super) fn prove_entries(log: &Log) -> Vec<ProvedEntry> {
    let prove = |(index, bytes): (&usize, &Vec<u8>)| ProvedEntry {
        entry: Base64(bytes.clone()),
        index: u64::try_from(*index).unwrap_or(u64::MAX),
        path: coded(log.tree.inclusion(*index, log.size).unwrap_or_default()),
    };
    log.entries.iter().map(prove).collect()
}

fn to_json(value: &impl serde::Serialize) -> Result<Vec<u8>, Refusal> {
    serde_json::to_vec(value).map_err(|error| Refusal::Invalid(error.to_string()))
}

fn refused(error: ArchiveError) -> Refusal {
    match error {
        ArchiveError::Io(error) => cannot_write(error),
        other => Refusal::Invalid(format!("bundle: {other}")),
    }
}
