//! A bundle that is about to be handed out: what it is made of, and not its footage.
//!
//! Every byte of it is decided when it is made, its length is known, and any range of it can be
//! read. Footage is read from the store when its turn comes, one clip at a time, so that a bundle
//! of gigabytes takes as much memory as its proofs.

use std::collections::BTreeSet;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use crate::evidence::{ArchivePiece, Hash};
use crate::{ClipReader, Store, Window};

use crate::requests::{AgencyId, AgencyView, Desk, Refusal, RequestId, Shared, Span};

use super::footage::{Footage, Trim, TrimError};

/// What is read at once: a chunk of the store.
const COPY_BYTES: usize = 64 << 10;

/// A bundle: see [`crate::requests::Desk::open_bundle`].
#[derive(Clone, Debug)]
pub struct Bundle(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    store: Store,
    pieces: Vec<Piece>,
    len: u64,
    digest: Hash,
}

#[derive(Debug)]
struct Piece {
    /// Where in the file it begins.
    begin: u64,
    len: u64,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Bytes(Vec<u8>),
    Footage(Shared),
}

impl Piece {
    fn end(&self) -> u64 {
        self.begin.saturating_add(self.len)
    }
}

impl Bundle {
    /// The bundle of `pieces`, in which `shared` says what stands elsewhere. `digest` stands for
    /// every byte of it.
    pub(super) fn new(
        store: Store,
        pieces: Vec<ArchivePiece>,
        digest: Hash,
        shared: impl Fn(&str) -> Option<Shared>,
    ) -> Option<Self> {
        let (mut all, mut begin) = (Vec::new(), 0_u64);
        for piece in pieces {
            let (len, content) = match piece {
                ArchivePiece::Bytes(bytes) => {
                    (u64::try_from(bytes.len()).ok()?, Content::Bytes(bytes))
                }
                ArchivePiece::Elsewhere { name, len } => (len, Content::Footage(shared(&name)?)),
            };
            all.push(Piece { begin, len, content });
            begin = begin.checked_add(len)?;
        }
        Some(Self(Arc::new(Parts { store, pieces: all, len: begin, digest })))
    }

    /// How many bytes it has.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.len
    }

    /// Whether it has none: never.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.len == 0
    }

    /// What only this bundle has: bundles with the same digest have the same bytes.
    #[must_use]
    pub fn digest(&self) -> &[u8; 32] {
        &self.0.digest
    }

    /// How many of its bytes are in memory.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let in_memory = self.0.pieces.iter().map(|piece| match &piece.content {
            Content::Bytes(bytes) => bytes.len(),
            Content::Footage(_) => 0,
        });
        in_memory.sum()
    }

    /// Whether it has exactly this footage.
    fn is_of(&self, shared: &[Shared]) -> bool {
        let named = |shared: &Shared| (shared.clip, shared.part);
        let own = self.0.pieces.iter().filter_map(|piece| match &piece.content {
            Content::Footage(shared) => Some(named(shared)),
            Content::Bytes(_) => None,
        });
        own.collect::<BTreeSet<_>>() == shared.iter().map(named).collect()
    }

    /// Writes all of it, with `footage` for what is cut out of clips.
    ///
    /// # Errors
    ///
    /// `Store` when a clip is gone meanwhile or cannot be read; `Invalid` when a part cannot be
    /// cut any more.
    pub fn write_to(&self, footage: &dyn Footage, to: &mut dyn Write) -> Result<(), Refusal> {
        for piece in &self.0.pieces {
            match &piece.content {
                Content::Bytes(bytes) => to.write_all(bytes).map_err(cannot_write)?,
                Content::Footage(shared) => {
                    let open = Open::of(&self.0.store, shared, footage)?;
                    open.must_be(piece.len, shared)?;
                    open.write_to(to)?;
                }
            }
        }
        Ok(())
    }

    /// Reads it, with `footage` for what is cut out of clips.
    #[must_use]
    pub fn reader(&self, footage: Arc<dyn Footage>) -> BundleReader {
        BundleReader { bundle: self.clone(), footage, at: 0, open: None }
    }
}

impl Desk {
    /// Whether `agency` may go on fetching `bundle`, which was made for it in request `id`: the
    /// same is shared with it now, whatever was decided about others since.
    ///
    /// # Errors
    ///
    /// `NotPartner`, also while suspended; `Unknown`.
    pub fn may_go_on(
        &self,
        agency: &AgencyId,
        id: RequestId,
        bundle: &Bundle,
    ) -> Result<bool, Refusal> {
        Ok(bundle.is_of(&self.fetchable(agency, id)?.shared))
    }

    /// The agency's view of a request, with that alone which it can fetch. What it said it has dies
    /// on its own day, and is no reason to refuse what others share later.
    pub(super) fn fetchable(
        &self,
        agency: &AgencyId,
        id: RequestId,
    ) -> Result<AgencyView, Refusal> {
        let mut view = self.agency_view(agency, id)?;
        let inside = self.inside.lock();
        crate::requests::agency::partner(&inside.state, agency)?;
        let words = inside.state.requests.get(&id).is_some_and(|one| one.words_gone.is_none());
        let there = |one: &Shared| one.until.is_some() || self.store.clip(one.clip.0).is_ok();
        view.shared.retain(|one| words && there(one));
        Ok(view)
    }
}

