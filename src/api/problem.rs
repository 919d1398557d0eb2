//! Problem documents (RFC 9457): every error of this API, decided in this file.
//!
//! A handler returns a [`Problem`]; the layer [`finish`] writes its document, and turns the bare
//! 404, 405, 413 and 415 of the framework into problems too. Internals stay in the log.

use std::future::Future;
use std::time::Instant;

use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use serde::Serialize;
use utoipa::ToSchema;

use super::guard::{RATE_LIMIT, RATE_LIMIT_POLICY};
use crate::domain::invalid::Invalid;
use crate::store::StoreError;
use crate::telemetry::error_chain::in_words;
use crate::telemetry::log_limit::LogLimit;

/// The media type of problem documents.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// What can be wrong, each with a stable URI below `/problems/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemType {
    /// The body is no JSON.
    MalformedJson,
    /// A part of the URL's query, or a header, breaks a rule.
    InvalidParameter,
    /// The caller does not say who they are, or in vain.
    Unauthenticated,
    /// The caller may not do this.
    Forbidden,
    /// The caller asks too often.
    RateLimited,
    /// Fields of the body break rules.
    ValidationFailed,
    /// A check of AWS failed that was asked for.
    PreflightFailed,
    /// The idempotency key came with another request before.
    IdempotencyKeyReused,
    /// There is no such thing.
    NotFound,
    /// The URL knows other methods.
    MethodNotAllowed,
    /// The export cannot be cancelled any more.
    NotCancellable,
    /// The export cannot be retried.
    NotRetryable,
    /// The export has not ended.
    NotEnded,
    /// The webhook endpoint is disabled.
    EndpointDisabled,
    /// The export is not COMPLETED.
    NotCompleted,
    /// The body is too large.
    PayloadTooLarge,
    /// The body came too slowly.
    RequestTimeout,
    /// The body is not declared as JSON.
    UnsupportedMediaType,
    /// AWS refuses what was asked of it.
    RefusedByAws,
    /// What lies in S3 is not what an export writes.
    OutputUnreadable,
    /// AWS does not answer.
    AwsUnavailable,
    /// The database does not answer, the service is stopping, or it has too much in hand.
    Unavailable,
    /// A mistake of ours.
    Internal,
}

impl ProblemType {
    /// Every type.
    pub const ALL: [Self; 23] = [
        Self::MalformedJson,
        Self::InvalidParameter,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::RateLimited,
        Self::ValidationFailed,
        Self::PreflightFailed,
        Self::IdempotencyKeyReused,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::NotCancellable,
        Self::NotRetryable,
        Self::NotEnded,
        Self::EndpointDisabled,
        Self::NotCompleted,
        Self::PayloadTooLarge,
        Self::RequestTimeout,
        Self::UnsupportedMediaType,
        Self::RefusedByAws,
        Self::OutputUnreadable,
        Self::AwsUnavailable,
        Self::Unavailable,
        Self::Internal,
    ];

