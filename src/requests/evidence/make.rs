//! Making a bundle: from what residents shared, and from nothing else.

use std::collections::BTreeMap;
use std::error;
use std::io::Write;

use crate::evidence::{Archive, ArchiveError};
use crate::format::entry::{Decision, Entry};
use crate::{Clip, ClipId, ClipReader, Window};

use crate::requests::event::{Event, NOTE_KIND};
use crate::requests::private::Records;
use crate::requests::text::{Span, Text};
use crate::requests::{AgencyId, Desk, Refusal, RequestId, Shared};

use super::log::Log;
use super::manifest::{
    BEFORE, Base64, CHECKPOINT, CLIPS, ENTRIES, Entries, Envelope, FORMAT, Hex, MANIFEST, Manifest,
    Opened, PAYLOAD_TYPE, ProvedClip, ProvedEntry, Provided, REQUEST, SUMS, sums,
};

/// Why a part could not be cut.
pub type TrimError = Box<dyn error::Error + Send + Sync>;

/// Cuts a window out of a clip, as one file of its own: what knows the media does that.
pub type Trim<'a> = &'a dyn Fn(&ClipReader, Window) -> Result<Vec<u8>, TrimError>;

impl Desk {
    /// Writes the bundle of what is shared with `agency` in request `id` now: one zip file. The
    /// same state of the ledger gives the same bytes. Says what is provided, and nothing of what
    /// is not.
    ///
    /// # Errors
    ///
    /// `NotPartner`, also while suspended; `Unknown`; `Over` when nothing is shared; `Store` when a
    /// clip or the ledger cannot be read; `Invalid` when it would be above 4 GiB, or a part cannot
    /// be cut.
    pub fn bundle(
        &self,
        agency: &AgencyId,
        id: RequestId,
        trim: Trim<'_>,
        to: &mut dyn Write,
    ) -> Result<(), Refusal> {
        let view = self.agency_view(agency, id)?;
        crate::requests::agency::partner(&self.inside.lock().state, agency)?;
        if view.shared.is_empty() {
            return Err(Refusal::Over(format!("request {id}: nothing is shared")));
        }
        // What proves a clip is in the footer of its segment.
        self.store.seal()?;
        let (log, checkpoint, before) = self.sign_log()?;
        let mut archive = Archive::default();
        let mut provided = Vec::new();
        let mut proofs = Vec::new();
        for shared in &view.shared {
            let (member, clip, bytes) = self.member(shared, trim)?;
            archive.add(&member, bytes).map_err(refused)?;
            provided.push(describe(&clip, shared, member));
            proofs.push(self.prove_clip(clip.id())?);
        }
        let paper = Records::open(self.store.vfs())?.opened(&id.to_string())?;
        let opened = Opened { salt: paper.0, value: paper.1 };
        let wanted = self.wanted(agency, id, &log, &view.shared, &proofs)?;
        let consistency = before
            .as_ref()
            .and_then(|(size, _)| log.tree.consistency(usize::try_from(*size).ok()?, log.size));
        let entries = Entries {
            consistency: coded(consistency.unwrap_or_default()),
            entries: wanted.into_iter().map(|index| prove_entry(&log, index)).collect(),
        };
        let json = [
            (CLIPS, to_json(&proofs)?),
            (ENTRIES, to_json(&entries)?),
            (REQUEST, to_json(&opened)?),
            (CHECKPOINT, checkpoint.into_bytes()),
        ];
        for (name, bytes) in json {
            archive.add(name, bytes).map_err(refused)?;
        }
        if let Some((_, note)) = before {
            archive.add(BEFORE, note.into_bytes()).map_err(refused)?;
        }
        let key = self.signing_key()?;
        let files = archive.hashes().into_iter().map(|(name, hash)| (name, Hex(hash.to_vec())));
        let manifest = Manifest {
            agency: Text(agency.clone()),
            clips: provided,
            files: files.collect(),
            format: FORMAT.to_owned(),
            key: key.verifying_key().to_string(),
            made: Text(log.at),
            request: Text(id),
            store: Hex(self.store.id().to_vec()).text(),
            window: view.window,
        };
        let payload = to_json(&manifest)?;
        let envelope = Envelope::signed(PAYLOAD_TYPE, payload, &key);
        archive.add(MANIFEST, to_json(&envelope)?).map_err(refused)?;
        let hashes = archive.hashes();
        let text = sums(hashes.iter().map(|(name, hash)| (name, *hash)));
        archive.add(SUMS, text.into_bytes()).map_err(refused)?;
        archive.write_to(to).map_err(refused)
    }

