//! Verify: is everything still there, and is it still what it was?

use std::sync::Arc;

use crate::barrier::Barrier;
use crate::format::{BLOCK_BYTES, name};
use crate::log::{FoundPart, Known, Segment};
use crate::types::{ClassId, ClipId, Error, Result, SegmentId};

use super::{Fault, Inner, Store, VerifyDepth, VerifyReport};

/// How far a long job is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes that are done.
    pub done_bytes: u64,
    /// Bytes in all, as known at the start.
    pub total_bytes: u64,
}

impl Store {
    /// Checks the store to the given depth and reports every fault; `progress` is told how far it
    /// is after each segment. Recording, reading and sweeping go on meanwhile: what expires under
    /// way is passed over.
    ///
    /// # Errors
    ///
    /// Only when checking itself is impossible; what is wrong with the store is in the report.
    pub fn verify(
        &self,
        depth: VerifyDepth,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<VerifyReport> {
        let mut verifier = Verifier { inner: &self.inner, depth, report: VerifyReport::default() };
        verifier.check_ledger()?;
        verifier.check_presence();
        // By id: a segment in hand would keep the room of its file when it is dropped.
        let segments: Vec<(SegmentId, u64)> = {
            let catalog = self.inner.catalog.read();
            let sizes = catalog.segments.iter();
            sizes.map(|(id, shelved)| (*id, shelved.segment.payload_bytes())).collect()
        };
        let total_bytes = segments.iter().map(|(_, bytes)| bytes).sum();
        let mut done_bytes = 0;
        for (id, bytes) in segments {
            let shelved = self.inner.catalog.read();
            let segment = shelved.segments.get(&id).map(|found| Arc::clone(&found.segment));
            drop(shelved);
            if let Some(segment) = segment {
                verifier.check_segment(&segment);
            }
            done_bytes += bytes;
            progress(Progress { done_bytes, total_bytes });
        }
        Ok(verifier.report)
    }
}

struct Verifier<'a> {
    inner: &'a Inner,
    depth: VerifyDepth,
    report: VerifyReport,
}

