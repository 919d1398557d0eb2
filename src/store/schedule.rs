//! Claims exports that are due. Claiming reschedules: a worker that dies has delayed a look, not lost an export.
//!
//! Leases here are the database's time. While a START row is claimed its `start_sent_at` is set, so that nobody cancels an
//! export whose start is on its way; the writer of the result clears it when AWS certainly did not accept.

use std::time::Duration;

use time::OffsetDateTime;

use super::rows::select_exports;
use super::{Store, StoreError};
use crate::domain::export::Export;
use crate::domain::step::Claimed;

/// How long a claimed start stays in its worker's hand before another may take it: longer than an AWS call may take.
pub const START_HOLD: Duration = Duration::from_secs(15);

impl Store {
    /// Claims at most `limit` exports that are due within `ahead` from now (zero for a worker; tests step over waiting times).
    ///
    /// # Errors
    /// The database does not answer, or a row is inconsistent.
    pub async fn claim_exports(&self, limit: i64, ahead: Duration) -> Result<Vec<Claimed>, StoreError> {
        let claimed = sqlx::query!(
            r#"WITH due AS (
                SELECT export_id, start_sent_at FROM export_schedule
                WHERE due_at <= now() + $2 * interval '1 second'
                ORDER BY due_at
                LIMIT $1
                FOR UPDATE SKIP LOCKED
            )
            UPDATE export_schedule s SET
                due_at = now() + (CASE s.phase WHEN 'START' THEN $3 ELSE s.delay_ms::float8 / 1000 END) * interval '1 second',
                start_sent_at = CASE s.phase WHEN 'START' THEN coalesce(s.start_sent_at, now()) END
            FROM due WHERE s.export_id = due.export_id
            RETURNING s.export_id, s.failures, s.delay_ms, due.start_sent_at AS "doubt_since: OffsetDateTime""#,
            limit,
            ahead.as_secs_f64(),
            START_HOLD.as_secs_f64(),
        )
        .fetch_all(&self.pool)
        .await?;
        if claimed.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<_> = claimed.iter().map(|row| row.export_id).collect();
        let rows = select_exports!("WHERE e.id = ANY($1)", &ids).fetch_all(&self.pool).await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            let id = row.id;
            let Some(schedule) = claimed.iter().find(|c| c.export_id == id) else { continue };
            match Export::try_from(row) {
                Ok(export) => found.push(Claimed {
                    export,
                    failures: schedule.failures.unsigned_abs(),
                    in_doubt: schedule.doubt_since.is_some(),
                    planned_delay: Duration::from_millis(schedule.delay_ms.unsigned_abs()),
                }),
                // One bad row must not keep its neighbours waiting.
                Err(error) => {
                    tracing::error!(export.id = %id, error = &error as &dyn std::error::Error, "an export cannot be read and is skipped")
                }
            }
        }
        Ok(found)
    }
}
