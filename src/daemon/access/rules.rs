//! The table of who may use which route. docs/HTTP.md shows it; a test asserts every cell.

use std::fmt;

use axum::http::Method;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a token is for.
#[derive(
    Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, PartialOrd, Ord, Hash, ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub(in crate::daemon) enum Role {
    /// Writes its own clips, and reads nothing.
    Camera,
    /// A household: looks at its cameras' footage, keeps and deletes it.
    Resident,
    /// Asks for footage, and fetches what was shared with it.
    Agency,
    /// Configures, and serves orders; has no access to footage.
    Operator,
    /// Sees what everybody may know.
    Public,
}

impl Role {
    /// All of them, in the order of the table.
    pub(in crate::daemon) const ALL: [Self; 5] =
        [Self::Camera, Self::Resident, Self::Agency, Self::Operator, Self::Public];

    /// Its name in tokens, tables and answers.
    pub(in crate::daemon) const fn name(self) -> &'static str {
        match self {
            Self::Camera => "camera",
            Self::Resident => "resident",
            Self::Agency => "agency",
            Self::Operator => "operator",
            Self::Public => "public",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a use of a route means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::daemon) enum Touches {
    /// No footage.
    Nothing,
    /// Footage or what tells of it is shown: each use is logged.
    Footage,
    /// Footage comes in.
    Ingest,
}

/// Who may use one route.
#[derive(Clone, Copy, Debug)]
pub(in crate::daemon) struct Rule {
    pub(in crate::daemon) method: &'static str,
    /// The template of its path, as axum has it.
    pub(in crate::daemon) path: &'static str,
    /// `None`: everybody, without a token.
    pub(in crate::daemon) roles: Option<&'static [Role]>,
    pub(in crate::daemon) touches: Touches,
}

const fn rule(method: &'static str, path: &'static str, roles: &'static [Role]) -> Rule {
    Rule { method, path, roles: Some(roles), touches: Touches::Nothing }
}

const fn open(method: &'static str, path: &'static str) -> Rule {
    Rule { method, path, roles: None, touches: Touches::Nothing }
}

const fn footage(method: &'static str, path: &'static str, roles: &'static [Role]) -> Rule {
    Rule { method, path, roles: Some(roles), touches: Touches::Footage }
}

const fn ingest(method: &'static str, path: &'static str) -> Rule {
    Rule { method, path, roles: Some(&[Role::Camera]), touches: Touches::Ingest }
}

const RESIDENT: &[Role] = &[Role::Resident];
const OPERATOR: &[Role] = &[Role::Operator];
const BOTH: &[Role] = &[Role::Resident, Role::Operator];

/// Every route. `HEAD` is as `GET`.
pub(in crate::daemon) const RULES: &[Rule] = &[
    open("GET", "/healthz"),
    open("GET", "/readyz"),
    open("GET", "/openapi.json"),
    open("GET", "/"),
    open("GET", "/page/page.js"),
    open("GET", "/page/page.css"),
    rule("GET", "/metrics", OPERATOR),
    rule("GET", "/v1/cameras", BOTH),
    ingest("POST", "/v1/cameras/{camera}/stream"),
    ingest("PUT", "/v1/cameras/{camera}/stream"),
    ingest("PUT", "/v1/cameras/{camera}/clips"),
    ingest("PUT", "/v1/cameras/{camera}/hls/{*file}"),
    footage("GET", "/v1/cameras/{camera}/clips", RESIDENT),
    footage("GET", "/v1/cameras/{camera}/timeline", RESIDENT),
    footage("GET", "/v1/cameras/{camera}/playlist.m3u8", RESIDENT),
    footage("GET", "/v1/cameras/{camera}/window.mp4", RESIDENT),
    footage("GET", "/v1/clips/{clip}", RESIDENT),
    footage("GET", "/v1/clips/{clip}/media", RESIDENT),
    footage("GET", "/v1/clips/{clip}/media.mp4", RESIDENT),
];

impl Rule {
    /// The rule of a route.
    pub(in crate::daemon) fn of(method: &Method, path: &str) -> Option<&'static Self> {
        let method = if method == Method::HEAD { "GET" } else { method.as_str() };
        RULES.iter().find(|rule| rule.method == method && rule.path == path)
    }

    /// Whether it needs no token.
    pub(in crate::daemon) const fn is_open(&self) -> bool {
        self.roles.is_none()
    }

    /// Whether `role` may.
    pub(in crate::daemon) fn lets(&self, role: Role) -> bool {
        self.roles.is_none_or(|roles| roles.contains(&role))
    }
}
