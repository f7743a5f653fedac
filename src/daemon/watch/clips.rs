//! Lists of clips, and what the store knows of one.

use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::{CameraId, Clip, ClipId, Explanation, Result as StoreResult, Store, Timestamp, Window};

use super::super::access::Caller;
use super::super::app::App;
use super::super::extract::{self, Named, Params};
use super::super::problem::Problem;
use super::answer::hex;

/// How many clips are on a page, unless the query says.
const PAGE_CLIPS: usize = 100;
/// The most clips on a page.
pub(crate) const PAGE_CLIPS_MAX: usize = 1_000;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one))
}

/// Which clips, in which order.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParams {
    /// Only clips that end after this (RFC 3339).
    from: Option<String>,
    /// Only clips that start before this (RFC 3339).
    to: Option<String>,
    /// `oldest` or `newest` first. Default: `oldest`.
    #[param(inline)]
    order: Option<Order>,
    /// How many clips on a page. Default: 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// Where the next page begins: `next` of the page before, with the same other parameters.
    cursor: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum Order {
    #[default]
    Oldest,
    Newest,
}

/// A page of clips.
#[derive(Debug, Serialize, ToSchema)]
struct Page {
    clips: Vec<ClipView>,
    /// The cursor of the next page; not there on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A clip, without its bytes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ClipView {
    /// Its permanent id.
    id: String,
    /// The camera that recorded it.
    camera: String,
    /// When it starts, by the camera's clock (RFC 3339).
    start: String,
    /// When it ends, which is not included.
    end: String,
    /// How far the camera's clock may have been off, in seconds.
    uncertainty_seconds: f64,
    /// When its newest bytes arrived, by the store's trusted time: its age counts from here.
    received: String,
    /// How many bytes it has.
    bytes: u64,
    /// What its bytes are: `mp4`, `fragmented-mp4`, `mpeg-ts`, `jpeg` or `unknown`.
    media: &'static str,
    /// `complete`, `recording` or `truncated`.
    state: &'static str,
    /// `blake3:` and the digest of its bytes, taken as they arrived.
    digest: String,
}

impl From<&Clip> for ClipView {
    fn from(clip: &Clip) -> Self {
        Self {
            id: clip.id().to_string(),
            camera: clip.camera().to_string(),
            start: clip.window().start().to_string(),
            end: clip.window().end().to_string(),
            uncertainty_seconds: clip.uncertainty().as_secs_f64(),
            received: clip.received().to_string(),
            bytes: clip.len(),
            media: clip.media().name(),
            state: clip.state().name(),
            digest: format!("blake3:{}", hex(clip.digest())),
        }
    }
}

/// A clip, and why it is kept until when.
#[derive(Debug, Serialize, ToSchema)]
struct ClipDetail {
    #[serde(flatten)]
    clip: ClipView,
    /// When it is due by its own age.
    own_expiry: String,
    /// When it is due counting the holds on it, as they are now.
    effective_expiry: String,
    /// The holds on it.
    holds: Vec<String>,
}

impl ClipDetail {
    fn new(clip: &Clip, why: &Explanation) -> Self {
        Self {
            clip: clip.into(),
            own_expiry: why.own_expiry.to_string(),
            effective_expiry: why.effective_expiry.to_string(),
            holds: why.holds.iter().map(|hold| hold.id().to_string()).collect(),
        }
    }
}

/// Clips of one camera that overlap a window, page by page.
#[utoipa::path(get, path = "/v1/cameras/{camera}/clips", tag = "watch",
    params(("camera" = String, Path, description = "The camera's id"), ListParams),
    responses((status = 200, body = Page), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(camera): Named<CameraId>,
    Params(params): Params<ListParams>,
) -> Result<Json<Page>, Problem> {
    caller.must_see(&camera)?;
    let query = Query::parse(&params)?;
    let page = app.read(move |store| query.page(store, &camera)).await?;
    Ok(Json(page))
}

/// One clip: what is known of it, and why it is kept until when.
#[utoipa::path(get, path = "/v1/clips/{clip}", tag = "watch",
    params(("clip" = String, Path, description = "The clip's id, such as 42-7")),
    responses((status = 200, body = ClipDetail), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn one(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(id): Named<ClipId>,
) -> Result<Json<ClipDetail>, Problem> {
    let (clip, why) = app.read(move |store| Ok((store.clip(id)?, store.explain(id)?))).await?;
    caller.must_see(clip.camera())?;
    Ok(Json(ClipDetail::new(&clip, &why)))
}

/// Where in the order of clips something is: no two clips have the same place.
type Place = (Timestamp, ClipId);

/// What a list is asked for.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) window: Window,
    order: Order,
    pub(crate) limit: usize,
    /// The last clip of the page before.
    after: Option<Place>,
}

impl Query {
    pub(crate) fn parse(params: &ListParams) -> Result<Self, Problem> {
        let time = |name, given: &Option<String>, default| match given {
            Some(text) => extract::time(name, text),
            None => Ok(default),
        };
        let from = time("from", &params.from, Timestamp::MIN)?;
        let to = time("to", &params.to, Timestamp::MAX)?;
        let window = Window::new(from, to).map_err(|error| Problem::invalid(error.to_string()))?;
        let limit = params.limit.unwrap_or(PAGE_CLIPS);
        if !(1..=PAGE_CLIPS_MAX).contains(&limit) {
            return Err(Problem::invalid(format!("limit: want 1 to {PAGE_CLIPS_MAX}")));
        }
        let after = match &params.cursor {
            Some(text) => Some(place(text).ok_or_else(|| {
                Problem::invalid("cursor: take it as it stands in `next` of the page before")
            })?),
            None => None,
        };
        Ok(Self { window, order: params.order.unwrap_or_default(), limit, after })
    }

    /// The page, from a list of no more than what can still come.
    fn page(&self, store: &Store, camera: &CameraId) -> StoreResult<Page> {
        let Some(window) = self.rest() else { return Ok(Page { clips: Vec::new(), next: None }) };
        let mut clips: Vec<Clip> = store.clips(camera, window)?.collect();
        clips.sort_unstable_by_key(key);
        if self.order == Order::Newest {
            clips.reverse();
        }
        if let Some(after) = self.after {
            clips.retain(|clip| match self.order {
                Order::Oldest => key(clip) > after,
                Order::Newest => key(clip) < after,
            });
        }
        let has_more = clips.len() > self.limit;
        clips.truncate(self.limit);
        let next = clips.last().filter(|_| has_more).map(cursor);
        Ok(Page { clips: clips.iter().map(ClipView::from).collect(), next })
    }

    /// The part of the window in which the clips after the cursor start, or overlap it.
    pub(crate) fn rest(&self) -> Option<Window> {
        let Some((at, _)) = self.after else { return Some(self.window) };
        let (start, end) = (self.window.start(), self.window.end());
        match self.order {
            Order::Oldest => Window::new(start.max(at), end).ok(),
            Order::Newest => {
                let behind = Timestamp::from_micros(at.as_micros().saturating_add(1));
                Window::new(start, end.min(behind)).ok()
            }
        }
    }
}

fn key(clip: &Clip) -> Place {
    (clip.window().start(), clip.id())
}

fn cursor(clip: &Clip) -> String {
    format!("{}_{}", clip.window().start().as_micros(), clip.id())
}

fn place(cursor: &str) -> Option<Place> {
    let (us, id) = cursor.split_once('_')?;
    Some((Timestamp::from_micros(us.parse().ok()?), id.parse().ok()?))
}
