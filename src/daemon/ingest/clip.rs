//! `PUT /v1/cameras/{camera}/clips`: a finished clip, stored whole or not at all.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::media::{
    ClipFacts, Kind, NamedClip, StartSource, StartTime, choose_start, probe, transport_duration,
};
use crate::{
    CameraId, Clip, Clock as _, Error, Media, NewClip, Result as StoreResult, Store, SystemClock,
    Timestamp, Window,
};

use super::super::app::App;
use super::super::extract::{Named, Params};
use super::super::keys::Wanted;
use super::super::problem::Problem;
use super::memory::Share;
use super::{Incoming, Received, admit, stated_start};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(put))
}

/// What a picture or a transport stream covers when nothing says more.
const MOMENT: Duration = Duration::from_secs(1);
/// How far off a clip may be of which nobody says when it began: it may have waited somewhere.
const ARRIVAL_DOUBT: Duration = Duration::from_mins(1);
/// The longest time that a sender may state.
const SECONDS_MAX: f64 = 3_600.0;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Query {
    /// When the clip began (RFC 3339). Also taken from the header `X-Start-Time`. Without: what the
    /// file says of itself, else its `name`, else its arrival.
    start: Option<String>,
    /// How long it is, in seconds up to 3600, where the bytes do not tell: JPEG.
    /// Without: one second.
    seconds: Option<f64>,
    /// The name of its file, when that says when it began, as those of ffmpeg, Frigate and
    /// `MediaMTX` do. Names without an offset are read as UTC.
    name: Option<String>,
}

/// A stored clip.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Stored {
    /// Its id.
    id: String,
    /// Its camera.
    camera: String,
    /// When it starts (RFC 3339).
    start: String,
    /// When it ends (RFC 3339).
    end: String,
    /// Its bytes.
    bytes: u64,
    /// What its bytes are: `mp4`, `fragmented-mp4`, `mpeg-ts`, `jpeg`.
    media: &'static str,
    /// BLAKE3 of its bytes, in hexadecimal digits.
    blake3: String,
}

impl Stored {
    pub(super) fn new(clip: &Clip) -> Self {
        Self {
            id: clip.id().to_string(),
            camera: clip.camera().to_string(),
            start: clip.window().start().to_string(),
            end: clip.window().end().to_string(),
            bytes: clip.len(),
            media: clip.media().name(),
            blake3: blake3::Hash::from_bytes(*clip.digest()).to_hex().to_string(),
        }
    }
}

