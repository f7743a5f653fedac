//! Finding and playing: lists of clips, their bytes, windows as one file, playlists, the timeline.
//!
//! Owns what is remembered between the requests of one player (plans of files, indexes of clips),
//! within named bounds, and none of the footage: clips are open only while an answer is under way.
//! Every answer that has bytes of a fixed length goes through `answer`, so that all of them treat
//! `Range` and preconditions alike.

mod answer;
mod cache;
mod chunks;
pub(crate) mod clips;
mod media;
mod page;
mod playlist;
pub(crate) mod range;
mod source;
pub(crate) mod span;
mod timeline;
mod window;

use std::sync::Arc;

use axum::Extension;
use tokio::sync::Semaphore;
use utoipa_axum::router::OpenApiRouter;

use crate::ClipId;
use crate::media::{ClipIndex, ExportPlan};

use super::app::App;
pub(super) use cache::Cache;

pub(super) use media::{send_bundle, send_clip};
pub(super) use page::page;

/// The most memory of the plans that are kept: some forty of an hour each.
const PLANS_BYTES_MAX: usize = 64 << 20;
/// The most memory of the indexes that are kept: some five days of one camera.
const INDEXES_BYTES_MAX: usize = 32 << 20;
/// How many plans are made at a time: each takes up to 100 MB while it is.
const PLANNERS_MAX: usize = 2;

/// What the routes of this module share.
#[derive(Clone, Debug)]
struct Watch(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// By what decides the bytes of the file: see `window::key`.
    plans: Cache<[u8; 32], ExportPlan>,
    /// By clip and length: a clip that is being recorded becomes longer.
    indexes: Cache<(ClipId, u64), ClipIndex>,
    planners: Semaphore,
}

/// The routes, with what they share.
pub(super) fn routes() -> OpenApiRouter<App> {
    let shared = Shared {
        plans: Cache::new(PLANS_BYTES_MAX),
        indexes: Cache::new(INDEXES_BYTES_MAX),
        planners: Semaphore::new(PLANNERS_MAX),
    };
    OpenApiRouter::new()
        .merge(clips::routes())
        .merge(media::routes())
        .merge(window::routes())
        .merge(playlist::routes())
        .merge(timeline::routes())
        .merge(page::routes())
        .layer(Extension(Watch(Arc::new(shared))))
}

#[cfg(test)]
mod tests;
