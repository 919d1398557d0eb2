//! Removes old rows, at most so many a statement.
//!
//! An export that is still looked at (TIMED_OUT while AWS works on it, too) has a row in the
//! schedule and is never removed, nor is one whose webhook is still to be delivered.

use time::OffsetDateTime;

use super::{Store, StoreError};
use tableferry_domain::timestamp::Timestamp;

impl Store {
    /// Removes exports that ended before this time, with their events. How many.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn remove_exports_ended_before(
        &self,
        before: Timestamp,
        most: i64,
    ) -> Result<u64, StoreError> {
        let done = sqlx::query_scalar!(
            r#"WITH gone AS (
                DELETE FROM exports WHERE id IN (
                    SELECT e.id FROM exports e
                    WHERE e.export_status NOT IN ('PENDING', 'IN_PROGRESS') AND e.updated_at < $1
                        AND NOT EXISTS (SELECT FROM export_schedule s WHERE s.export_id = e.id)
                        AND NOT EXISTS (SELECT FROM webhook_deliveries d WHERE d.export_id = e.id AND d.status = 'PENDING')
                    LIMIT $2 FOR UPDATE SKIP LOCKED)
                RETURNING id, labels
            ), untold AS (
                DELETE FROM export_events USING gone WHERE export_id = gone.id
            ), unlabelled AS (
                DELETE FROM export_labels l USING gone, jsonb_each_text(gone.labels) AS each
                WHERE l.label = each.key || ':' || each.value AND l.export_id = gone.id
            )
            SELECT count(*) AS "gone!" FROM gone"#,
            OffsetDateTime::from(before),
            most,
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(done.unsigned_abs())
    }

    /// Removes the events of exports that ended before this time. How many.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn remove_events_ended_before(
        &self,
        before: Timestamp,
        most: i64,
    ) -> Result<u64, StoreError> {
        let done = sqlx::query!(
            "DELETE FROM export_events WHERE (export_id, sequence) IN (
                SELECT v.export_id, v.sequence FROM exports e JOIN export_events v ON v.export_id = e.id
                WHERE e.export_status NOT IN ('PENDING', 'IN_PROGRESS') AND e.updated_at < $1
                    AND NOT EXISTS (SELECT FROM export_schedule s WHERE s.export_id = e.id)
                LIMIT $2 FOR UPDATE OF v SKIP LOCKED)",
            OffsetDateTime::from(before),
            most,
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }

    /// Removes webhook deliveries that were made before this time and have ended, with their
    /// attempts. How many.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn remove_deliveries_before(
        &self,
        before: Timestamp,
        most: i64,
    ) -> Result<u64, StoreError> {
        let done = sqlx::query!(
            "DELETE FROM webhook_deliveries WHERE id IN (
                SELECT id FROM webhook_deliveries WHERE status <> 'PENDING' AND created_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
            OffsetDateTime::from(before),
            most,
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }
}
