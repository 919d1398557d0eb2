//! Documents the problems of a call in OpenAPI, with an example of each, from the catalogue that
//! answers use too.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::{Ref, RefOr, Response, ResponseBuilder};

use super::ProblemType;
use crate::api_types::problem::PROBLEM_JSON;

/// Names a set of problems for the `responses(…)` of handlers: one of the common sets below, and
/// what else the call can answer.
macro_rules! problems {
    ($name:ident = $common:ident $(, $kind:ident)* $(,)?) => {
        pub struct $name;

        impl utoipa::IntoResponses for $name {
            fn responses() -> std::collections::BTreeMap<String, utoipa::openapi::RefOr<utoipa::openapi::Response>> {
                $crate::api::problem::docs::responses(
                    $crate::api::problem::docs::$common,
                    &[$($crate::api::problem::ProblemType::$kind),*],
                )
            }
        }
    };
}
pub(in crate::api) use problems;

/// Of a call without a body: of a list, for example.
pub(in crate::api) const COMMON: &[ProblemType] = &[
    ProblemType::InvalidParameter,
    ProblemType::Internal,
    ProblemType::Unavailable,
];

/// Of a call without a body about one record.
pub(in crate::api) const BY_ID: &[ProblemType] = &[
    ProblemType::InvalidParameter,
    ProblemType::NotFound,
    ProblemType::Internal,
    ProblemType::Unavailable,
];

/// Of a call with a body.
pub(in crate::api) const BODY: &[ProblemType] = &[
    ProblemType::MalformedJson,
    ProblemType::InvalidParameter,
    ProblemType::PayloadTooLarge,
    ProblemType::RequestTimeout,
    ProblemType::UnsupportedMediaType,
    ProblemType::ValidationFailed,
    ProblemType::Internal,
    ProblemType::Unavailable,
];

/// Of a call with a body about one record.
pub(in crate::api) const BODY_BY_ID: &[ProblemType] = &[
    ProblemType::MalformedJson,
    ProblemType::InvalidParameter,
    ProblemType::NotFound,
    ProblemType::PayloadTooLarge,
    ProblemType::RequestTimeout,
    ProblemType::UnsupportedMediaType,
    ProblemType::ValidationFailed,
    ProblemType::Internal,
    ProblemType::Unavailable,
];

/// Of a call that has only problems of its own.
pub(in crate::api) const NONE: &[ProblemType] = &[];

problems!(CommonProblems = COMMON);
problems!(ByIdProblems = BY_ID);
problems!(BodyProblems = BODY);
problems!(BodyByIdProblems = BODY_BY_ID);
// Of a call about the files of a COMPLETED export.
problems!(
    FilesProblems = BY_ID,
    NotCompleted,
    RefusedByAws,
    OutputUnreadable,
    AwsUnavailable
);

/// The responses of these problems: one per status, with an example per type.
pub(in crate::api) fn responses(
    common: &[ProblemType],
    special: &[ProblemType],
) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status: BTreeMap<String, Vec<ProblemType>> = BTreeMap::new();
    for kind in common.iter().chain(special) {
        by_status
            .entry(kind.describe().status.to_string())
            .or_default()
            .push(*kind);
    }
    by_status
        .into_iter()
        .map(|(status, kinds)| (status, RefOr::T(response(&kinds))))
        .collect()
}

/// The responses to a caller whose credentials or scope are not sufficient, or whose rate is
/// exceeded.
pub(in crate::api) fn refusals() -> BTreeMap<String, RefOr<Response>> {
    let kinds = [
        ProblemType::Unauthenticated,
        ProblemType::Forbidden,
        ProblemType::RateLimited,
    ];
    responses(&kinds, &[])
}

fn response(kinds: &[ProblemType]) -> Response {
    let descriptions: Vec<_> = kinds
        .iter()
        .map(|kind| format!("{}. {}", kind.describe().title, kind.describe().explanation))
        .collect();
    let examples = kinds.iter().map(|kind| {
        let described = kind.describe();
        let example = ExampleBuilder::new()
            .summary(described.title)
            .value(Some(example(*kind)));
        (described.name, example.build())
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

/// The document of a problem of this type. The details are those that handlers answer.
fn example(kind: ProblemType) -> Value {
    let described = kind.describe();
    let one = |pointer: &str, detail: &str| json!([{"pointer": pointer, "detail": detail}]);
    let (detail, errors) = match kind {
        ProblemType::ValidationFailed => (
            "2 errors; each is in errors",
            json!([
                {"pointer": "/s3_bucket", "detail": "is required"},
                {"pointer": "/s3_sse_kms_key_id", "detail": "is only allowed with s3_sse_algorithm KMS"},
            ]),
        ),
        ProblemType::PreflightFailed => (
            "/s3_bucket The bucket my-exports does not exist. Create the bucket, or correct s3_bucket.",
            one(
                "/s3_bucket",
                "The bucket my-exports does not exist. Create the bucket, or correct s3_bucket.",
            ),
        ),
        ProblemType::InvalidParameter => (
            "#query/page_size must be a whole number from 1 to 200",
            one("#query/page_size", "must be a whole number from 1 to 200"),
        ),
        ProblemType::Unauthenticated => ("no API key matches these credentials", json!([])),
        ProblemType::Forbidden => (
            "/table_arn names a table that this API key does not allow",
            one(
                "/table_arn",
                "names a table that this API key does not allow",
            ),
        ),
        ProblemType::MalformedJson => (
            "the body is not valid JSON: expected `,` or `}` at line 3 column 5",
            json!([]),
        ),
        ProblemType::IdempotencyKeyReused => (
            "this Idempotency-Key was used before with a different request",
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
        _ => (described.title, json!([])),
    };
    json!({
        "type": kind.uri(),
        "title": described.title,
        "status": described.status,
        "detail": detail,
        "instance": "/v1/exports",
        "errors": errors,
    })
}
