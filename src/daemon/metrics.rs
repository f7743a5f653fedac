//! What is counted, and how it is shown to Prometheus.
//!
//! Owns the names of the series. Labels are bounded: cameras that the store knows, routes by their
//! template, codes from the table of problems.

use std::sync::atomic::{AtomicBool, Ordering};

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::{CameraId, Clock as _, ClockStatus, Hold, Stats, SystemClock, Timestamp};

use super::problem::Problem;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CameraLabel {
    camera: Text,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CodeLabel {
    code: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    method: Text,
    route: Text,
    status: u16,
}

/// The text of a label.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
struct Text(String);

impl EncodeLabelValue for Text {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.0.as_str().encode(encoder)
    }
}

type ByCamera = Family<CameraLabel, Counter>;

/// The counters.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    fragments: ByCamera,
    bytes: ByCamera,
    dropped_bytes: ByCamera,
    streams_failed: Family<CodeLabel, Counter>,
    commit_seconds: Histogram,
    lag_seconds: Histogram,
    sync_seconds: Histogram,
    errors: Family<CodeLabel, Counter>,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Histogram,
    connections_refused: Counter,
    /// Whether the newest write of footage failed, for want of a disk that does its work.
    last_write_failed: AtomicBool,
}

/// When something began, by a clock that nobody can set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timer {
    since_boot_us: u64,
}

impl Timer {
    /// Begins to measure.
    pub(super) fn start() -> Self {
        Self { since_boot_us: SystemClock.uptime().since_boot_us }
    }

    /// The seconds since then.
    pub(super) fn seconds(self) -> f64 {
        self.elapsed().as_secs_f64()
    }

    /// The time since then.
    pub(super) fn elapsed(self) -> std::time::Duration {
        let now = SystemClock.uptime().since_boot_us;
        std::time::Duration::from_micros(now.saturating_sub(self.since_boot_us))
    }
}

/// From a fast disk's sync to one that stands still.
const SECONDS: [f64; 12] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// From a camera beside the daemon to one that sends what it had kept back.
const LAG_SECONDS: [f64; 10] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 600.0];

impl Metrics {
    pub(super) fn new() -> Self {
        let mut registry = Registry::with_prefix("clipkeep");
        let metrics = Self {
            fragments: Family::default(),
            bytes: Family::default(),
            dropped_bytes: Family::default(),
            streams_failed: Family::default(),
            commit_seconds: Histogram::new(SECONDS),
            lag_seconds: Histogram::new(LAG_SECONDS),
            sync_seconds: Histogram::new(SECONDS),
            errors: Family::default(),
            requests: Family::default(),
            request_seconds: Histogram::new(SECONDS),
            connections_refused: Counter::default(),
            last_write_failed: AtomicBool::new(false),
            registry: Registry::default(),
        };
        metrics.register(&mut registry);
        Self { registry, ..metrics }
    }

    fn register(&self, add: &mut Registry) {
        let fragments = "Fragments of streams that are durable";
        add.register("ingest_fragments", fragments, self.fragments.clone());
        add.register("ingest_bytes", "Bytes of footage that are durable", self.bytes.clone());
        let dropped = "Bytes at the ends of streams that were no whole fragment";
        add.register("ingest_tail_dropped_bytes", dropped, self.dropped_bytes.clone());
        let failed = "Streams and uploads that ended with a problem, by its code";
        add.register("ingest_aborted", failed, self.streams_failed.clone());
        let commit = "From a whole fragment in memory to one that is durable";
        add.register_with_unit(
            "commit_duration",
            commit,
            Unit::Seconds,
            self.commit_seconds.clone(),
        );
        let lag = "From the end of what a fragment shows, by the wall clock, to its being durable";
        add.register_with_unit("ingest_lag", lag, Unit::Seconds, self.lag_seconds.clone());
        let sync = "How long the disk takes to make written bytes durable";
        add.register_with_unit("fsync_duration", sync, Unit::Seconds, self.sync_seconds.clone());
        add.register("errors", "Answers that were a problem, by its code", self.errors.clone());
        add.register("http_requests", "Requests that were answered", self.requests.clone());
        let request = "From the headers of a request to those of its answer, streams left out";
        add.register_with_unit(
            "http_request_duration",
            request,
            Unit::Seconds,
            self.request_seconds.clone(),
        );
        add.register(
            "http_connections_refused",
            "Connections that were refused because there were too many",
            self.connections_refused.clone(),
        );
    }

    /// Where the times of the store's syncs are counted.
    pub(super) fn syncs(&self) -> Histogram {
        self.sync_seconds.clone()
    }