    /// The member that a shared clip becomes: the original, or what was cut out of it.
    fn member(&self, shared: &Shared, trim: Trim<'_>) -> Result<(String, Clip, Vec<u8>), Refusal> {
        let reader = self.store.read_copied(shared.clip.0)?;
        let clip = reader.clip().clone();
        let (folder, bytes) = match shared.part.map(Span::window) {
            None => ("clips", reader.to_vec()?),
            Some(part) => {
                let cut = trim(&reader, part).map_err(|error| {
                    Refusal::Invalid(format!("cut {part} out of clip {}: {error}", clip.id()))
                })?;
                ("derived", cut)
            }
        };
        let extension = match clip.media().name() {
            "mp4" | "fragmented-mp4" => "mp4",
            "mpeg-ts" => "ts",
            "jpeg" => "jpg",
            _ => "bin",
        };
        Ok((format!("{folder}/{}.{extension}", clip.id()), clip, bytes))
    }

    fn prove_clip(&self, clip: ClipId) -> Result<ProvedClip, Refusal> {
        let proof = self.store.clip_proof(clip)?;
        Ok(ProvedClip {
            clip: Text(clip),
            leaf: Base64(proof.leaf),
            path: coded(proof.path),
            place: proof.place,
            segment: proof.segment.0,
        })
    }

    /// The indexes of the entries that show how it came to this: the partner, the request, the
    /// answers of those who shared, their holds, and the roots of the segments. None that says
    /// anything of anybody else.
    fn wanted(
        &self,
        agency: &AgencyId,
        id: RequestId,
        log: &Log,
        shared: &[Shared],
        proofs: &[ProvedClip],
    ) -> Result<Vec<usize>, Refusal> {
        let mut wanted = Vec::new();
        let mut holds = BTreeMap::new();
        for (index, bytes) in log.entries.iter().enumerate() {
            let (entry, _) = Entry::decode(bytes, &self.store.id())
                .map_err(|damage| crate::Error::corrupt("read ledger").caused_by(damage))?;
            match &entry.decision {
                Decision::HoldPlaced(placed) => {
                    holds.insert(placed.hold, index);
                }
                Decision::SegmentSealed { segment, .. }
                    if proofs.iter().any(|proof| proof.segment() == *segment) =>
                {
                    wanted.push(index);
                }
                Decision::Application { kind, bytes } if *kind == NOTE_KIND => {
                    match Event::decode(bytes) {
                        Ok(Event::AgencyJoined { agency: joined, .. }) if joined.0 == *agency => {
                            wanted.push(index);
                        }
                        Ok(Event::Submitted { request, .. }) if request.0 == id => {
                            wanted.push(index);
                        }
                        Ok(Event::Accepted { request, chosen, hold, .. })
                            if request.0 == id
                                && chosen
                                    .iter()
                                    .any(|one| shared.iter().any(|s| s.clip == one.clip)) =>
                        {
                            wanted.push(index);
                            wanted.extend(holds.get(&hold.0));
                        }
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        wanted.sort_unstable();
        wanted.dedup();
        Ok(wanted)
    }
}

pub(super) fn prove_entry(log: &Log, index: usize) -> ProvedEntry {
    let path = log.tree.inclusion(index, log.size).unwrap_or_default();
    ProvedEntry {
        entry: Base64(log.entries.get(index).cloned().unwrap_or_default()),
        index: u64::try_from(index).unwrap_or(u64::MAX),
        path: coded(path),
    }
}

fn describe(clip: &Clip, shared: &Shared, file: String) -> Provided {
    Provided {
        blake3: Hex(clip.digest().to_vec()),
        bytes: clip.len(),
        camera: Text(clip.camera().clone()),
        clip: Text(clip.id()),
        file,
        media: clip.media().name().to_owned(),
        part: shared.part,
        received: Text(clip.received()),
        state: clip.state().name().to_owned(),
        uncertainty_us: u64::try_from(clip.uncertainty().as_micros()).unwrap_or(u64::MAX),
        window: clip.window().into(),
    }
}

fn coded(hashes: Vec<[u8; 32]>) -> Vec<Base64> {
    hashes.into_iter().map(|hash| Base64(hash.to_vec())).collect()
}

fn to_json(value: &impl serde::Serialize) -> Result<Vec<u8>, Refusal> {
    serde_json::to_vec(value).map_err(|error| Refusal::Invalid(error.to_string()))
}

fn refused(error: ArchiveError) -> Refusal {
    match error {
        ArchiveError::Io(error) => {
            crate::Error::io("write bundle", std::path::Path::new("bundle"), error).into()
        }
        other => Refusal::Invalid(format!("bundle: {other}")),
    }
}