    /// The last part of its URI, its status, its title, and what it means to a caller.
    #[must_use]
    pub fn describe(self) -> (&'static str, StatusCode, &'static str, &'static str) {
        match self {
            Self::MalformedJson => (
                "malformed-json",
                StatusCode::BAD_REQUEST,
                "The body is not JSON",
                "The detail names the line and column where reading stopped. Nothing was changed.",
            ),
            Self::InvalidParameter => (
                "invalid-parameter",
                StatusCode::BAD_REQUEST,
                "A parameter or header is invalid",
                "Each entry of errors names a query parameter, path parameter or header and says what would be right. Nothing was changed.",
            ),
            Self::Unauthenticated => (
                "unauthenticated",
                StatusCode::UNAUTHORIZED,
                "Who calls is not known",
                "Send Authorization: Bearer and an API key of this service, or a token of its issuer. The detail says what is wrong with what was sent.",
            ),
            Self::Forbidden => (
                "forbidden",
                StatusCode::FORBIDDEN,
                "The caller may not do this",
                "The detail names the scope that is missing, or errors name the fields with a table or bucket that the API key does not hold for. Nothing was changed.",
            ),
            Self::RateLimited => (
                "rate-limited",
                StatusCode::TOO_MANY_REQUESTS,
                "Too many requests",
                "The RateLimit-Policy header says how many requests there may be in which time, RateLimit how many are left. Nothing was changed; try again after Retry-After seconds.",
            ),
            Self::ValidationFailed => (
                "validation-failed",
                StatusCode::UNPROCESSABLE_ENTITY,
                "The request breaks one or more rules",
                "Each entry of errors points to a field of the body (a JSON pointer) and says what would be right. All fields are reported at once; nothing was changed.",
            ),
            Self::PreflightFailed => (
                "preflight-failed",
                StatusCode::UNPROCESSABLE_ENTITY,
                "The export would be refused or fail",
                "The request came with ?preflight=true, and AWS was asked first. Each entry of errors is a check that failed, with the field it is about, what was found and what to do. Nothing was stored.",
            ),
            Self::IdempotencyKeyReused => (
                "idempotency-key-reused",
                StatusCode::UNPROCESSABLE_ENTITY,
                "The idempotency key belongs to another request",
                "The key was used before with another body. Send the first body again to get its export, or choose a new key for a new export.",
            ),
            Self::NotFound => (
                "not-found",
                StatusCode::NOT_FOUND,
                "Not found",
                "There is nothing at this URL, or the export was never known or has been deleted.",
            ),
            Self::MethodNotAllowed => (
                "method-not-allowed",
                StatusCode::METHOD_NOT_ALLOWED,
                "The method is not allowed here",
                "The Allow header names the methods that are.",
            ),
            Self::NotCancellable => (
                "not-cancellable",
                StatusCode::CONFLICT,
                "The export cannot be cancelled",
                "Only a PENDING export of which no start is on its way to AWS can be cancelled: AWS has no call that stops an export.",
            ),
            Self::NotRetryable => (
                "not-retryable",
                StatusCode::CONFLICT,
                "The export cannot be retried",
                "Only an export that FAILED, was CANCELLED, or TIMED_OUT before AWS accepted it can be asked for again. Any other request is a new export.",
            ),
            Self::NotEnded => (
                "not-ended",
                StatusCode::CONFLICT,
                "The export has not ended",
                "Its record would be forgotten while AWS still works on it. Wait for its end, cancel it while it is PENDING, or delete it with ?force=true.",
            ),
            Self::EndpointDisabled => (
                "endpoint-disabled",
                StatusCode::CONFLICT,
                "The webhook endpoint is disabled",
                "Nothing is sent to it. Enable it with PATCH and {\"disabled\": false}, then ask again.",
            ),
            Self::NotCompleted => (
                "not-completed",
                StatusCode::CONFLICT,
                "The export is not COMPLETED",
                "Only a COMPLETED export has files. Wait for its end; one that ended otherwise never gets any.",
            ),
            Self::PayloadTooLarge => (
                "payload-too-large",
                StatusCode::PAYLOAD_TOO_LARGE,
                "The body is too large",
                "A body may have at most 256 KiB.",
            ),
            Self::RequestTimeout => (
                "request-timeout",
                StatusCode::REQUEST_TIMEOUT,
                "The body came too slowly",
                "A body has 30 seconds to arrive. The connection is closed. Nothing was changed.",
            ),
            Self::UnsupportedMediaType => (
                "unsupported-media-type",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The body must be JSON",
                "Send the body with Content-Type: application/json.",
            ),
            Self::RefusedByAws => (
                "refused-by-aws",
                StatusCode::UNPROCESSABLE_ENTITY,
                "AWS refuses the request",
                "The detail holds AWS's code and words. Nothing was changed.",
            ),
            Self::OutputUnreadable => (
                "output-unreadable",
                StatusCode::UNPROCESSABLE_ENTITY,
                "A file of the export cannot be read",
                "An object in S3 is missing, or is not what an export writes. POST /v1/exports/{id}/verify tells all that is wrong.",
            ),
            Self::AwsUnavailable => (
                "aws-unavailable",
                StatusCode::SERVICE_UNAVAILABLE,
                "AWS does not answer",
                "AWS throttles, denies or does not answer the call that this request needs. Nothing was changed; try again after Retry-After seconds.",
            ),
            Self::Unavailable => (
                "unavailable",
                StatusCode::SERVICE_UNAVAILABLE,
                "The service is not available at the moment",
                "The database does not answer, the process is stopping, or it has more in hand than it takes. The same request can succeed after Retry-After seconds; with an Idempotency-Key it is safe to repeat.",
            ),
            Self::Internal => (
                "internal",
                StatusCode::INTERNAL_SERVER_ERROR,
                "An error inside the service",
                "It was logged under the request id of the X-Request-Id header. With an Idempotency-Key the request is safe to repeat.",
            ),
        }
    }