    /// A fragment is durable, of which the bytes were there since `timer`, and which shows what
    /// was until `end`.
    pub(super) fn fragment_stored(
        &self,
        camera: &CameraId,
        bytes: usize,
        timer: Timer,
        end: Option<Timestamp>,
    ) {
        if let Some(end) = end {
            self.lag_seconds.observe(SystemClock.wall().since(end).as_secs_f64());
        }
        let label = label(camera);
        self.fragments.get_or_create(&label).inc();
        self.bytes.get_or_create(&label).inc_by(u64::try_from(bytes).unwrap_or(u64::MAX));
        self.commit_seconds.observe(timer.seconds());
    }

    pub(super) fn clip_stored(&self, camera: &CameraId, bytes: u64) {
        self.bytes.get_or_create(&label(camera)).inc_by(bytes);
    }

    /// A write of footage was tried, and `failed`, if it did. What was wrong with the footage says
    /// nothing of the disk.
    pub(super) fn written(&self, failed: Option<&Problem>) {
        let of_disk = ["internal", "unavailable", "full"];
        match failed {
            None => self.last_write_failed.store(false, Ordering::Relaxed),
            Some(problem) if of_disk.contains(&problem.code()) => {
                self.last_write_failed.store(true, Ordering::Relaxed);
            }
            Some(_) => {}
        }
    }

    /// Whether the newest write of footage went well, or there was none.
    pub(super) fn last_write_is_good(&self) -> bool {
        !self.last_write_failed.load(Ordering::Relaxed)
    }

    pub(super) fn problem(&self, code: &'static str) {
        self.errors.get_or_create(&CodeLabel { code }).inc();
    }

    pub(super) fn connection_refused(&self) {
        self.connections_refused.inc();
    }

    pub(super) fn stream_ended(&self, camera: &CameraId, dropped: u64, why: Option<&Problem>) {
        if dropped > 0 {
            self.dropped_bytes.get_or_create(&label(camera)).inc_by(dropped);
        }
        if let Some(problem) = why {
            self.streams_failed.get_or_create(&CodeLabel { code: problem.code() }).inc();
        }
    }

    pub(super) fn answered(&self, method: &str, route: &str, status: u16, timer: Option<Timer>) {
        let (method, route) = (Text(method.to_owned()), Text(route.to_owned()));
        self.requests.get_or_create(&RequestLabels { method, route, status }).inc();
        if let Some(timer) = timer {
            self.request_seconds.observe(timer.seconds());
        }
    }

    /// All of it as text, with the store's figures.
    pub(super) fn text(&self, stats: &Stats, holds: &[Hold], coming: Coming) -> String {
        let mut now = Registry::with_prefix("clipkeep");
        store_figures(&mut now, stats);
        hold_figures(&mut now, holds);
        camera_figures(&mut now, stats);
        gauge(&mut now, "ingest_streams", "Streams that come in now", coming.streams);
        gauge(&mut now, "http_connections", "Connections that are open", coming.connections);
        let most = "The most connections at a time";
        gauge(&mut now, "http_connections_max", most, coming.connections_max);
        gauge(&mut now, "ingest_memory_bytes", "Footage in memory", coming.memory_bytes);
        let (mut text, mut figures) = (String::new(), String::new());
        // Writing to a string cannot fail.
        encode(&mut text, &self.registry).and_then(|()| encode(&mut figures, &now)).ok();
        text.truncate(text.len().saturating_sub("# EOF\n".len()));
        text + &figures
    }
}

/// What is coming in at the moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coming {
    pub(super) streams: u64,
    pub(super) memory_bytes: u64,
    pub(super) connections: u64,
    pub(super) connections_max: u64,
}

fn label(camera: &CameraId) -> CameraLabel {
    CameraLabel { camera: Text(camera.to_string()) }
}

