//! The neighbourhood feed: what residents posted, for neighbours and partners.

use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::ClipId;
use crate::requests::{HouseholdId, PostId};

use super::super::access::Caller;
use super::super::app::App;
use super::super::extract::{JsonBody, Named};
use super::super::problem::Problem;
use super::super::watch;
use super::{decide, look, looked, own};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(feed))
        .routes(routes!(media))
        .routes(routes!(post))
        .routes(routes!(take_out))
}

/// A clip in the feed.
#[derive(Debug, Serialize, ToSchema)]
struct PostShape {
    post: String,
    clip: String,
    /// When it was posted (RFC 3339).
    posted: String,
}

/// What is in the feed, oldest first.
#[derive(Debug, Serialize, ToSchema)]
struct Feed {
    posts: Vec<PostShape>,
}

/// What residents posted and did not take out
#[utoipa::path(get, path = "/v1/feed", tag = "requests",
    responses((status = 200, body = Feed), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn feed(State(app): State<App>) -> Result<Json<Feed>, Problem> {
    let items = look(&app, |desk| Ok(desk.feed())).await?;
    let posts = items.into_iter().map(|item| PostShape {
        post: item.post.0.to_string(),
        clip: item.clip.0.to_string(),
        posted: item.posted.0.to_string(),
    });
    Ok(Json(Feed { posts: posts.collect() }))
}

/// The bytes of a clip in the feed, or a range of them
#[utoipa::path(get, path = "/v1/feed/{post}/media", tag = "requests",
    params(("post" = String, Path, description = "The post, like p2")),
    responses((status = 200, description = "All bytes"), (status = 206, description = "The range"),
        (status = 304, description = "The client has them"), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn media(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(id): Named<PostId>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let clip = look(&app, move |desk| Ok(desk.posted(id)?)).await?;
    let reader = app.read(move |store| store.read(clip)).await?;
    looked(&app, &caller, &method, std::slice::from_ref(reader.clip()))?;
    watch::send_clip(&app, &method, &headers, id.to_string(), reader).await
}

/// A clip that is posted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPost {
    clip: String,
}

/// The id of a post.
#[derive(Debug, Serialize, ToSchema)]
struct Posted {
    post: String,
}

/// Put a clip into the feed, until it is taken out
#[utoipa::path(post, path = "/v1/households/{household}/posts", tag = "requests",
    request_body = NewPost,
    params(("household" = String, Path, description = "The home, like h3")),
    responses((status = 201, body = Posted), (status = "4XX", body = Problem),
        (status = "5XX", body = Problem)))]
async fn post(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(home): Named<HouseholdId>,
    JsonBody(new): JsonBody<NewPost>,
) -> Result<(StatusCode, Json<Posted>), Problem> {
    let clip: ClipId = new.clip.parse()?;
    let post = decide(&app, move |desk| {
        own(desk, &caller, home)?;
        Ok(desk.post(home, clip)?)
    });
    let post = post.await?.to_string();
    Ok((StatusCode::CREATED, Json(Posted { post })))
}

/// Take a clip out of the feed
#[utoipa::path(delete, path = "/v1/households/{household}/posts/{post}", tag = "requests",
    params(("household" = String, Path, description = "The home, like h3"),
        ("post" = String, Path, description = "The post, like p2")),
    responses((status = 204), (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
async fn take_out(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Named(home): Named<HouseholdId>,
    Named(post): Named<PostId>,
) -> Result<StatusCode, Problem> {
    decide(&app, move |desk| {
        own(desk, &caller, home)?;
        Ok(desk.withdraw_post(home, post)?)
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