/// The bytes of a bundle, in order or from anywhere. Keeps one clip open at a time.
#[derive(Debug)]
pub struct BundleReader {
    bundle: Bundle,
    footage: Arc<dyn Footage>,
    at: u64,
    /// The footage that was read last, and which piece it is.
    open: Option<(usize, Open)>,
}

#[derive(Debug)]
pub(super) enum Open {
    Whole(ClipReader),
    Part(Box<dyn Trim>),
}

impl Open {
    /// Opens what is shared of a clip, as far as it is shared.
    pub(super) fn of(
        store: &Store,
        shared: &Shared,
        footage: &dyn Footage,
    ) -> Result<Self, Refusal> {
        let reader = store.read_copied(shared.clip.0)?;
        let Some(part) = shared.part.map(Span::window) else {
            return Ok(Self::Whole(reader));
        };
        let cut = footage.cut(&reader, part).map_err(|error| cannot_cut(shared, part, &error))?;
        Ok(Self::Part(cut))
    }

    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Whole(reader) => reader.clip().len(),
            Self::Part(cut) => cut.len(),
        }
    }

    pub(super) fn read_at(&self, offset: u64, buf: &mut [u8]) -> crate::Result<()> {
        match self {
            Self::Whole(reader) => reader.read_at(offset, buf),
            Self::Part(cut) => cut.read_at(offset, buf),
        }
    }

    /// Its header was made for so many bytes.
    fn must_be(&self, len: u64, shared: &Shared) -> crate::Result<()> {
        if self.len() == len {
            return Ok(());
        }
        let what = format!("read bundle: clip {} came out of another length", shared.clip.0);
        Err(crate::Error::corrupt(what))
    }

    /// Writes all of it, a little at a time.
    pub(super) fn write_to(&self, to: &mut dyn Write) -> Result<(), Refusal> {
        let (mut at, mut buf) = (0, vec![0; COPY_BYTES]);
        while at < self.len() {
            let left = usize::try_from(self.len() - at).unwrap_or(usize::MAX);
            let part = buf.get_mut(..left.min(COPY_BYTES)).unwrap_or_default();
            self.read_at(at, part)?;
            to.write_all(part).map_err(cannot_write)?;
            at = at.saturating_add(u64::try_from(part.len()).unwrap_or(u64::MAX));
        }
        Ok(())
    }
}

fn cannot_cut(shared: &Shared, part: Window, error: &TrimError) -> Refusal {
    Refusal::Invalid(format!("cut {part} out of clip {}: {error}", shared.clip.0))
}

pub(super) fn cannot_write(error: io::Error) -> Refusal {
    crate::Error::io("write bundle", std::path::Path::new("bundle"), error).into()
}

impl BundleReader {
    /// Reads some of piece `index` from `at` on, which is in it.
    fn read_piece(&mut self, index: usize, buf: &mut [u8]) -> io::Result<usize> {
        let parts = Arc::clone(&self.bundle.0);
        let Some(piece) = parts.pieces.get(index) else { return Ok(0) };
        let inside = self.at - piece.begin;
        let left = usize::try_from(piece.len - inside).unwrap_or(usize::MAX);
        // Up to the end of a chunk as the store has them: half a chunk costs as much as a whole.
        let into_chunk = usize::try_from(inside).unwrap_or(usize::MAX) % COPY_BYTES;
        let len = left.min(buf.len()).min(COPY_BYTES - into_chunk);
        let part = buf.get_mut(..len).unwrap_or_default();
        match &piece.content {
            Content::Bytes(bytes) => {
                let begin = usize::try_from(inside).unwrap_or(usize::MAX);
                part.copy_from_slice(bytes.get(begin..begin + len).unwrap_or_default());
            }
            Content::Footage(shared) => {
                let open = self.open(index, shared, piece.len)?;
                open.read_at(inside, part).map_err(io::Error::other)?;
            }
        }
        Ok(len)
    }

    fn open(&mut self, index: usize, shared: &Shared, len: u64) -> io::Result<&Open> {
        if self.open.as_ref().is_none_or(|(opened, _)| *opened != index) {
            self.open = None;
            let opened = Open::of(&self.bundle.0.store, shared, &*self.footage);
            let opened = opened.map_err(io::Error::other)?;
            opened.must_be(len, shared).map_err(io::Error::other)?;
            self.open = Some((index, opened));
        }
        let open = self.open.as_ref().map(|(_, open)| open);
        open.ok_or_else(|| io::Error::other("a clip was not opened"))
    }
}

impl Read for BundleReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() || self.at >= self.bundle.len() {
            return Ok(0);
        }
        let index = self.bundle.0.pieces.partition_point(|piece| piece.end() <= self.at);
        let len = self.read_piece(index, buf)?;
        self.at = self.at.saturating_add(u64::try_from(len).unwrap_or(u64::MAX));
        Ok(len)
    }
}

impl Seek for BundleReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.bundle.len().checked_add_signed(offset),
            SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
        };
        let before = || io::Error::new(io::ErrorKind::InvalidInput, "seek before the first byte");
        self.at = at.ok_or_else(before)?;
        Ok(self.at)
    }
}
