//! A segment's file as opening finds it: its ends and, where it is not sealed, its records.
//!
//! Reads without knowing what the ledger says, which may be read meanwhile; what counts is decided
//! when the segment is opened.

use std::sync::Arc;

use super::handle::SegmentFile;
use super::scan::Records;
use super::{Handles, Known, Scan, Segment};
use crate::barrier::Barrier;
use crate::format::footer::Footer;
use crate::format::segment::{SegmentHeader, Trailer};
use crate::format::{BLOCK_BYTES, SegmentKey, name};
use crate::types::{ClassId, Error, ErrorKind, Result, SegmentId};
use crate::vfs::{Vfs, VfsFile};

/// A segment's file that was read, and of which it is not decided yet what counts.
#[derive(Debug)]
pub(crate) struct FoundSegment {
    named: (ClassId, SegmentId),
    writable: bool,
    file: Arc<dyn VfsFile>,
    header: SegmentHeader,
    content: Content,
    /// Damage that was found and does not matter to the clips.
    problems: Vec<Error>,
    len: u64,
}

#[derive(Debug)]
enum Content {
    /// It has a trailer; its footer was not read.
    Sealed(Box<Trailer>),
    /// It has none. Its records, unless its last block cannot be read: then they are looked for
    /// when it is opened, since the index may know that it is sealed.
    Unsealed(Option<Records>),
}

/// What opening a segment's file gave.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) segment: Arc<Segment>,
    /// For an unsealed segment: what the scan found, without the draft, which the segment has.
    pub(crate) scan: Option<Scan>,
    /// Damage that was found and does not matter to the clips.
    pub(crate) problems: Vec<Error>,
    /// There is a trailer, but not the footer it vouches for: damage if the seal is on record, and
    /// otherwise a seal that the power cut short.
    pub(crate) no_footer: Option<Error>,
}

impl FoundSegment {
    /// Reads the file of the class and the id that `named` has.
    ///
    /// # Errors
    ///
    /// `Corrupt` when no copy of its header is readable, or when it is another store's or another
    /// segment's; `Unsupported` when it is of a later version; `Io`.
    pub(crate) fn read(
        vfs: &dyn Vfs,
        named: (ClassId, SegmentId),
        store: &[u8; 16],
        writable: bool,
    ) -> Result<Self> {
        let name = name::segment(named.0, named.1);
        let path = vfs.display_path(&name);
        let fail = |error| Error::io("open segment", &path, error);
        let file = vfs.open(&name, writable).map_err(fail)?;
        let len = file.len().map_err(fail)?;
        let mut problems = Vec::new();
        let (header, trailer, is_whole) =
            read_ends(&*file, len, &mut problems).map_err(|error| error.at(&path))?;
        let ours = header.key.store == *store && named == (header.class, header.key.segment);
        if !Barrier::SegmentOwner.test(ours) {
            return Err(
                Error::corrupt("open segment: it belongs to another store or name").at(&path)
            );
        }
        let len = len.min(header.segment_bytes);
        let content = match trailer {
            Some(trailer) => Content::Sealed(Box::new(trailer)),
            None if is_whole => {
                let records = Records::find(&*file, &header.key, len);
                let failed = |error| Error::io("scan segment", &path, error);
                Content::Unsealed(Some(records.map_err(failed)?))
            }
            None => Content::Unsealed(None),
        };
        Ok(Self { named, writable, file, header, content, problems, len })
    }

