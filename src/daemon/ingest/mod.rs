//! Footage coming in: streams, finished clips, pushed HLS.
//!
//! Owns what is bounded: how many senders at a time, how many bytes of theirs are in memory, one
//! sender a camera. Every body is read by a task of its own, which nobody who closes a connection
//! can end: ffmpeg closes without reading the answer, and hyper then drops the handler.

pub(crate) mod clip;
mod hls;
mod lanes;
mod memory;
mod resume;
mod stream;

use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, watch};
use utoipa_axum::router::OpenApiRouter;

use crate::{CameraId, Timestamp};

use super::app::App;
use super::extract;
use super::problem::Problem;

pub(super) use lanes::Lanes;
pub(super) use memory::Memory;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().merge(stream::routes()).merge(clip::routes()).merge(hls::routes())
}

/// The limits that all senders share, and whether they are to stop.
#[derive(Debug)]
pub(super) struct Intake {
    pub(super) lanes: Lanes,
    pub(super) memory: Memory,
    recordings: hls::Recordings,
    turns: hls::Turns,
    stopping: watch::Sender<bool>,
}

impl Intake {
    pub(super) fn new(senders_max: usize, memory_bytes_max: u64) -> Self {
        let (stopping, _) = watch::channel(false);
        let (lanes, memory) = (Lanes::new(senders_max), Memory::new(memory_bytes_max));
        let (recordings, turns) = (hls::Recordings::default(), hls::Turns::default());
        Self { lanes, memory, recordings, turns, stopping }
    }

    /// Tells all senders to stop, and returns when all of them have.
    pub(super) async fn stop(&self) {
        self.stopping.send_replace(true);
        self.lanes.all_left().await;
    }

    fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }
}

/// What became of waiting for the next bytes of a body.
enum Received {
    Bytes(Bytes),
    /// The body is complete.
    End,
    /// The sender is gone in the middle of it.
    CutOff(String),
    TooSlow,
    /// The daemon stops.
    Stopping,
}

/// A body that is read piece by piece, no faster than it is asked for.
struct Incoming {
    body: Body,
    idle: Duration,
    /// How long all of it may take, where it is no stream.
    whole: Duration,
    stopping: watch::Receiver<bool>,
}

impl Incoming {
    fn new(app: &App, body: Body) -> Self {
        let http = &app.config().http;
        let idle = Duration::from_secs(http.body_idle_seconds);
        let whole = Duration::from_secs(http.body_seconds);
        Self { body, idle, whole, stopping: app.intake().stopping() }
    }

    async fn next(&mut self) -> Received {
        loop {
            let frame = tokio::select! {
                biased;
                // An error is a daemon that is gone: as good as one that stops.
                _ = self.stopping.wait_for(|stopping| *stopping) => return Received::Stopping,
                frame = tokio::time::timeout(self.idle, self.body.frame()) => frame,
            };
            match frame {
                Err(_) => return Received::TooSlow,
                Ok(None) => return Received::End,
                Ok(Some(Err(error))) => return Received::CutOff(error.to_string()),
                Ok(Some(Ok(frame))) => {
                    // Trailers say nothing to us.
                    if let Ok(bytes) = frame.into_data() {
                        return Received::Bytes(bytes);
                    }
                }
            }
        }
    }
}

/// What every sender needs before its body is touched.
async fn admit(app: &App, camera: &CameraId) -> Result<OwnedSemaphorePermit, Problem> {
    let known = camera.clone();
    let is_known = app.read(move |store| Ok(store.cameras().contains(&known))).await?;
    if !is_known && !app.config().ingest.new_cameras {
        let detail = format!("camera {camera} does not exist, and a push does not make it");
        return Err(Problem::new("not-found", detail).closing());
    }
    if *app.intake().stopping().borrow() {
        return Err(Problem::unavailable("the daemon stops", 5).closing());
    }
    app.intake().lanes.enter()
}

/// The start that the sender states: a query parameter, else the header `X-Start-Time`.
fn stated_start(query: Option<&str>, headers: &HeaderMap) -> Result<Option<Timestamp>, Problem> {
    if let Some(text) = query {
        return extract::time("start", text).map(Some);
    }
    let Some(value) = headers.get("x-start-time") else { return Ok(None) };
    let text =
        value.to_str().map_err(|error| Problem::invalid(format!("X-Start-Time: {error}")))?;
    extract::time("X-Start-Time", text).map(Some)
}
