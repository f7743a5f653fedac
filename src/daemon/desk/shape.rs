//! Shapes that several routes of the desk share.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::requests::{Area, Chosen, Span, Submission, Text};

use super::super::extract;
use super::super::problem::Problem;

/// A stretch of time.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Stretch {
    /// RFC 3339.
    from: String,
    /// RFC 3339, not included.
    to: String,
}

impl Stretch {
    fn parse(&self) -> Result<Span, Problem> {
        Ok(extract::window(&self.from, &self.to)?.into())
    }
}

impl From<Span> for Stretch {
    fn from(span: Span) -> Self {
        let window = span.window();
        Self { from: window.start().to_string(), to: window.end().to_string() }
    }
}

/// What an agency asks. Nothing of it can be changed afterwards.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Asking {
    /// Repeating it with the same key answers the same request. As the header `Idempotency-Key`.
    #[serde(default, skip_serializing)]
    key: Option<String>,
    window: Stretch,
    area: Area,
    /// The number of the incident.
    incident: String,
    /// What kind of incident it is.
    kind: String,
    /// How residents reach the officer.
    contact: String,
    /// What residents are told, in words.
    #[serde(default)]
    words: String,
}

impl Asking {
    /// What is submitted, under the key of the header or its own.
    pub(super) fn submission(self, header: Option<String>) -> Result<Submission, Problem> {
        let key = match (header, self.key) {
            (Some(header), Some(own)) if header != own => {
                return Err(Problem::invalid("key: it is not that of the Idempotency-Key"));
            }
            (Some(key), _) | (None, Some(key)) => key,
            (None, None) => return Err(Problem::invalid("want an Idempotency-Key")),
        };
        Ok(Submission {
            key,
            window: self.window.parse()?,
            area: self.area,
            incident: self.incident,
            kind: self.kind,
            contact: self.contact,
            words: self.words,
        })
    }
}

impl From<Submission> for Asking {
    fn from(asked: Submission) -> Self {
        Self {
            key: None,
            window: asked.window.into(),
            area: asked.area,
            incident: asked.incident,
            kind: asked.kind,
            contact: asked.contact,
            words: asked.words,
        }
    }
}

/// A clip that is shared, or a part of it.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Choice {
    clip: String,
    /// Only this part of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    part: Option<Stretch>,
}

impl Choice {
    pub(super) fn parse(&self) -> Result<Chosen, Problem> {
        let part = self.part.as_ref().map(Stretch::parse).transpose()?;
        Ok(Chosen { clip: Text(self.clip.parse()?), part })
    }
}

impl From<Chosen> for Choice {
    fn from(chosen: Chosen) -> Self {
        Self { clip: chosen.clip.0.to_string(), part: chosen.part.map(Stretch::from) }
    }
}