impl Verifier<'_> {
    fn fault(&mut self, segment: Option<SegmentId>, clip: Option<ClipId>, error: Error) {
        self.report.faults.push(Fault { segment, clip, error });
    }

    /// A fault in a segment, or in a clip in it: unless it has expired since it was looked up, for
    /// then it is no fault that its bytes are gone.
    fn fault_in(&mut self, segment: &Arc<Segment>, clip: Option<ClipId>, error: Error) {
        let catalog = self.inner.catalog.read();
        let counts = catalog.segments.contains_key(&segment.id)
            && match (clip, segment.parts(&self.inner.footers)) {
                (Some(clip), _) => catalog.is_live(clip, segment),
                // Its file goes shortly before the catalog learns of it.
                (None, Ok(parts)) => {
                    let needed = |found: &FoundPart| catalog.is_needed(found.part.clip, segment);
                    parts.is_empty() || parts.iter().any(needed)
                }
                (None, Err(_)) => true,
            };
        drop(catalog);
        if counts {
            self.fault(Some(segment.id), clip, error);
        }
    }

    /// Both copies of the ledger, from disk: every entry's CRC and chain, and that they are equal.
    /// Holds and sweeps go on meanwhile.
    fn check_ledger(&mut self) -> Result<()> {
        let ledger = &self.inner.ledger;
        let snapshot = {
            let mut ledger = ledger.lock();
            if ledger.unreadable().is_none() && !self.inner.options.read_only {
                ledger.flush()?;
            }
            ledger.snapshot()
        };
        let mut entries = 0;
        let faults = snapshot.verify(&mut || Some(ledger.lock()), &mut |_, _| entries += 1)?;
        self.report.ledger_entries = entries;
        for error in faults {
            self.fault(None, None, error);
        }
        Ok(())
    }

    /// Every segment that the ledger names is there.
    fn check_presence(&mut self) {
        let missing: Vec<(SegmentId, Option<ClassId>)> = {
            let (history, catalog) = (self.inner.history.read(), self.inner.catalog.read());
            let expected = history.expected_but(|id| catalog.segments.contains_key(&id));
            expected
                .into_iter()
                .filter(|(id, class)| {
                    // A move is on record shortly before the catalog has the copy.
                    let no_file = |class: &ClassId| {
                        self.inner.vfs.open(&name::segment(*class, *id), false).is_err()
                    };
                    catalog.unopened.contains(id) || class.as_ref().is_some_and(no_file)
                })
                .collect()
        };
        for (id, class) in missing {
            let error = self.inner.missing_error(id, class, "verify");
            self.fault(Some(id), None, error);
        }
    }

    fn check_segment(&mut self, segment: &Arc<Segment>) {
        self.report.segments += 1;
        if let Err(error) = self.check_file(segment) {
            self.fault_in(segment, None, error);
            return;
        }
        if self.depth < VerifyDepth::Headers {
            return;
        }
        if let Err(error) = self.check_root(segment) {
            self.fault_in(segment, None, error);
        }
        let parts = match segment.parts(&self.inner.footers) {
            Ok(parts) => parts,
            Err(error) => return self.fault_in(segment, None, error),
        };
        for found in parts {
            let clip = found.part.clip;
            if !self.inner.catalog.read().is_live(clip, segment) {
                continue;
            }
            self.check_records(segment, clip);
            if found.part.first {
                self.report.clips += 1;
                if self.depth >= VerifyDepth::Bytes {
                    self.check_digest(segment, clip);
                }
            }
        }
    }

    /// The file is there with its length.
    fn check_file(&self, segment: &Arc<Segment>) -> Result<()> {
        let fail = |error| Error::io("verify segment", &segment.path(), error);
        let file = self.inner.vfs.open(&segment.name(), false).map_err(fail)?;
        let len = file.len().map_err(fail)?;
        let wanted = match segment.trailer() {
            Some(trailer) => trailer.footer_offset + trailer.footer_bytes + BLOCK_BYTES,
            None => segment.header.segment_bytes,
        };
        if len < wanted {
            return Err(Error::corrupt(format!("verify segment: {len} bytes of {wanted}"))
                .at(&segment.path()));
        }
        Ok(())
    }

    /// Header, trailer and footer read as they did, and the Merkle root is the one on record.
    fn check_root(&self, segment: &Arc<Segment>) -> Result<()> {
        if !segment.is_sealed() {
            // It has none of these yet, and is being written.
            return Ok(());
        }
        let again = Segment::open(
            &self.inner.handles,
            (segment.class, segment.id),
            &self.inner.uuid,
            Known::default(),
            false,
        )?;
        if let Some(error) = again.no_footer.or(again.problems.into_iter().next()) {
            return Err(error);
        }
        let corrupt = |message| Err(Error::corrupt(message).at(&segment.path()));
        let recorded = self.inner.history.read().sealed.get(&segment.id).copied();
        match (again.segment.trailer(), recorded) {
            (None, _) => corrupt("verify segment: its trailer cannot be read"),
            (Some(found), Some((_, recorded)))
                if !Barrier::RootAtVerifying.test(found.root == recorded) =>
            {
                corrupt("verify segment: its Merkle root is not the one on record")
            }
            _ => Ok(()),
        }
    }

    /// Header and tail of every record of the clip's part.
    fn check_records(&mut self, segment: &Arc<Segment>, clip: ClipId) {
        let part = match segment.part_of(&self.inner.footers, clip) {
            Ok(Some((_, part))) => part,
            Ok(None) => return,
            Err(error) => return self.fault_in(segment, Some(clip), error),
        };
        for record in &part.records {
            for header in segment.headers_of(record) {
                let whole = header.as_ref().is_ok_and(|header| header.clip == clip);
                if !Barrier::RecordAtVerifying.test(whole) {
                    let of_another = || Error::corrupt("verify: a record is another clip's");
                    let error = header.err().unwrap_or_else(|| of_another().at(&segment.path()));
                    self.fault_in(segment, Some(clip), error);
                }
            }
        }
    }

    /// Every byte of the clip, from disk: chunk by chunk, and the whole against its digest.
    fn check_digest(&mut self, segment: &Arc<Segment>, clip: ClipId) {
        let reader = match self.inner.reader(clip, false) {
            Ok(reader) => reader,
            Err(error) => return self.fault_in(segment, Some(clip), error),
        };
        let len = reader.clip().len();
        let mut hasher = blake3::Hasher::new();
        let mut damaged = false;
        let chunks = match reader.chunks(0..len) {
            Ok(chunks) => chunks,
            Err(error) => return self.fault_in(segment, Some(clip), error),
        };
        for chunk in chunks {
            match chunk {
                Ok(chunk) => {
                    self.report.bytes += u64::try_from(chunk.len()).unwrap_or(0);
                    hasher.update(&chunk);
                }
                Err(error) => {
                    damaged = true;
                    self.fault_in(segment, Some(clip), error);
                }
            }
        }
        let same = hasher.finalize().as_bytes() == reader.clip().digest();
        if !damaged && !Barrier::DigestAtVerifying.test(same) {
            let error = Error::corrupt(format!("verify: clip {clip} does not match its digest"));
            self.fault_in(segment, Some(clip), error.at(&segment.path()));
        }
    }
}