fn whole(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: u64) {
    let gauge: Gauge = Gauge::default();
    gauge.set(whole(value));
    registry.register(name, help, gauge);
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

fn store_figures(registry: &mut Registry, stats: &Stats) {
    let by_state: Family<StateLabel, Gauge> = Family::default();
    for (state, bytes) in [
        ("live", stats.live_bytes),
        ("held", stats.held_bytes),
        ("expired", stats.expired_bytes),
        ("overhead", stats.overhead_bytes),
        ("reserved", stats.reserved_bytes),
        ("ghost", stats.ghost_bytes),
    ] {
        by_state.get_or_create(&StateLabel { state }).set(whole(bytes));
    }
    registry.register("store_bytes", "Bytes by state; held ones are live ones, too", by_state);
    let expired: Counter = Counter::default();
    expired.inc_by(stats.segments_expired_bytes);
    let help = "Bytes of footage that went with a whole segment since the store was made";
    registry.register_with_unit("expired", help, Unit::Bytes, expired);
    let clock: Family<StateLabel, Gauge> = Family::default();
    clock.get_or_create(&StateLabel { state: clock_state(stats) }).set(1);
    registry.register("clock_state", "How the wall clock compares with trusted time", clock);
    let skew: Gauge = Gauge::default();
    skew.set((SystemClock.wall().as_micros() - stats.now.as_micros()) / 1_000_000);
    let ahead = "How far the wall clock is ahead of trusted time";
    registry.register_with_unit("clock_skew", ahead, Unit::Seconds, skew);
    let figures = [
        (
            "store_reclaim_debt_bytes",
            "Bytes that have expired and still take room",
            stats.expired_bytes + stats.ghost_bytes,
        ),
        ("store_file_bytes", "Bytes that the file system has allocated", stats.file_bytes),
        ("disk_free_bytes", "Bytes free on the file system", stats.free_bytes),
        ("clips", "Clips that can be read", stats.clips),
        ("held_clips", "Clips under a hold", stats.held_clips),
        ("segments_sealed", "Segments that are sealed", stats.segments_sealed),
        ("segments_open", "Segments that are open for writing", stats.segments_open),
        ("ledger_entries", "Entries in the ledger", stats.ledger_entries),
        ("index_bytes", "Memory that the index takes", stats.index_bytes),
        ("promise_broken_clips", "Clips that went before their time", stats.promise_broken_clips),
        (
            "deletion_frozen",
            "1: nothing is deleted until the ledger is repaired",
            u64::from(stats.deletion_frozen.is_some()),
        ),
        (
            "recording_stopped",
            "1: no footage is taken",
            u64::from(stats.recording_stopped.is_some()),
        ),
    ];
    for (name, help, value) in figures {
        gauge(registry, name, help, value);
    }
}

fn hold_figures(registry: &mut Registry, holds: &[Hold]) {
    let by_state: Family<StateLabel, Gauge> = Family::default();
    for state in ["active", "grace", "ended"] {
        by_state.get_or_create(&StateLabel { state }).set(0);
    }
    for hold in holds {
        by_state.get_or_create(&StateLabel { state: hold.state().name() }).inc();
    }
    let help = "Holds by state; those that are active or in their grace protect something";
    registry.register("holds", help, by_state);
}

/// The state of the clock as a label.
fn clock_state(stats: &Stats) -> &'static str {
    match stats.clock {
        ClockStatus::Agrees => "agrees",
        ClockStatus::WallAhead { .. } => "wall-ahead",
        ClockStatus::WallBehind { .. } => "wall-behind",
    }
}

fn camera_figures(registry: &mut Registry, stats: &Stats) {
    let (oldest, newest, age, promised, bytes) = (
        Family::<CameraLabel, Gauge>::default(),
        Family::<CameraLabel, Gauge>::default(),
        Family::<CameraLabel, Gauge>::default(),
        Family::<CameraLabel, Gauge>::default(),
        Family::<CameraLabel, Gauge>::default(),
    );
    for of in stats.cameras.iter().filter(|of| !of.removed) {
        let label = label(&of.camera);
        if let Some(at) = of.oldest {
            oldest.get_or_create(&label).set(at.as_micros() / 1_000_000);
            age.get_or_create(&label).set(whole(stats.now.since(at).as_secs()));
        }
        if let Some(at) = of.newest {
            newest.get_or_create(&label).set(at.as_micros() / 1_000_000);
        }
        promised.get_or_create(&label).set(whole(of.retention.at_least().as_secs()));
        bytes.get_or_create(&label).set(whole(of.bytes));
    }
    let start = "When the oldest clip starts";
    registry.register_with_unit("oldest_footage_timestamp", start, Unit::Seconds, oldest);
    let end = "When the newest clip ends";
    registry.register_with_unit("newest_footage_timestamp", end, Unit::Seconds, newest);
    let old = "How long ago the oldest clip started, by trusted time";
    registry.register_with_unit("footage_age", old, Unit::Seconds, age);
    let promise = "How long clips are kept at least";
    registry.register_with_unit("promised_retention", promise, Unit::Seconds, promised);
    registry.register_with_unit("camera", "Readable bytes of a camera", Unit::Bytes, bytes);
}