    /// Its URI: a path of this service.
    #[must_use]
    pub fn uri(self) -> String {
        format!("/problems/{}", self.describe().0)
    }

    fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::UNAUTHORIZED => Self::Unauthenticated,
            StatusCode::FORBIDDEN => Self::Forbidden,
            StatusCode::TOO_MANY_REQUESTS => Self::RateLimited,
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::PAYLOAD_TOO_LARGE => Self::PayloadTooLarge,
            StatusCode::REQUEST_TIMEOUT => Self::RequestTimeout,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::UnsupportedMediaType,
            StatusCode::SERVICE_UNAVAILABLE => Self::Unavailable,
            status if status.is_client_error() => Self::InvalidParameter,
            _ => Self::Internal,
        }
    }
}

/// An error on its way to the caller.
#[derive(Debug, Clone)]
pub struct Problem {
    kind: ProblemType,
    detail: String,
    errors: Vec<FieldError>,
    retry_after_s: Option<u64>,
    /// Whether a change was stored is not known.
    outcome_is_unknown: bool,
}

/// One field, parameter or header that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// A JSON pointer into the body, or `#query/<name>`, `#path/<name>`, `#header/<name>`.
    #[schema(example = "/s3_bucket")]
    pub pointer: String,
    /// What is wrong and what would be right.
    #[schema(example = "is required")]
    pub detail: String,
}

impl FieldError {
    /// An error at this place.
    pub fn new(pointer: impl Into<String>, invalid: &Invalid) -> Self {
        Self {
            pointer: pointer.into(),
            detail: invalid.to_string(),
        }
    }
}

/// The document of an error (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDocument {
    /// A stable URI; GET it for an explanation.
    #[schema(value_type = ProblemType)]
    pub r#type: String,
    /// The type in words.
    #[schema(example = "The request breaks one or more rules")]
    pub title: &'static str,
    /// The HTTP status.
    #[schema(example = 422)]
    pub status: u16,
    /// This occurrence in words.
    #[schema(example = "2 errors; each is in errors")]
    pub detail: String,
    /// The path that was asked for.
    #[schema(example = "/v1/exports")]
    pub instance: String,
    /// Fields that break rules; empty when it is not about fields.
    pub errors: Vec<FieldError>,
}

impl Problem {
    /// A problem of this type.
    pub fn new(kind: ProblemType, detail: impl Into<String>) -> Self {
        let retry_after_s = (kind.describe().1 == StatusCode::SERVICE_UNAVAILABLE).then_some(2);
        Self {
            kind,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after_s,
            outcome_is_unknown: false,
        }
    }

    /// The service is unavailable, and whether the request changed anything is not known.
    #[must_use]
    pub fn with_unknown_outcome(detail: impl Into<String>) -> Self {
        Self {
            outcome_is_unknown: true,
            ..Self::new(ProblemType::Unavailable, detail)
        }
    }

