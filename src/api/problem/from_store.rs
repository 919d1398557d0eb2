//! The problem that is the response when the store fails.

use std::time::Instant;

use super::{Problem, ProblemType};
use crate::domain::error_chain::in_words;
use crate::store::StoreError;
use crate::telemetry::log_limit::LogLimit;

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
        match error {
            StoreError::QueueFull => Self::new(
                ProblemType::Unavailable,
                "too many requests are waiting to be stored; nothing was stored; try again",
            ),
            StoreError::Conflict => Self::new(
                ProblemType::Unavailable,
                "another request changed the same export at the same time; try again",
            ),
            _ => {
                tracing::error!(error.message = in_words(&error), "a request failed");
                Self::internal()
            }
        }
    }
}
