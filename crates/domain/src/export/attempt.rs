//! Attempts at one request: how many are allowed, and an export's place in their sequence.

use serde::Serialize;

use crate::ids::ExportId;
use crate::invalid::Invalid;

/// Automatic retries of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = ExportRetry))]
pub struct RetryPolicy {
    /// Maximum number of exports for one request, the first included: 1 to 10.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 10, example = 1))]
    max_attempts: u32,
}

impl RetryPolicy {
    /// Fails unless it is a whole number from 1 to 10.
    pub fn parse(max_attempts: i64) -> Result<Self, Invalid> {
        match u32::try_from(max_attempts) {
            Ok(max_attempts @ 1..=10) => Ok(Self { max_attempts }),
            _ => Err(Invalid::new(
                "must be a whole number from 1 (no retries) to 10",
            )),
        }
    }

    /// A value from the database; not validated again.
    #[must_use]
    pub fn from_db(max_attempts: u32) -> Self {
        Self { max_attempts }
    }

    #[must_use]
    pub fn max_attempts(self) -> u32 {
        self.max_attempts
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { max_attempts: 1 }
    }
}

/// The place of an export in a sequence of attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// Counted from 1.
    pub number: u32,
    /// The export that this one repeats.
    pub retry_of: Option<ExportId>,
    /// The export that repeats this one.
    pub retried_by: Option<ExportId>,
}

impl Default for Attempt {
    /// The first.
    fn default() -> Self {
        Self {
            number: 1,
            retry_of: None,
            retried_by: None,
        }
    }
}
