//! The records that one commit writes into a segment: how their bytes get there.
//!
//! Owns nothing: the leader has placed the records, and syncs when they are written.

use std::io;

use bytes::Bytes;

use super::Segment;
use super::appender::Submission;
use super::leader::Placed;
use crate::format::BLOCK_BYTES;
use crate::format::record::RecordEnds;
use crate::vfs::Later;

/// [`BLOCK_BYTES`] as a length in memory.
const BLOCK_LEN: usize = 4096;
const _: () = assert!(BLOCK_BYTES == 4096);

/// Placed records, which stand one behind the other, and what was submitted as each of them.
pub(super) struct Group<'a> {
    pub(super) segment: &'a Segment,
    pub(super) records: &'a mut [Placed],
    pub(super) submissions: &'a mut [Submission],
}

/// Blocks of a record that have payload and nothing else.
struct Body {
    offset: u64,
    /// Where they begin in the payload.
    from: usize,
    bytes: Bytes,
}

impl Group<'_> {
    /// Writes all of them in one go, in order. They are summed.
    pub(super) fn write(&mut self, sync: bool) -> io::Result<()> {
        let ends = self.ends();
        let mut bufs: Vec<&[u8]> = Vec::with_capacity(ends.len() * 4);
        for (ends, submission) in ends.iter().zip(&*self.submissions) {
            bufs.extend([ends.head(), &submission.payload, ends.padding(), ends.tail()]);
        }
        let start = self.records.first().map_or(0, Placed::offset);
        // What is synced next need not be in the page cache; what is not must not wait for a disk.
        if sync {
            self.segment.file.write_through(start, &bufs)
        } else {
            self.segment.file.write_at(start, &bufs)
        }
    }

    /// Writes all of them, taking their sums meanwhile: it begins with what is payload alone of the
    /// first one. Nothing hangs on the order: a crash in between leaves payloads without a header
    /// or headers without their payload, as a torn write would.
    pub(super) fn write_while_summing(&mut self, hasher: &mut blake3::Hasher) -> io::Result<()> {
        let body = self.first_body();
        let file = &self.segment.file;
        file.write_beside(body.offset, &body.bytes, &mut || {
            self.submissions.iter_mut().for_each(|submission| submission.take_sums(hasher));
            self.around(&body)
        })
    }

    /// The first record's blocks that have payload and nothing else.
    fn first_body(&self) -> Body {
        let Some((record, given)) = self.records.first().zip(self.submissions.first()) else {
            return Body { offset: 0, from: 0, bytes: Bytes::new() };
        };
        let payload = &given.payload;
        let from = BLOCK_LEN.saturating_sub(record.header.header_bytes()).min(payload.len());
        let len = (payload.len() - from) / BLOCK_LEN * BLOCK_LEN;
        let bytes = payload.slice(from..from + len);
        Body { offset: record.offset() + BLOCK_BYTES, from, bytes }
    }

    /// What stands behind `body`, and before it.
    fn around(&mut self, body: &Body) -> Vec<Later> {
        let (mut before, mut behind) = (Vec::new(), Vec::new());
        for (index, (ends, submission)) in self.ends().iter().zip(&*self.submissions).enumerate() {
            let (head, payload) = (Bytes::copy_from_slice(ends.head()), &submission.payload);
            let (padding, tail) = (ends.padding(), Bytes::copy_from_slice(ends.tail()));
            let own = if index == 0 {
                before = vec![head, payload.slice(..body.from)];
                vec![payload.slice(body.from + body.bytes.len()..)]
            } else {
                vec![head, payload.clone()]
            };
            behind.extend(own.into_iter().chain([Bytes::from_static(padding), tail]));
        }
        if body.bytes.is_empty() {
            before.append(&mut behind);
        }
        let start = body.offset.saturating_sub(BLOCK_BYTES);
        let laters =
            [Later { offset: body.end(), bytes: behind }, Later { offset: start, bytes: before }];
        laters.into_iter().filter(|later| !later.bytes.is_empty()).collect()
    }

    /// What stands around the payloads.
    fn ends(&mut self) -> Vec<RecordEnds> {
        let key = &self.segment.header.key;
        let records = self.records.iter_mut().zip(&*self.submissions);
        let ends = records.map(|(record, submission)| {
            record.header.digest = submission.header.digest;
            record.header.ends(&submission.chunk_crcs, key, record.block)
        });
        ends.collect()
    }
}

impl Placed {
    /// Where the record begins.
    fn offset(&self) -> u64 {
        u64::from(self.block) * BLOCK_BYTES
    }
}

impl Body {
    fn end(&self) -> u64 {
        self.offset + u64::try_from(self.bytes.len()).unwrap_or(u64::MAX)
    }
}
