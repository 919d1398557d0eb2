//! The problem catalogue: every error that the API can answer, and its document (RFC 9457).

use std::borrow::Cow;

use serde::Serialize;
use tableferry_domain::invalid::Invalid;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// The media type of problem documents.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// The description of a type of problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Description {
    /// The last part of the type's URI.
    pub name: &'static str,
    /// The HTTP status.
    pub status: u16,
    pub title: &'static str,
    /// What the problem means and what the caller can do.
    pub explanation: &'static str,
}

/// Makes [`ProblemType`] from one list.
macro_rules! problem_types {
    ($($(#[$doc:meta])* $kind:ident = $status:literal $name:literal, $title:literal, $explanation:literal;)+) => {
        /// The type of a problem: a stable URI below `/problems/`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ProblemType {
            $($(#[$doc])* $kind,)+
        }

        impl ProblemType {
            /// Every type.
            pub const ALL: &'static [Self] = &[$(Self::$kind),+];

            #[must_use]
            pub fn describe(self) -> Description {
                match self {
                    $(Self::$kind => Description {
                        name: $name,
                        status: $status,
                        title: $title,
                        explanation: $explanation,
                    },)+
                }
            }
        }
    };
}

problem_types! {
    MalformedJson = 400 "malformed-json",
        "The body is not valid JSON",
        "The detail names the line and column of the error. Nothing was changed.";
    InvalidParameter = 400 "invalid-parameter",
        "A parameter or header is invalid",
        "Each entry of errors names a query parameter, path parameter or header and says what is allowed. Nothing was changed.";
    Unauthenticated = 401 "unauthenticated",
        "Authentication required",
        "Send Authorization: Bearer with an API key of this service or a token of its OIDC issuer. The detail says why the credentials were rejected.";
    Forbidden = 403 "forbidden",
        "The caller does not have permission",
        "The detail names the missing scope, or errors names the fields whose table or bucket the API key does not allow. Nothing was changed.";
    RateLimited = 429 "rate-limited",
        "Too many requests",
        "The RateLimit-Policy header gives the limit, RateLimit the number of requests left. Nothing was changed; try again after Retry-After seconds.";
    ValidationFailed = 422 "validation-failed",
        "The request body is invalid",
        "Each entry of errors points to a field of the body (a JSON pointer) and says what is allowed. All invalid fields are reported at once. Nothing was changed.";
    /// A check of `?preflight=true` failed.
    PreflightFailed = 422 "preflight-failed",
        "The export would be rejected or would fail",
        "The request had ?preflight=true, and a check with AWS failed. Each entry of errors is a failed check: the field, what was found, and what to do. Nothing was stored.";
    IdempotencyKeyReused = 422 "idempotency-key-reused",
        "The idempotency key was used for another request",
        "The key was used before with a different body. Send the original body again to get its export, or choose a new key for a new export.";
    NotFound = 404 "not-found",
        "Not found",
        "Nothing exists at this URL: the path or the id is wrong, or the record was deleted.";
    MethodNotAllowed = 405 "method-not-allowed",
        "The method is not allowed",
        "The Allow header lists the methods that this path accepts.";
    NotCancellable = 409 "not-cancellable",
        "The export cannot be cancelled",
        "An export can be cancelled only while it is PENDING and no start request is being sent to AWS. AWS cannot stop an export that it has accepted.";
    NotRetryable = 409 "not-retryable",
        "The export cannot be retried",
        "Only an export that FAILED, was CANCELLED, or TIMED_OUT before AWS accepted it can be retried. For any other, create a new export.";
    NotEnded = 409 "not-ended",
        "The export has not ended",
        "Deleting the record now would stop following an export that AWS may still be working on. Wait until it ends, cancel it while it is PENDING, or delete it with ?force=true.";
    EndpointDisabled = 409 "endpoint-disabled",
        "The webhook endpoint is disabled",
        "Nothing is sent to a disabled endpoint. Enable it with PATCH and {\"disabled\": false}, then repeat the request.";
    NotCompleted = 409 "not-completed",
        "The export is not COMPLETED",
        "Only a COMPLETED export has files. Wait until it ends; an export that ends with any other status has none.";
    PayloadTooLarge = 413 "payload-too-large",
        "The body is too large",
        "A body may have at most 256 KiB.";
    /// The body arrived too slowly.
    RequestTimeout = 408 "request-timeout",
        "The body took too long to arrive",
        "The whole body must arrive within 30 seconds. The connection is closed. Nothing was changed.";
    UnsupportedMediaType = 415 "unsupported-media-type",
        "The body must be JSON",
        "Send the body with Content-Type: application/json.";
    RefusedByAws = 422 "refused-by-aws",
        "AWS rejected the request",
        "The detail contains AWS's error code and message. Nothing was changed.";
    OutputUnreadable = 422 "output-unreadable",
        "A file of the export cannot be read",
        "An object in S3 is missing, or is not a valid export file. POST /v1/exports/{id}/verify reports everything that is wrong.";
    AwsUnavailable = 503 "aws-unavailable",
        "AWS is not available",
        "AWS throttled or denied a call that this request needs, or did not answer it. Nothing was changed; try again after Retry-After seconds.";
    /// The database does not answer, the service is stopping, or it is overloaded.
    Unavailable = 503 "unavailable",
        "The service is temporarily unavailable",
        "The database does not answer, the process is stopping, or it is overloaded. Repeat the request after Retry-After seconds; with an Idempotency-Key a create is safe to repeat.";
    Internal = 500 "internal",
        "Internal error",
        "The error was logged with the request id of the X-Request-Id header. With an Idempotency-Key a create is safe to repeat.";
}

impl ProblemType {
    /// Its URI: a path of this service.
    #[must_use]
    pub fn uri(self) -> String {
        format!("/problems/{}", self.describe().name)
    }
}

impl PartialSchema for ProblemType {
    fn schema() -> RefOr<Schema> {
        let schema = ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(Self::ALL.iter().map(|kind| kind.uri())));
        schema
            .description(Some(
                "The type of a problem: a path that can be looked up. Later versions may add types.",
            ))
            .into()
    }
}

impl ToSchema for ProblemType {
    fn name() -> Cow<'static, str> {
        "ProblemType".into()
    }
}

/// An invalid field, parameter or header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// A JSON pointer into the body, or `#query/<name>`, `#path/<name>`, `#header/<name>`.
    #[schema(example = "/s3_bucket")]
    pub pointer: String,
    /// What is wrong and what is allowed.
    #[schema(example = "is required")]
    pub detail: String,
}

impl FieldError {
    pub fn new(pointer: impl Into<String>, invalid: &Invalid) -> Self {
        Self {
            pointer: pointer.into(),
            detail: invalid.to_string(),
        }
    }

    /// Both in one line.
    #[must_use]
    pub fn in_words(&self) -> String {
        format!("{} {}", self.pointer, self.detail)
            .trim_start()
            .to_owned()
    }
}

/// An error document (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDocument {
    /// A stable URI that identifies the type. GET it for an explanation.
    #[schema(value_type = ProblemType)]
    pub r#type: String,
    /// The type in words.
    #[schema(example = "The request body is invalid")]
    pub title: &'static str,
    /// The HTTP status.
    #[schema(example = 422)]
    pub status: u16,
    /// What is wrong with this request.
    #[schema(example = "2 errors; each is in errors")]
    pub detail: String,
    /// The path of the request.
    #[schema(example = "/v1/exports")]
    pub instance: String,
    /// The invalid fields, parameters or headers; empty if the problem is not about any.
    pub errors: Vec<FieldError>,
}
