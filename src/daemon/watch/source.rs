//! Where the bytes of an answer come from, and how they get to the socket: never more than a few
//! chunks at a time, each lent by the store's map, not copied.
//!
//! Owns the leases: a clip that is opened here stays readable, whatever expires meanwhile, until
//! its answer is sent or given up. A client that takes nothing for a while loses its answer, so
//! that it cannot pin footage for ever.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use parking_lot::Mutex;

use crate::media::{ExportPart, ExportPlan};
use crate::requests::evidence::BundleReader;
use crate::{Clip, ClipReader, Error, ErrorKind, Result as StoreResult, Store};

use super::super::app::App;
use super::super::problem::Problem;
use super::chunks::{ChunkSender, chunks as channel};

/// How much is read in one call of the store.
const BATCH_BYTES: u64 = 1 << 20;
/// How much of a bundle is one chunk.
const CHUNK_BYTES: u64 = 64 << 10;
/// How many chunks, of 64 KiB at most, wait for the socket.
const CHUNKS_WAITING_MAX: usize = 16;

/// What an answer is made of, before it is known how much of it is wanted.
#[derive(Debug)]
pub(super) enum Source {
    /// Bytes that are there already.
    Memory(Bytes),
    /// A stored clip.
    Clip(Box<ClipReader>),
    /// A file over several clips: they are opened when it is known which of them are needed.
    Window {
        /// What the file is made of.
        plan: Arc<ExportPlan>,
        /// The clips that the plan is of, in its order.
        clips: Vec<Clip>,
    },
    /// What residents shared: its clips are opened one after the other, and stay held meanwhile.
    Bundle(BundleReader),
}

/// The same with everything open that is needed for one range.
enum Open {
    Memory(Bytes),
    Clip(Box<ClipReader>),
    Window { plan: Arc<ExportPlan>, clips: Vec<Option<ClipReader>> },
    Bundle(Mutex<BundleReader>),
}

impl Source {
    /// Opens what is needed for `range`: from here on the clips cannot go away.
    fn open(self, store: &Store, range: Range<u64>) -> StoreResult<Open> {
        match self {
            Self::Memory(bytes) => Ok(Open::Memory(bytes)),
            Self::Clip(reader) => Ok(Open::Clip(reader)),
            Self::Bundle(reader) => Ok(Open::Bundle(Mutex::new(reader))),
            Self::Window { plan, clips } => {
                let mut open: Vec<Option<ClipReader>> = clips.iter().map(|_| None).collect();
                for part in plan.parts(range)? {
                    let ExportPart::Clip { clip, .. } = part else { continue };
                    if let (Some(slot @ None), Some(clip)) = (open.get_mut(clip), clips.get(clip)) {
                        *slot = Some(store.read(clip.id())?);
                    }
                }
                Ok(Open::Window { plan, clips: open })
            }
        }
    }
}

impl Open {
    /// The bytes of `range`, chunk by chunk.
    fn chunks(&self, range: Range<u64>) -> StoreResult<Vec<Bytes>> {
        match self {
            Self::Memory(bytes) => Ok(vec![slice(bytes, range)]),
            Self::Clip(reader) => reader.chunks(range)?.collect(),
            Self::Bundle(reader) => read_some(&mut reader.lock(), range),
            Self::Window { plan, clips } => {
                let mut chunks = Vec::new();
                for part in plan.parts(range)? {
                    match part {
                        ExportPart::Memory(bytes) => chunks.push(bytes),
                        ExportPart::Clip { clip, range } => {
                            let reader = clips.get(clip).and_then(Option::as_ref);
                            let reader = reader.ok_or_else(not_open)?;
                            for chunk in reader.chunks(range)? {
                                chunks.push(chunk?);
                            }
                        }
                    }
                }
                Ok(chunks)
            }
        }
    }
}

/// The bytes of `range` of a bundle, in chunks as large as those of the store.
fn read_some(reader: &mut BundleReader, range: Range<u64>) -> StoreResult<Vec<Bytes>> {
    let failed =
        |error: std::io::Error| Error::new(ErrorKind::Corrupt, "read a bundle").caused_by(error);
    reader.seek(SeekFrom::Start(range.start)).map_err(failed)?;
    let (mut left, mut chunks) = (range.end - range.start, Vec::new());
    while left > 0 {
        let mut chunk = Vec::new();
        let read = reader.by_ref().take(left.min(CHUNK_BYTES)).read_to_end(&mut chunk);
        read.map_err(failed)?;
        if chunk.is_empty() {
            return Err(Error::new(ErrorKind::Corrupt, "read a bundle: it ended before its end"));
        }
        left = left.saturating_sub(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        chunks.push(Bytes::from(chunk));
    }
    Ok(chunks)
}

fn not_open() -> Error {
    Error::new(ErrorKind::Corrupt, "send a window: a clip of it was not opened")
}

fn slice(bytes: &Bytes, range: Range<u64>) -> Bytes {
    let at = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
    bytes.slice(at(range.start)..at(range.end))
}

/// A body of the bytes in `range` of `source`. The first of them are read before it is returned,
/// so that what is gone or damaged is still an answer of its own.
///
/// # Errors
///
/// Those of the store; `unavailable` when all readers are busy.
pub(super) async fn body(app: &App, source: Source, range: Range<u64>) -> Result<Body, Problem> {
    let all = range.clone();
    let first = batch(&range);
    let (open, chunks) = app
        .read(move |store| {
            let open = source.open(store, all)?;
            let chunks = open.chunks(first)?;
            Ok((Arc::new(open), chunks))
        })
        .await?;
    let (sender, body) = channel(CHUNKS_WAITING_MAX);
    let rest = batch(&range).end..range.end;
    tokio::spawn(send(app.clone(), open, chunks, rest, sender));
    Ok(Body::new(body))
}

/// The first bytes of `range`: what one call reads.
fn batch(range: &Range<u64>) -> Range<u64> {
    range.start..range.end.min(range.start.saturating_add(BATCH_BYTES))
}

/// Sends `chunks`, and then the `rest` of `open`, for as long as somebody takes them.
async fn send(
    app: App,
    open: Arc<Open>,
    mut chunks: Vec<Bytes>,
    mut rest: Range<u64>,
    sender: ChunkSender,
) {
    let patience = Duration::from_secs(app.config().http.body_idle_seconds);
    loop {
        for chunk in chunks.drain(..) {
            let sent = tokio::time::timeout(patience, sender.send(chunk)).await;
            if !matches!(sent, Ok(true)) {
                // Nobody reads any more, or too slowly: let go of the clips.
                return;
            }
        }
        if rest.is_empty() {
            sender.finish();
            return;
        }
        let (from, next) = (Arc::clone(&open), batch(&rest));
        rest.start = next.end;
        match read(&app, &from, next).await {
            Ok(read) => chunks = read,
            Err(problem) => {
                tracing::error!(
                    code = problem.code(),
                    detail = problem.detail(),
                    "an answer is cut short"
                );
                return;
            }
        }
    }
}

/// Reads `range`, whenever its turn comes: half of an answer is sent, so that turning it away
/// because others are busy would lose what went before.
async fn read(app: &App, open: &Arc<Open>, range: Range<u64>) -> Result<Vec<Bytes>, Problem> {
    /// Times a turn is waited for, some seconds each.
    const TURNS_MAX: u32 = 6;
    let mut turn = 0;
    loop {
        let (open, range) = (Arc::clone(open), range.clone());
        turn += 1;
        match app.read(move |_| open.chunks(range)).await {
            Err(problem) if problem.code() == "unavailable" && turn < TURNS_MAX => {}
            answer => return answer,
        }
    }
}
