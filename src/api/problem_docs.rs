//! Documents the problems of a call in OpenAPI, with an example of each, from the same table that
//! answers use.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{Ref, RefOr, Response, ResponseBuilder};
use utoipa::{PartialSchema, ToSchema};

use super::problem::{PROBLEM_JSON, ProblemType};

/// Names a set of problems that a handler lists among its responses.
macro_rules! problems {
    ($(#[$doc:meta])* $name:ident: $($kind:ident),+ $(,)?) => {
        $(#[$doc])*
        pub struct $name;

        impl utoipa::IntoResponses for $name {
            fn responses() -> std::collections::BTreeMap<String, utoipa::openapi::RefOr<utoipa::openapi::Response>> {
                $crate::api::problem_docs::responses(&[$($crate::api::problem::ProblemType::$kind),+])
            }
        }
    };
}
pub(super) use problems;

impl PartialSchema for ProblemType {
    fn schema() -> RefOr<Schema> {
        let uris = Self::ALL.map(Self::uri);
        let schema = ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(uris));
        schema
            .description(Some(
                "The type of a problem: a path that can be looked up. Later versions may add some.",
            ))
            .into()
    }
}

impl ToSchema for ProblemType {
    fn name() -> Cow<'static, str> {
        "ProblemType".into()
    }
}

/// The responses of these problems: one a status, with an example a type.
pub(super) fn responses(kinds: &[ProblemType]) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status: BTreeMap<String, Vec<ProblemType>> = BTreeMap::new();
    for kind in kinds {
        by_status
            .entry(kind.describe().1.as_u16().to_string())
            .or_default()
            .push(*kind);
    }
    by_status
        .into_iter()
        .map(|(status, kinds)| (status, RefOr::T(response(&kinds))))
        .collect()
}

fn response(kinds: &[ProblemType]) -> Response {
    let descriptions: Vec<_> = kinds
        .iter()
        .map(|kind| format!("{}. {}", kind.describe().2, kind.describe().3))
        .collect();
    let examples = kinds.iter().map(|kind| {
        let (name, _, title, _) = kind.describe();
        (
            name,
            ExampleBuilder::new()
                .summary(title)
                .value(Some(example(*kind)))
                .build(),
        )
    });
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .examples_from_iter(examples)
        .build();
    ResponseBuilder::new()
        .description(descriptions.join(" Or: "))
        .content(PROBLEM_JSON, content)
        .build()
}

fn example(kind: ProblemType) -> Value {
    let (_, status, title, _) = kind.describe();
    let (detail, errors) = match kind {
        ProblemType::ValidationFailed => (
            "2 errors; each is in errors",
            json!([
                {"pointer": "/s3_bucket", "detail": "is required"},
                {"pointer": "/s3_sse_kms_key_id", "detail": "is only allowed with s3_sse_algorithm KMS"},
            ]),
        ),
        ProblemType::PreflightFailed => (
            "/s3_bucket There is no bucket my-exports. Create the bucket, or correct s3_bucket.",
            json!([{"pointer": "/s3_bucket", "detail": "There is no bucket my-exports. Create the bucket, or correct s3_bucket."}]),
        ),
        ProblemType::InvalidParameter => (
            "#query/page_size must be a whole number from 1 to 200",
            json!([{"pointer": "#query/page_size", "detail": "must be a whole number from 1 to 200"}]),
        ),
        ProblemType::Unauthenticated => ("there is no such API key", json!([])),
        ProblemType::Forbidden => (
            "/table_arn names a table that this API key does not hold for",
            json!([{"pointer": "/table_arn", "detail": "names a table that this API key does not hold for"}]),
        ),
        ProblemType::MalformedJson => (
            "the body is not JSON: expected `,` or `}` at line 3 column 5",
            json!([]),
        ),
        ProblemType::IdempotencyKeyReused => (
            "this Idempotency-Key came before with another request",
            json!([]),
        ),
        ProblemType::NotCancellable => ("the export is COMPLETED", json!([])),
        ProblemType::NotRetryable => (
            "the export is COMPLETED; create a new one to export again",
            json!([]),
        ),
        ProblemType::NotEnded => ("the export is IN_PROGRESS", json!([])),
        ProblemType::EndpointDisabled => ("the endpoint is disabled: gone", json!([])),
        ProblemType::NotCompleted => ("the export is IN_PROGRESS", json!([])),
        ProblemType::OutputUnreadable => (
            "AWSDynamoDB/01795400426000-fa682feb/manifest-summary.json does not exist",
            json!([]),
        ),
        ProblemType::RefusedByAws => ("ExportNotFoundException: Export not found", json!([])),
        _ => (title, json!([])),
    };
    json!({
        "type": kind.uri(),
        "title": title,
        "status": status.as_u16(),
        "detail": detail,
        "instance": "/v1/exports",
        "errors": errors,
    })
}