/// Store a finished clip
///
/// The body is MP4, plain or fragmented, MPEG-TS or JPEG, with or without `Content-Length`. It is
/// durable when the answer comes. The same bytes with the same start are stored once, however often
/// they come: 200 and not 201. An `Idempotency-Key` does that also for clips without a start, over
/// a restart too, for the newest 4096 keys. `Content-Digest` with sha-256 is checked.
#[utoipa::path(put, path = "/v1/cameras/{camera}/clips", tag = "ingest",
    params(("camera" = String, Path, description = "The camera"), Query),
    request_body(content = Vec<u8>, content_type = "video/mp4"),
    responses((status = 201, body = Stored), (status = 200, body = Stored),
        (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
async fn put(
    State(app): State<App>,
    Named(camera): Named<CameraId>,
    Params(query): Params<Query>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let said = Said::new(&query, &headers)?;
    let length = content_length(&headers);
    let limit = app.config().ingest.clip_bytes_max;
    if length.is_some_and(|length| length > limit) {
        let detail = format!("a clip above {limit} bytes: push it as a stream");
        return Err(Problem::new("too-large", detail).closing());
    }
    let place = admit(&app, &camera).await?;
    let mut memory = app.intake().memory.share(&camera);
    memory.set(length.unwrap_or(0)).await?;
    let incoming = Incoming::new(&app, &camera, body);
    let task = tokio::spawn(async move {
        let taken = take(&app, &camera, said, incoming, &mut memory).await;
        match &taken {
            Ok((clip, _)) => app.metrics().clip_stored(&camera, clip.len()),
            Err(problem) => app.metrics().stream_ended(&camera, 0, Some(problem)),
        }
        drop(place);
        taken
    });
    let (clip, is_new) = task.await.map_err(|failed| {
        tracing::error!(%failed, "an upload's task panicked");
        Problem::new("internal", "the upload failed")
    })??;
    Ok(answer(&clip, is_new))
}

fn answer(clip: &Clip, is_new: bool) -> Response {
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = (status, Json(Stored::new(clip))).into_response();
    if let Ok(location) = HeaderValue::try_from(format!("/v1/clips/{}", clip.id())) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// What the sender says of the clip besides its bytes.
struct Said {
    start: Option<Timestamp>,
    named: Option<Timestamp>,
    length: Option<Duration>,
    digest: Option<Vec<u8>>,
    key: Option<String>,
}

impl Said {
    fn new(query: &Query, headers: &HeaderMap) -> Result<Self, Problem> {
        let length = match query.seconds {
            Some(seconds) if seconds > 0.0 && seconds <= SECONDS_MAX => {
                Some(Duration::from_secs_f64(seconds))
            }
            Some(_) => return Err(Problem::invalid("seconds: want more than 0, at most 3600")),
            None => None,
        };
        let named = query.name.as_deref().and_then(|name| NamedClip::recognise(name, 0));
        Ok(Self {
            start: stated_start(query.start.as_deref(), headers)?,
            named: named.map(|named| named.start),
            length,
            digest: content_digest(headers)?,
            key: super::super::extract::idempotency_key(headers)?,
        })
    }
}

/// The SHA-256 of `Content-Digest` (RFC 9530): `sha-256=:BASE64:`. Other algorithms may stand
/// beside it.
pub(crate) fn content_digest(headers: &HeaderMap) -> Result<Option<Vec<u8>>, Problem> {
    for value in headers.get_all("content-digest") {
        let refuse = || Problem::invalid("Content-Digest: want sha-256=:BASE64:");
        let text = value.to_str().map_err(|_not_text| refuse())?;
        for member in text.split(',') {
            let Some(coded) = member.trim().strip_prefix("sha-256=") else { continue };
            let coded = coded.strip_prefix(':').and_then(|rest| rest.strip_suffix(':'));
            let digest = coded.and_then(|coded| BASE64.decode(coded).ok());
            let digest = digest.filter(|digest| digest.len() == 32).ok_or_else(refuse)?;
            return Ok(Some(digest));
        }
    }
    Ok(None)
}

async fn take(
    app: &App,
    camera: &CameraId,
    said: Said,
    mut incoming: Incoming,
    memory: &mut Share,
) -> Result<(Clip, bool), Problem> {
    let bytes = read_all(&mut incoming, app.config().ingest.clip_bytes_max, memory).await?;
    store(app, camera, said, bytes).await
}

/// Stores a clip of which nothing is said, but when it began by a playlist.
pub(super) async fn append_whole(
    app: &App,
    camera: &CameraId,
    bytes: Bytes,
    announced: Option<Timestamp>,
) -> Result<Clip, Problem> {
    let said = Said { start: None, named: announced, length: None, digest: None, key: None };
    let (clip, _) = store(app, camera, said, bytes).await?;
    app.metrics().clip_stored(camera, clip.len());
    Ok(clip)
}

async fn store(
    app: &App,
    camera: &CameraId,
    said: Said,
    bytes: Bytes,
) -> Result<(Clip, bool), Problem> {
    let arrival = SystemClock.wall();
    let (store, camera, keys) = (app.store()?, camera.clone(), app.keys().clone());
    let stored = app.pool().write(move || {
        let digest = *blake3::hash(&bytes).as_bytes();
        if said.digest.as_ref().is_some_and(|said| said[..] != Sha256::digest(&bytes)[..]) {
            return Err(Problem::new("digest-mismatch", "the bytes do not have this SHA-256"));
        }
        let Some(key) = &said.key else {
            return append(&store, &camera, &said, bytes, &digest, arrival).map_err(Problem::from);
        };
        let wanted = Wanted { key, camera: &camera, digest: &digest };
        keys.once(&store, wanted, || {
            append(&store, &camera, &said, bytes, &digest, arrival).map_err(Problem::from)
        })
    });
    let stored = stored.await?;
    app.metrics().written(stored.as_ref().err());
    stored
}

/// The whole body.
pub(super) async fn read_all(
    incoming: &mut Incoming,
    limit: u64,
    memory: &mut Share,
) -> Result<Bytes, Problem> {
    let whole = incoming.whole;
    let read = tokio::time::timeout(whole, read_pieces(incoming, limit, memory)).await;
    read.unwrap_or_else(|_elapsed| {
        let detail = format!("the body took more than {} seconds", whole.as_secs());
        Err(Problem::new("body-timeout", detail).closing())
    })
}

async fn read_pieces(
    incoming: &mut Incoming,
    limit: u64,
    memory: &mut Share,
) -> Result<Bytes, Problem> {
    let mut whole = BytesMut::new();
    let mut expected = memory.bytes();
    loop {
        match incoming.next().await {
            Received::Bytes(bytes) => {
                whole.extend_from_slice(&bytes);
                let len = u64::try_from(whole.len()).unwrap_or(u64::MAX);
                if len > limit {
                    let detail = format!("a body above {limit} bytes");
                    return Err(Problem::new("too-large", detail).closing());
                }
                if len > expected {
                    expected = len;
                    memory.set(len).await?;
                }
            }
            Received::End => return Ok(whole.freeze()),
            Received::CutOff(why) => return Err(Problem::new("body-cut-off", why).closing()),
            Received::TooSlow => {
                return Err(Problem::new("body-timeout", "nothing came for long").closing());
            }
            Received::Stopping => {
                return Err(Problem::unavailable("the daemon stops", 5).closing());
            }
        }
    }
}

/// Stores the clip, unless it is there; answers whether it is new.
fn append(
    store: &Store,
    camera: &CameraId,
    said: &Said,
    bytes: Bytes,
    digest: &[u8; 32],
    arrival: Timestamp,
) -> StoreResult<(Clip, bool)> {
    let kind = probe(&bytes);
    let facts = match kind {
        Kind::Mp4 | Kind::FragmentedMp4 => Some(ClipFacts::read(&bytes)?),
        Kind::MpegTs | Kind::Jpeg => None,
        _ => return Err(Error::new(crate::ErrorKind::Media, NEITHER)),
    };
    let told = said.length.or_else(|| transport_duration(&bytes)).unwrap_or(MOMENT);
    let length = facts.as_ref().map_or(told, ClipFacts::duration);
    let length = length.max(Duration::from_millis(1));
    let given = said.start.map(|at| StartTime { at, source: StartSource::Given });
    let named = said.named.map(|at| StartTime { at, source: StartSource::Name });
    let start = choose_start(given.into_iter().chain(named), facts.as_ref());
    let (at, doubt) = match start {
        Some(start) => (start.at, start.source.uncertainty()),
        None => (arrival.saturating_sub(length), length.saturating_add(ARRIVAL_DOUBT)),
    };
    if let Some(known) = known(store, camera, at, digest)? {
        return Ok((known, false));
    }
    let clip = NewClip::new(camera, Window::starting(at, length)?)
        .media(Media::from(kind))
        .uncertainty(doubt)?;
    Ok((store.append(clip, bytes)?, true))
}

const NEITHER: &str = "neither MP4 nor MPEG-TS nor JPEG";

/// The clip of `camera` with this start and digest, if it is in the store.
fn known(
    store: &Store,
    camera: &CameraId,
    start: Timestamp,
    digest: &[u8; 32],
) -> StoreResult<Option<Clip>> {
    let instant = Window::starting(start, Duration::from_micros(1))?;
    let same = |clip: &Clip| clip.window().start() == start && clip.digest() == digest;
    Ok(store.clips(camera, instant)?.find(same))
}
