//! The `OpenAPI` document, made true where what it is made from cannot say it.
//!
//! Owns three facts of the wire: problems have a media type of their own, bodies of footage are
//! bytes and not lists of numbers, and what names a thing or a time has a form.

use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::schema::{KnownFormat, Object, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{Content, OpenApi, RefOr};

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";

/// Corrects every operation.
pub(super) fn correct(document: &mut OpenApi) {
    for item in document.paths.paths.values_mut() {
        let methods = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete];
        for operation in methods.into_iter().flatten() {
            name_problems(operation);
            name_bytes(operation);
            name_forms(operation);
        }
    }
}

/// Every error is a problem document.
fn name_problems(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        if !status.starts_with(['4', '5']) {
            continue;
        }
        if let Some(content) = response.content.shift_remove(JSON) {
            response.content.insert(PROBLEM.to_owned(), content);
        }
    }
}

/// What is no JSON comes as it is.
fn name_bytes(operation: &mut Operation) {
    let Some(RefOr::T(body)) = &mut operation.request_body else { return };
    for (kind, content) in &mut body.content {
        if kind != JSON {
            *content = RefOr::T(Content::new(Some(bytes())));
        }
    }
}

/// The form of each name in a path.
const FORMS: [(&str, &str); 3] = [
    ("camera", "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$"),
    ("clip", "^(0|[1-9][0-9]{0,8})-(0|[1-9][0-9]{0,8})$"),
    ("hold", "^h(0|[1-9][0-9]{0,17})$"),
];
/// What the description of a time says.
const TIME: &str = "RFC 3339";

/// What names a camera, a clip, a hold or a time is no text of any kind.
fn name_forms(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(parameter) = parameter else { continue };
        let text = ObjectBuilder::new().schema_type(Type::String);
        let form = FORMS.iter().find(|(name, _)| *name == parameter.name);
        let form = match (&parameter.parameter_in, form) {
            (ParameterIn::Path, Some((_, pattern))) => text.pattern(Some(*pattern)),
            (ParameterIn::Query, None) if says(parameter.description.as_deref(), TIME) => {
                text.format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            }
            _ => continue,
        };
        parameter.schema = Some(form.build().into());
    }
}

fn says(description: Option<&str>, what: &str) -> bool {
    description.is_some_and(|description| description.contains(what))
}

fn bytes() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)))
        .build()
}

#[cfg(test)]
mod tests {
    use crate::{CameraId, ClipId, HoldId};

    use super::*;

    #[test]
    fn the_forms_are_those_of_the_names_that_are_taken() {
        // What the patterns say at their edges, and what the names themselves say.
        let long = "x".repeat(64);
        for (name, is_one) in [("a.b", true), (".a", false), ("", false), (&long, true)] {
            assert_eq!(name.parse::<CameraId>().is_ok(), is_one, "{name}");
        }
        assert!(format!("{long}x").parse::<CameraId>().is_err());
        for (name, is_one) in [("0-0", true), ("999999999-999999999", true), ("01-1", false)] {
            assert_eq!(name.parse::<ClipId>().is_ok(), is_one, "{name}");
        }
        for (name, is_one) in [("h0", true), ("h999999999999999999", true), ("h01", false)] {
            assert_eq!(name.parse::<HoldId>().is_ok(), is_one, "{name}");
        }
        assert_eq!(FORMS.map(|(name, _)| name), ["camera", "clip", "hold"]);
    }
}
