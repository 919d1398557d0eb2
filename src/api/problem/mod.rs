//! Problems (RFC 9457): every error of this API on its way to the caller.
//!
//! A handler returns a [`Problem`]; the layer [`finish()`] writes its document, and turns the bare
//! 404, 405, 413 and 415 of the framework into problems too. Internals stay in the log. The types
//! and their texts are in `crates/api-types`.

pub(in crate::api) mod docs;
mod finish;
mod from_store;

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

pub use crate::api_types::problem::{FieldError, ProblemType};
pub(super) use finish::finish;

/// An error on its way to the caller.
#[derive(Debug, Clone)]
pub struct Problem {
    kind: ProblemType,
    detail: String,
    errors: Vec<FieldError>,
    retry_after_s: Option<u64>,
    /// The service does not know whether the change was stored.
    outcome_is_unknown: bool,
}

impl Problem {
    pub fn new(kind: ProblemType, detail: impl Into<String>) -> Self {
        let retry_after_s =
            (status(kind) == StatusCode::SERVICE_UNAVAILABLE).then_some(DEFAULT_RETRY_AFTER_S);
        Self {
            kind,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after_s,
            outcome_is_unknown: false,
        }
    }

    /// The service is unavailable, and it does not know whether the request changed anything.
    #[must_use]
    pub fn with_unknown_outcome(detail: impl Into<String>) -> Self {
        Self {
            outcome_is_unknown: true,
            ..Self::new(ProblemType::Unavailable, detail)
        }
    }

    /// A problem with one or more fields, parameters or headers.
    #[must_use]
    pub fn with_errors(kind: ProblemType, errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [one] => one.in_words(),
            many => format!("{} errors; each is in errors", many.len()),
        };
        Self {
            errors,
            ..Self::new(kind, detail)
        }
    }

    /// Fields of the body are invalid.
    #[must_use]
    pub fn invalid_fields(errors: Vec<FieldError>) -> Self {
        Self::with_errors(ProblemType::ValidationFailed, errors)
    }

    /// A header is invalid.
    pub fn header(name: &str, detail: impl Into<String>) -> Self {
        let error = FieldError {
            pointer: format!("#header/{name}"),
            detail: detail.into(),
        };
        Self::with_errors(ProblemType::InvalidParameter, vec![error])
    }

    /// An error inside the service. Its details are in the log, and not in the response.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(ProblemType::Internal, "the error was logged")
    }

    /// Sets `Retry-After`: whole seconds, rounded up, from 1 to 3600.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        let seconds = wait.as_millis().div_ceil(1000).clamp(1, 3600);
        Self {
            retry_after_s: Some(seconds.try_into().unwrap_or(1)),
            ..self
        }
    }

    /// Every error in one line.
    #[must_use]
    pub fn in_words(&self) -> String {
        if self.errors.is_empty() {
            return self.detail.clone();
        }
        let all: Vec<_> = self.errors.iter().map(FieldError::in_words).collect();
        all.join("; ")
    }

    /// No record of this kind has the id of the path.
    #[must_use]
    pub fn no_such(what: &str) -> Self {
        Self::new(
            ProblemType::NotFound,
            format!("no {what} has this id; it never existed or was deleted"),
        )
    }
}

/// `Retry-After` of a 503 for which nothing better is known.
const DEFAULT_RETRY_AFTER_S: u64 = 2;

/// The status of a type of problem.
fn status(kind: ProblemType) -> StatusCode {
    StatusCode::from_u16(kind.describe().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

impl IntoResponse for Problem {
    /// Leaves the document to [`finish()`], which knows the path.
    fn into_response(self) -> Response {
        let mut response = status(self.kind).into_response();
        response.extensions_mut().insert(self);
        response
    }
}
