//! The OpenAPI document, made true where what it is made from cannot say it.
//!
//! Owns two facts of the wire: problems have a media type of their own, and bodies of footage are
//! bytes, not lists of numbers.

use utoipa::openapi::path::Operation;
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

fn bytes() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)))
        .build()
}
