//! The table of who may use which route. docs/HTTP.md shows it; a test asserts every cell.

use std::fmt;

use axum::http::Method;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Error, ErrorKind, Result};

/// What a token is for.
#[derive(
    Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, PartialOrd, Ord, Hash, ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Role {
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
    pub(crate) const ALL: [Self; 5] =
        [Self::Camera, Self::Resident, Self::Agency, Self::Operator, Self::Public];

    /// Its name in tokens, tables and answers.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Camera => "camera",
            Self::Resident => "resident",
            Self::Agency => "agency",
            Self::Operator => "operator",
            Self::Public => "public",
        }
    }
}

impl std::str::FromStr for Role {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|role| role.name() == text).ok_or_else(|| {
            let want = "camera, resident, agency, operator or public";
            Error::new(ErrorKind::InvalidInput, format!("role {text:?}: want {want}"))
        })
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
const AGENCY: &[Role] = &[Role::Agency];
/// Those who see what residents posted.
const NEIGHBOURS: &[Role] = &[Role::Resident, Role::Agency];
const ALL: &[Role] = &Role::ALL;
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
    rule("GET", "/v1/tokens", BOTH),
    rule("POST", "/v1/tokens", BOTH),
    rule("DELETE", "/v1/tokens/{token}", BOTH),
    rule("POST", "/v1/session", ALL),
    rule("DELETE", "/v1/session", ALL),
    rule("GET", "/v1/cameras", BOTH),
    rule("PUT", "/v1/cameras/{camera}", OPERATOR),
    rule("DELETE", "/v1/cameras/{camera}", OPERATOR),
    rule("PUT", "/v1/cameras/{camera}/policy", OPERATOR),
    rule("GET", "/v1/policy", BOTH),
    rule("PUT", "/v1/policy", OPERATOR),
    rule("GET", "/v1/plan", OPERATOR),
    rule("POST", "/v1/sweep", OPERATOR),
    rule("GET", "/v1/stats", OPERATOR),
    rule("GET", "/v1/ledger", OPERATOR),
    rule("GET", "/v1/verify", OPERATOR),
    rule("POST", "/v1/verify", OPERATOR),
    rule("POST", "/v1/clock/confirm", OPERATOR),
    rule("GET", "/v1/holds", BOTH),
    rule("POST", "/v1/holds", BOTH),
    rule("GET", "/v1/holds/{hold}", BOTH),
    rule("GET", "/v1/holds/{hold}/receipt", BOTH),
    rule("POST", "/v1/holds/{hold}/narrow", BOTH),
    rule("POST", "/v1/holds/{hold}/renew", BOTH),
    rule("POST", "/v1/holds/{hold}/release", BOTH),
    ingest("POST", "/v1/cameras/{camera}/stream"),
    ingest("PUT", "/v1/cameras/{camera}/stream"),
    ingest("PUT", "/v1/cameras/{camera}/clips"),
    ingest("PUT", "/v1/cameras/{camera}/hls/{file}"),
    footage("GET", "/v1/cameras/{camera}/clips", RESIDENT),
    footage("GET", "/v1/cameras/{camera}/timeline", RESIDENT),
    footage("GET", "/v1/cameras/{camera}/playlist.m3u8", RESIDENT),
    footage("GET", "/v1/cameras/{camera}/window.mp4", RESIDENT),
    footage("GET", "/v1/clips/{clip}", RESIDENT),
    rule("DELETE", "/v1/clips/{clip}", RESIDENT),
    footage("GET", "/v1/clips/{clip}/media", RESIDENT),
    footage("GET", "/v1/clips/{clip}/media.mp4", RESIDENT),
    rule("GET", "/v1/clips/{clip}/certificate", BOTH),
    open("GET", "/inbox"),
    open("GET", "/page/inbox.js"),
    open("GET", "/ask"),
    open("GET", "/page/ask.js"),
    open("GET", "/partners"),
    open("GET", "/page/partners.js"),
    open("GET", "/page/desk.js"),
    open("GET", "/page/desk.css"),
    open("GET", "/v1/agencies"),
    open("GET", "/v1/key"),
    rule("POST", "/v1/checkpoint", OPERATOR),
    rule("POST", "/v1/agencies", OPERATOR),
    rule("POST", "/v1/agencies/{agency}/suspend", OPERATOR),
    rule("POST", "/v1/agencies/{agency}/reinstate", OPERATOR),
    rule("GET", "/v1/agencies/{agency}/requests", AGENCY),
    rule("POST", "/v1/agencies/{agency}/requests", AGENCY),
    rule("GET", "/v1/agencies/{agency}/requests/{request}", AGENCY),
    rule("POST", "/v1/agencies/{agency}/requests/{request}/withdraw", AGENCY),
    rule("POST", "/v1/agencies/{agency}/requests/{request}/renew", AGENCY),
    footage("GET", "/v1/agencies/{agency}/requests/{request}/bundle", AGENCY),
    rule("POST", "/v1/agencies/{agency}/requests/{request}/acknowledge", AGENCY),
    rule("GET", "/v1/agencies/{agency}/audit", AGENCY),
    rule("GET", "/v1/audit", OPERATOR),
    rule("GET", "/v1/screening", OPERATOR),
    rule("POST", "/v1/requests/{request}/approve", OPERATOR),
    rule("POST", "/v1/requests/{request}/reject", OPERATOR),
    rule("POST", "/v1/requests/{request}/order", OPERATOR),
    rule("POST", "/v1/requests/{request}/noticed", OPERATOR),
    rule("GET", "/v1/notices", OPERATOR),
    rule("GET", "/v1/households", BOTH),
    rule("POST", "/v1/households", OPERATOR),
    rule("POST", "/v1/households/{household}/opt-out", BOTH),
    rule("POST", "/v1/households/{household}/opt-in", RESIDENT),
    rule("POST", "/v1/households/{household}/leave", BOTH),
    rule("GET", "/v1/households/{household}/audit", RESIDENT),
    rule("GET", "/v1/households/{household}/requests", RESIDENT),
    rule("POST", "/v1/households/{household}/requests/{request}/accept", RESIDENT),
    rule("POST", "/v1/households/{household}/requests/{request}/deny", RESIDENT),
    rule("POST", "/v1/households/{household}/requests/{request}/undo", RESIDENT),
    rule("POST", "/v1/households/{household}/requests/{request}/revoke", RESIDENT),
    rule("DELETE", "/v1/households/{household}/clips/{clip}", RESIDENT),
    rule("POST", "/v1/households/{household}/posts", RESIDENT),
    rule("DELETE", "/v1/households/{household}/posts/{post}", RESIDENT),
    rule("GET", "/v1/feed", NEIGHBOURS),
    footage("GET", "/v1/feed/{post}/media", NEIGHBOURS),
];

