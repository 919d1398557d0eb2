//! Reads rows one by one, so that a row that cannot be read does not hide the others.
//!
//! Values were checked when they were stored, so they are trusted. A row that still cannot be read
//! was changed by hand or written by a newer version. It is left out, logged, and counted.

use std::time::Instant;

use uuid::Uuid;

use super::StoreError;
use tableferry_domain::error_chain::in_words;
use tableferry_telemetry::log_limit::LogLimit;
use tableferry_telemetry::metrics_catalog::UNREADABLE_ROWS;

/// A row of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed<T> {
    /// The position in the list: pages continue after an id.
    pub id: Uuid,
    /// `None` if the row cannot be read.
    pub value: Option<T>,
}

/// Reads each row, in the same order.
pub(super) fn listed<R, T: TryFrom<R, Error = StoreError>>(
    rows: Vec<R>,
    id: impl Fn(&R) -> Uuid,
) -> Vec<Listed<T>> {
    rows.into_iter()
        .map(|row| Listed {
            id: id(&row),
            value: readable(row),
        })
        .collect()
}

/// Reads a row; `None` if it cannot be read.
pub(super) fn readable<R, T: TryFrom<R, Error = StoreError>>(row: R) -> Option<T> {
    static LINES: LogLimit = LogLimit::new();
    match T::try_from(row) {
        Ok(value) => Some(value),
        Err(error) => {
            let table = if let StoreError::InconsistentRow { table, .. } = &error {
                table
            } else {
                "unknown"
            };
            metrics::counter!(UNREADABLE_ROWS, "table" => table).increment(1);
            if let Some(suppressed) = LINES.allow(Instant::now()) {
                tracing::error!(
                    error.message = in_words(&error),
                    log.suppressed = suppressed,
                    "a row cannot be read and is left out"
                );
            }
            None
        }
    }
}
