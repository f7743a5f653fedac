//! What of a window there is, at a glance: coverage, gaps, what is held and what goes when.

use std::time::Duration;

use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::{CameraId, Clip, ClipState, HoldId, Result as StoreResult, Store, Timestamp, Window};

use super::super::access::Caller;
use super::super::app::App;
use super::super::extract::{Named, Params};
use super::super::problem::Problem;
use super::span::Span;

/// How many buckets, unless the query says; and at most.
const BUCKETS: usize = 100;
const BUCKETS_MAX: usize = 2_000;
/// Clips that are no further apart than this follow one another.
const JOIN_MAX: Duration = Duration::from_millis(500);

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(timeline))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Buckets {
    /// Into how many equal parts the window is divided. Default: 100.
    #[param(minimum = 1, maximum = 2000)]
    buckets: Option<usize>,
}

/// What of a window there is.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
struct Timeline {
    /// The window.
    from: String,
    to: String,
    /// Trusted time of the answer: expiry goes by it.
    now: String,
    /// Seconds of the window that clips cover.
    covered_seconds: f64,
    /// What clips cover, joined where they follow one another.
    covered: Vec<SpanView>,
    /// What they do not.
    gaps: Vec<SpanView>,
    /// What holds cover, whether there are clips or not.
    held: Vec<HeldView>,
    /// Equal parts of the window, in order.
    buckets: Vec<Bucket>,
    /// Whether a clip in it is being recorded.
    recording: bool,
}

/// A stretch of time; its end is not included.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
struct SpanView {
    start: String,
    end: String,
}

impl From<Window> for SpanView {
    fn from(window: Window) -> Self {
        Self { start: window.start().to_string(), end: window.end().to_string() }
    }
}

/// A stretch of time that a hold covers.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
struct HeldView {
    start: String,
    end: String,
    /// The hold.
    hold: String,
}

/// One part of the window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
struct Bucket {
    /// Seconds of it that clips cover.
    covered_seconds: f64,
    /// Clips that overlap it, and how many of them are held.
    clips: u32,
    held_clips: u32,
    /// When the first of its clips that are not held is due (RFC 3339); not there without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
}