impl Rule {
    /// The rule of a route.
    pub(in crate::daemon) fn of(method: &Method, path: &str) -> Option<&'static Self> {
        let method = if method == Method::HEAD { "GET" } else { method.as_str() };
        RULES.iter().find(|rule| rule.method == method && rule.path == path)
    }

    /// Whether `path` has a rule for any method.
    pub(in crate::daemon) fn is_for(path: &str) -> bool {
        RULES.iter().any(|rule| rule.path == path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table as docs/HTTP.md has it.
    fn table() -> String {
        let mut text = String::from("| route | camera | resident | agency | operator | public |\n");
        text += "|---|---|---|---|---|---|\n";
        for rule in RULES {
            let cell = |role| match rule.roles {
                None => "open",
                Some(roles) if roles.contains(&role) => "yes",
                Some(_) => "-",
            };
            let cells: Vec<_> = Role::ALL.into_iter().map(cell).collect();
            let line = format!("| `{} {}` | {} |\n", rule.method, rule.path, cells.join(" | "));
            text.push_str(&line);
        }
        text
    }

    #[test]
    fn the_table_in_the_documentation_is_this_one() {
        let documented = include_str!("../../../docs/HTTP.md");
        assert!(documented.contains(&table()), "docs/HTTP.md wants this table:\n{}", table());
    }

    #[test]
    fn an_agency_reaches_nothing_but_its_own_requests_and_what_was_posted() {
        let reached = RULES.iter().filter(|rule| {
            rule.roles.is_some_and(|roles| roles.contains(&Role::Agency)) && rule.roles != Some(ALL)
        });
        for rule in reached {
            let own = rule.path.starts_with("/v1/agencies/{agency}/");
            assert!(own || rule.path.starts_with("/v1/feed"), "{}", rule.path);
        }
    }

    #[test]
    fn cameras_and_operators_see_no_footage() {
        for rule in RULES.iter().filter(|rule| rule.touches == Touches::Footage) {
            let roles = rule.roles.expect("footage is never open");
            assert!(!roles.contains(&Role::Camera), "{}", rule.path);
            assert!(!roles.contains(&Role::Operator), "{}", rule.path);
            assert!(!roles.contains(&Role::Public), "{}", rule.path);
        }
    }
}