    /// Decides what counts of it, by what is `known`.
    ///
    /// # Errors
    ///
    /// `Io` of a scan that a damaged footer or last block makes necessary.
    pub(crate) fn open(self, handles: &Arc<Handles>, known: Known) -> Result<Opened> {
        let Self { named, writable, file, header, content, mut problems, len } = self;
        let path = handles.vfs().display_path(&name::segment(named.0, named.1));
        let (records, no_footer) = match content {
            Content::Unsealed(records) => (records, None),
            Content::Sealed(trailer) => match read_footer(&*file, &header.key, &trailer) {
                Ok(footer) => {
                    let file = SegmentFile::pinned(handles, named, writable, file);
                    file.unpin();
                    let segment = Segment::sealed(file, header, *trailer, footer);
                    let problems = problems.into_iter().map(|error| error.at(&path)).collect();
                    return Ok(Opened { segment, scan: None, problems, no_footer: None });
                }
                Err(error) => (None, Some(error.at(&path))),
            },
        };
        let records = records.map_or_else(|| Records::find(&*file, &header.key, len), Ok);
        let records = records.map_err(|error| Error::io("scan segment", &path, error))?;
        let mut scan = records.judge(&*file, &header.key, known);
        problems.append(&mut scan.problems);
        scan.mended = scan.mended.into_iter().map(|error| error.at(&path)).collect();
        let mut draft = std::mem::take(&mut scan.draft);
        draft.mark_beginnings(|clip| header.is_home_of(clip));
        let file = SegmentFile::pinned(handles, named, writable, file);
        let segment = Segment::unsealed(file, header, draft);
        let problems = problems.into_iter().map(|error| error.at(&path)).collect();
        Ok(Opened { segment, scan: Some(scan), problems, no_footer })
    }
}

/// The header from block 0, or else from its copy in the last block, the trailer if there is one,
/// and whether the last block could be read.
fn read_ends(
    file: &dyn VfsFile,
    len: u64,
    problems: &mut Vec<Error>,
) -> Result<(SegmentHeader, Option<Trailer>, bool)> {
    let blocks = len / BLOCK_BYTES;
    let last = u32::try_from(blocks.saturating_sub(1)).unwrap_or(u32::MAX);
    let first_block = read_block(file, 0);
    let last_block = read_block(file, u64::from(last) * BLOCK_BYTES);
    let is_read = last_block.is_some();
    let last_block = last_block.unwrap_or_default();
    let header = match first_block.as_deref().map(SegmentHeader::decode) {
        Some(Ok(header)) => Ok(header),
        Some(Err(damage)) => Err(damage),
        None => Err(crate::format::Damage::Short),
    };
    match header {
        Ok(header) => {
            let trailer = Trailer::decode(&last_block, &header.key, last).ok();
            Ok((header, trailer, is_read))
        }
        Err(crate::format::Damage::Version(version)) => Err(Error::new(
            ErrorKind::Unsupported,
            format!("open segment: version or feature {version} is not known to this build"),
        )),
        Err(damage) => {
            problems.push(
                Error::corrupt("read segment header, used its copy").caused_by(damage).at_offset(0),
            );
            if let Ok(trailer) = Trailer::decode_unkeyed(&last_block, last) {
                return Ok((trailer.header.clone(), Some(trailer), is_read));
            }
            let Ok(header) = SegmentHeader::decode(&last_block) else {
                let message = "open segment: neither copy of its header is readable";
                return Err(Error::corrupt(message).caused_by(damage));
            };
            Ok((header, None, is_read))
        }
    }
}

pub(super) fn read_block(file: &dyn VfsFile, offset: u64) -> Option<Vec<u8>> {
    let mut block = vec![0; usize::try_from(BLOCK_BYTES).ok()?];
    file.read_at(offset, &mut block).ok()?;
    Some(block)
}

pub(super) fn read_footer(
    file: &dyn VfsFile,
    key: &SegmentKey,
    trailer: &Trailer,
) -> Result<Footer> {
    let fail = |damage| {
        Error::corrupt("read segment footer").at_offset(trailer.footer_offset).caused_by(damage)
    };
    // A trailer's CRC vouches for the length; the file's length bounds it all the same.
    let len = file.len().unwrap_or(0).saturating_sub(trailer.footer_offset);
    let Some(len) =
        usize::try_from(trailer.footer_bytes).ok().filter(|_| trailer.footer_bytes <= len)
    else {
        return Err(fail(crate::format::Damage::Short));
    };
    let mut bytes = vec![0; len];
    file.read_at(trailer.footer_offset, &mut bytes).map_err(|error| {
        Error::corrupt("read segment footer").at_offset(trailer.footer_offset).caused_by(error)
    })?;
    let vouched_for = key.crc(trailer.footer_block(), &bytes) == trailer.footer_crc;
    if !Barrier::FooterCrc.test(vouched_for) {
        return Err(fail(crate::format::Damage::Checksum));
    }
    Footer::decode(&bytes, key).map_err(fail)
}