    /// A problem with fields, parameters or headers. One at least.
    #[must_use]
    pub fn with_errors(kind: ProblemType, errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [one] => format!("{} {}", one.pointer, one.detail)
                .trim_start()
                .to_owned(),
            many => format!("{} errors; each is in errors", many.len()),
        };
        Self {
            errors,
            ..Self::new(kind, detail)
        }
    }

    /// One header that breaks a rule.
    pub fn header(name: &str, detail: impl Into<String>) -> Self {
        let error = FieldError {
            pointer: format!("#header/{name}"),
            detail: detail.into(),
        };
        Self::with_errors(ProblemType::InvalidParameter, vec![error])
    }

    /// When the same request makes sense again, in whole seconds, one at least.
    #[must_use]
    pub fn retry_after(self, wait: std::time::Duration) -> Self {
        Self {
            retry_after_s: Some(
                wait.as_millis()
                    .div_ceil(1000)
                    .clamp(1, 3600)
                    .try_into()
                    .unwrap_or(1),
            ),
            ..self
        }
    }

    /// All that is wrong in one line.
    #[must_use]
    pub fn in_words(&self) -> String {
        let all: Vec<_> = self
            .errors
            .iter()
            .map(|e| {
                format!("{} {}", e.pointer, e.detail)
                    .trim_start()
                    .to_owned()
            })
            .collect();
        if all.is_empty() {
            self.detail.clone()
        } else {
            all.join("; ")
        }
    }

    /// No export of this id.
    #[must_use]
    pub fn no_such_export() -> Self {
        Self::no_such("export")
    }

    /// Nothing of this kind has this id.
    #[must_use]
    pub fn no_such(what: &str) -> Self {
        Self::new(
            ProblemType::NotFound,
            format!("there is no {what} of this id; it was never known here or has been deleted"),
        )
    }

    fn document(&self, instance: &str, method: &Method) -> Response {
        let what_now = match (self.outcome_is_unknown, method.is_safe()) {
            (false, _) => "",
            (true, true) => "; try again",
            (true, false) => {
                "; whether a change was stored is not known, and with an Idempotency-Key it is safe to repeat"
            }
        };
        let (_, status, title, _) = self.kind.describe();
        let document = ProblemDocument {
            r#type: self.kind.uri(),
            title,
            status: status.as_u16(),
            detail: format!("{}{what_now}", self.detail),
            instance: instance.to_owned(),
            errors: self.errors.clone(),
        };
        let mut response = (status, axum::Json(document)).into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if self.kind == ProblemType::RequestTimeout {
            // What still comes of the request would be taken for the next one.
            response
                .headers_mut()
                .insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(seconds) = self.retry_after_s {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// Lines about requests that failed because the database is unavailable.
static NO_DATABASE: LogLimit = LogLimit::new();

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if error.is_unavailable() {
            if let Some(suppressed) = NO_DATABASE.allow(Instant::now()) {
                tracing::warn!(
                    error.message = in_words(&error),
                    log.suppressed = suppressed,
                    "a request failed because the database is unavailable"
                );
            }
            return Self::with_unknown_outcome(error.unavailable_because());
        }
        if matches!(error, StoreError::Crowded) {
            return Self::new(
                ProblemType::Unavailable,
                "more requests wait to be stored than this process takes; nothing was stored; try again",
            );
        }
        if matches!(error, StoreError::Stale) {
            return Self::new(
                ProblemType::Unavailable,
                "another request changed the same export at this moment; try again",
            );
        }
        tracing::error!(error.message = in_words(&error), "a request failed");
        Self::new(ProblemType::Internal, "the error was logged")
    }
}

impl IntoResponse for Problem {
    /// Leaves the document to [`finish`], which knows the path.
    fn into_response(self) -> Response {
        let mut response = self.kind.describe().1.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes the documents of problems, ours and the framework's.
pub fn finish(request: Request, next: Next) -> impl Future<Output = Response> {
    let path = request.uri().path().to_owned();
    let method = request.method().clone();
    next.run(request)
        .map(move |response| finished(response, &path, &method))
}

fn finished(response: Response, path: &str, method: &Method) -> Response {
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let problem = match response.extensions().get::<Problem>() {
        Some(problem) => problem.clone(),
        None if status == StatusCode::METHOD_NOT_ALLOWED => Problem::new(
            ProblemType::MethodNotAllowed,
            format!("{method} is not allowed here; the Allow header names what is"),
        ),
        None if status == StatusCode::NOT_FOUND => Problem::new(
            ProblemType::NotFound,
            "there is nothing at this URL; GET /openapi.json lists what is",
        ),
        None => Problem::new(
            ProblemType::of_status(status),
            "the request could not be served",
        ),
    };
    let mut document = problem.document(path, method);
    for name in [
        header::ALLOW,
        header::WWW_AUTHENTICATE,
        RATE_LIMIT,
        RATE_LIMIT_POLICY,
    ] {
        if let Some(value) = response.headers().get(&name) {
            document.headers_mut().insert(name, value.clone());
        }
    }
    document
}