/// What of a window there is: coverage, gaps, what is held, and what goes when.
#[utoipa::path(get, path = "/v1/cameras/{camera}/timeline", tag = "watch",
    params(("camera" = String, Path, description = "The camera's id"), Span, Buckets),
    responses((status = 200, body = Timeline), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn timeline(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(camera): Named<CameraId>,
    Params(span): Params<Span>,
    Params(buckets): Params<Buckets>,
) -> Result<Json<Timeline>, Problem> {
    caller.must_see(&camera)?;
    let window = span.window()?;
    let buckets = buckets.buckets.unwrap_or(BUCKETS);
    if !(1..=BUCKETS_MAX).contains(&buckets) {
        return Err(Problem::invalid(format!("buckets: want 1 to {BUCKETS_MAX}")));
    }
    let found = app.read(move |store| found(store, &camera, window)).await?;
    Ok(Json(found.divided(window, buckets)))
}

/// What the store says of the window.
struct Found {
    now: Timestamp,
    clips: Vec<Known>,
    holds: Vec<(HoldId, Window)>,
}

/// What is shown of a clip.
struct Known {
    window: Window,
    held: bool,
    due: Timestamp,
    recording: bool,
}

fn found(store: &Store, camera: &CameraId, window: Window) -> StoreResult<Found> {
    let holds: Vec<(HoldId, Window)> = store
        .holds()
        .iter()
        .filter(|hold| hold.protects())
        .flat_map(|hold| hold.scope().iter().map(|scope| (hold.id(), scope)))
        .filter(|(_, (of, _))| of == camera)
        .map(|(id, (_, window))| (id, *window))
        .collect();
    let clips = store.clips(camera, window)?;
    let clips = clips.map(|clip| known(&clip, store.own_expiry(&clip), &holds)).collect();
    let holds = holds.into_iter().filter(|(_, held)| held.meets(&window)).collect();
    Ok(Found { now: store.now(), clips, holds })
}

fn known(clip: &Clip, due: Timestamp, holds: &[(HoldId, Window)]) -> Known {
    let possible = clip.possible_window();
    Known {
        window: clip.window(),
        held: holds.iter().any(|(_, held)| held.meets(&possible)),
        due,
        recording: clip.state() == ClipState::Recording,
    }
}

impl Found {
    fn divided(&self, window: Window, count: usize) -> Timeline {
        let (covered, gaps) = self.coverage(window);
        let parts = Parts { window, count };
        let mut buckets = vec![Bucket::default(); count];
        let mut due: Vec<Option<Timestamp>> = vec![None; count];
        for clip in &self.clips {
            for index in parts.met_by(&clip.window) {
                let Some(bucket) = buckets.get_mut(index) else { continue };
                bucket.clips += 1;
                if clip.held {
                    bucket.held_clips += 1;
                } else if let Some(first) = due.get_mut(index) {
                    let own = clip.due;
                    *first = Some(first.map_or(own, |first| first.min(own)));
                }
            }
        }
        for span in &covered {
            for index in parts.met_by(span) {
                if let (Some(bucket), Some(part)) = (buckets.get_mut(index), parts.part(index)) {
                    bucket.covered_seconds += seconds(clipped(span, &part));
                }
            }
        }
        for (bucket, due) in buckets.iter_mut().zip(due) {
            bucket.expires = due.map(|due| due.to_string());
        }
        let held = self.holds.iter().filter_map(|(id, held)| {
            let SpanView { start, end } = clipped(held, &window)?.into();
            Some(HeldView { start, end, hold: id.to_string() })
        });
        Timeline {
            from: window.start().to_string(),
            to: window.end().to_string(),
            now: self.now.to_string(),
            covered_seconds: covered.iter().map(|span| seconds(Some(*span))).sum(),
            covered: covered.into_iter().map(SpanView::from).collect(),
            gaps: gaps.into_iter().map(SpanView::from).collect(),
            held: held.collect(),
            buckets,
            recording: self.clips.iter().any(|clip| clip.recording),
        }
    }

    /// What the clips cover of `window`, joined, and what they do not.
    fn coverage(&self, window: Window) -> (Vec<Window>, Vec<Window>) {
        let mut spans: Vec<Window> =
            self.clips.iter().filter_map(|clip| clipped(&clip.window, &window)).collect();
        spans.sort_unstable();
        let mut covered: Vec<Window> = Vec::new();
        for span in spans {
            match covered.last_mut() {
                Some(last) if span.start().since(last.end()) <= JOIN_MAX => {
                    let end = last.end().max(span.end());
                    *last = Window::new(last.start(), end).unwrap_or(*last);
                }
                _ => covered.push(span),
            }
        }
        let ends = [window.start()].into_iter().chain(covered.iter().map(Window::end));
        let starts = covered.iter().map(Window::start).chain([window.end()]);
        let gaps = ends.zip(starts).filter_map(|(end, start)| Window::new(end, start).ok());
        let gaps = gaps.collect();
        (covered, gaps)
    }
}

/// A window in equal parts.
struct Parts {
    window: Window,
    count: usize,
}

impl Parts {
    /// Where part `index` begins: the last one's end is the window's.
    fn start(&self, index: usize) -> Option<Timestamp> {
        let (whole, index) =
            (i128::try_from(self.window.duration().as_micros()).ok()?, i128::try_from(index).ok()?);
        let offset = whole * index / i128::try_from(self.count).ok()?;
        let us = self.window.start().as_micros().checked_add(i64::try_from(offset).ok()?)?;
        Some(Timestamp::from_micros(us))
    }

    /// Part `index`; `None` when it is empty, in a window of fewer microseconds than parts.
    fn part(&self, index: usize) -> Option<Window> {
        Window::new(self.start(index)?, self.start(index + 1)?).ok()
    }

    /// The parts that `span` overlaps.
    fn met_by(&self, span: &Window) -> impl Iterator<Item = usize> {
        let first = self.at(span.start());
        let parts = Self { window: self.window, count: self.count };
        let span = *span;
        (first..self.count)
            .map(move |index| (index, parts.part(index)))
            .take_while(move |(_, part)| part.is_none_or(|part| part.start() < span.end()))
            .filter(move |(_, part)| part.is_some_and(|part| part.meets(&span)))
            .map(|(index, _)| index)
    }

    /// The part that has the instant `at`, or the nearest.
    fn at(&self, at: Timestamp) -> usize {
        let passed = at.since(self.window.start()).as_micros();
        let whole = self.window.duration().as_micros().max(1);
        let count = u128::try_from(self.count).unwrap_or(1);
        let index = usize::try_from(passed.saturating_mul(count) / whole).unwrap_or(self.count);
        // Rounded down twice: the part before may still have it.
        index.min(self.count - 1).saturating_sub(1)
    }
}

/// The part of `span` that is in `window`.
fn clipped(span: &Window, window: &Window) -> Option<Window> {
    Window::new(span.start().max(window.start()), span.end().min(window.end())).ok()
}

fn seconds(span: Option<Window>) -> f64 {
    span.map_or(0.0, |span| span.duration().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    fn window(from: i64, to: i64) -> Window {
        Window::new(at(from), at(to)).unwrap()
    }

    fn clip(from: i64, to: i64, held: bool) -> Known {
        let due = at(1_000 + from);
        Known { window: window(from, to), held, due, recording: false }
    }

    fn shown(clips: Vec<Known>, buckets: usize) -> Timeline {
        let found = Found { now: at(500), clips, holds: Vec::new() };
        found.divided(window(0, 100), buckets)
    }

    #[test]
    fn coverage_and_gaps_are_the_window_whatever_the_clips() {
        let clips = vec![
            clip(-10, 20, false),
            clip(15, 30, true),
            clip(30, 40, false),
            clip(90, 200, false),
        ];
        let shown = shown(clips, 10);
        let spans: Vec<_> =
            shown.covered.iter().map(|s| (s.start.as_str(), s.end.as_str())).collect();
        assert_eq!(
            spans,
            [
                ("1970-01-01T00:00:00Z", "1970-01-01T00:00:40Z"),
                ("1970-01-01T00:01:30Z", "1970-01-01T00:01:40Z"),
            ]
        );
        assert_eq!(shown.gaps.len(), 1);
        assert_eq!(shown.covered_seconds.to_string(), "50");
        let covered: Vec<String> =
            shown.buckets.iter().map(|bucket| bucket.covered_seconds.to_string()).collect();
        assert_eq!(covered, ["10", "10", "10", "10", "0", "0", "0", "0", "0", "10"]);
        let clips: Vec<_> = shown.buckets.iter().map(|b| (b.clips, b.held_clips)).collect();
        assert_eq!(clips[..4], [(1, 0), (2, 1), (1, 1), (1, 0)]);
    }

    #[test]
    fn a_bucket_expires_with_the_first_of_its_clips_that_no_hold_keeps() {
        let shown = shown(
            vec![clip(0, 10, true), clip(5, 10, false), clip(8, 10, false), clip(20, 30, true)],
            10,
        );
        assert_eq!(shown.buckets[0].expires.as_deref(), Some("1970-01-01T00:16:45Z"));
        assert_eq!(shown.buckets[2].expires, None, "held");
        assert_eq!(shown.buckets[5].expires, None, "nothing there");
    }

    #[test]
    fn nothing_recorded_is_one_gap() {
        let shown = shown(Vec::new(), 3);
        assert_eq!((shown.gaps.len(), shown.covered.len(), shown.buckets.len()), (1, 0, 3));
    }

    #[test]
    fn every_microsecond_is_in_one_bucket_however_uneven() {
        for (len_us, count) in
            [(7, 3), (3, 7), (1, 1), (1_000_003, 2_000), (3_155_760_000_000_000, 2_000)]
        {
            let start = Timestamp::from_micros(-5);
            let whole = Window::starting(start, Duration::from_micros(len_us)).unwrap();
            let parts = Parts { window: whole, count };
            let all: Vec<Window> =
                parts.met_by(&whole).filter_map(|index| parts.part(index)).collect();
            assert_eq!(all.first().unwrap().start(), whole.start());
            assert_eq!(all.last().unwrap().end(), whole.end());
            assert!(
                all.windows(2).all(|pair| pair[0].end() == pair[1].start()),
                "{len_us} {count}"
            );
            for instant in [0, len_us / 3, len_us - 1] {
                let at = start.saturating_add(Duration::from_micros(instant));
                let tiny = Window::starting(at, Duration::from_micros(1)).unwrap();
                assert_eq!(parts.met_by(&tiny).count(), 1, "{instant} of {len_us} in {count}");
            }
        }
    }
}
