//! Footage coming in: streams, finished clips, pushed HLS.
//!
//! Owns what is bounded: how many senders at a time, how many bytes of theirs are in memory, one
//! sender a camera. Every body is read by a task of its own, which nobody who closes a connection
//! can end: ffmpeg closes without reading the answer, and hyper then drops the handler.

mod announced;
pub(crate) mod clip;
mod hls;
mod lanes;
mod memory;
mod pace;
mod resume;
mod stream;
#[cfg(test)]
mod tests;

use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use tokio::sync::watch;
use utoipa_axum::router::OpenApiRouter;

use crate::{CameraId, Timestamp};

use super::app::App;
use super::config::Config;
use super::extract;
use super::metrics::Timer;
use super::problem::Problem;

use lanes::{Lanes, Place};
use memory::Memory;
use pace::{Pace, Paces};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().merge(stream::routes()).merge(clip::routes()).merge(hls::routes())
}

/// The limits that all senders share, and whether they are to stop.
#[derive(Debug)]
pub(super) struct Intake {
    pub(super) lanes: Lanes,
    pub(super) memory: Memory,
    paces: Paces,
    recordings: hls::Recordings,
    turns: hls::Turns,
    announced: announced::Announced,
    stopping: watch::Sender<bool>,
}

impl Intake {
    pub(super) fn new(config: &Config) -> Self {
        let (stopping, _) = watch::channel(false);
        let ingest = &config.ingest;
        let patience = Duration::from_secs(config.http.body_idle_seconds);
        let (max, camera_max) = (ingest.memory_bytes_max, ingest.camera_memory_bytes_max);
        Self {
            lanes: Lanes::new(ingest.senders_max, ingest.camera_senders_max),
            memory: Memory::new(max, camera_max, patience),
            paces: Paces::new(ingest.camera_bytes_per_second),
            recordings: hls::Recordings::default(),
            turns: hls::Turns::default(),
            announced: announced::Announced::default(),
            stopping,
        }
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

/// A body that is read piece by piece, no faster than it is asked for, nor than its camera may.
struct Incoming {
    body: Body,
    pace: Pace,
    /// How long it may take for the `least` bytes that are not waited for longer.
    idle: Duration,
    least: u64,
    /// What is left of that, and how many bytes have come in it.
    left: Duration,
    came: u64,
    /// How long all of it may take, where it is no stream.
    whole: Duration,
    stopping: watch::Receiver<bool>,
}

impl Incoming {
    fn new(app: &App, camera: &CameraId, body: Body) -> Self {
        let (http, intake) = (&app.config().http, app.intake());
        let idle = Duration::from_secs(http.body_idle_seconds);
        let whole = Duration::from_secs(http.body_seconds);
        let (pace, stopping) = (intake.paces.of(camera), intake.stopping());
        Self { body, pace, idle, least: 1, left: idle, came: 0, whole, stopping }
    }

    /// The same of a stream, which may go on for ever, but not for next to nothing.
    fn stream(app: &App, camera: &CameraId, body: Body) -> Self {
        Self { least: app.config().ingest.stream_bytes_min, ..Self::new(app, camera, body) }
    }

    async fn next(&mut self) -> Received {
        loop {
            // Only what is waited for the sender counts, not what the sender waits for the disk.
            let waiting = Timer::start();
            let frame = tokio::select! {
                biased;
                // An error is a daemon that is gone: as good as one that stops.
                _ = self.stopping.wait_for(|stopping| *stopping) => return Received::Stopping,
                frame = tokio::time::timeout(self.left, self.body.frame()) => frame,
            };
            self.left = self.left.saturating_sub(waiting.elapsed());
            match frame {
                Err(_) => return Received::TooSlow,
                Ok(None) => return Received::End,
                Ok(Some(Err(error))) => return Received::CutOff(error.to_string()),
                Ok(Some(Ok(frame))) => {
                    // Trailers say nothing to us.
                    if let Ok(bytes) = frame.into_data() {
                        self.came += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                        if self.came >= self.least {
                            (self.left, self.came) = (self.idle, 0);
                        }
                        self.pace.came(bytes.len()).await;
                        return Received::Bytes(bytes);
                    }
                }
            }
        }
    }
}

/// What every sender needs before its body is touched.
async fn admit(app: &App, camera: &CameraId) -> Result<Place, Problem> {
    let known = camera.clone();
    let is_known = app.read(move |store| Ok(store.cameras().contains(&known))).await?;
    if !is_known && !app.config().ingest.new_cameras {
        let detail = format!("camera {camera} does not exist, and a push does not make it");
        return Err(Problem::new("not-found", detail).closing());
    }
    if *app.intake().stopping().borrow() {
        return Err(Problem::unavailable("the daemon stops", 5).closing());
    }
    app.intake().lanes.enter(camera)
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
