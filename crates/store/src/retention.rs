//! Deletes old rows, a limited number per statement.
//!
//! An export that is still polled (also one that is TIMED_OUT while AWS works on it) has a row in
//! the schedule and is never deleted; nor is one with a webhook delivery that is still PENDING.

use time::OffsetDateTime;

use super::{Store, StoreError};
use tableferry_domain::timestamp::Timestamp;

impl Store {
    /// Deletes at max `max` exports that ended before this time, with their events, and returns
    /// their number.
    pub async fn remove_exports_ended_before(
        &self,
        before: Timestamp,
        max: i64,
    ) -> Result<u64, StoreError> {
        let done = sqlx::query_scalar!(
            r#"WITH deleted AS (
                DELETE FROM exports WHERE id IN (
                    SELECT e.id FROM exports e
                    WHERE e.export_status NOT IN ('PENDING', 'IN_PROGRESS') AND e.updated_at < $1
                        AND NOT EXISTS (SELECT FROM export_schedule s WHERE s.export_id = e.id)
                        AND NOT EXISTS (SELECT FROM webhook_deliveries d WHERE d.export_id = e.id AND d.status = 'PENDING')
                    LIMIT $2 FOR UPDATE SKIP LOCKED)
                RETURNING id, labels
            ), deleted_events AS (
                DELETE FROM export_events USING deleted WHERE export_id = deleted.id
            ), deleted_labels AS (
                DELETE FROM export_labels l USING deleted, jsonb_each_text(deleted.labels) AS each
                WHERE l.label = each.key || ':' || each.value AND l.export_id = deleted.id
            )
            SELECT count(*) AS "deleted!" FROM deleted"#,
            OffsetDateTime::from(before),
            max,
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(done.unsigned_abs())
    }

    /// Deletes at max `max` events of exports that ended before this time, and returns their
    /// number.
    pub async fn remove_events_ended_before(
        &self,
        before: Timestamp,
        max: i64,
    ) -> Result<u64, StoreError> {
        let done = sqlx::query!(
            "DELETE FROM export_events WHERE (export_id, sequence) IN (
                SELECT v.export_id, v.sequence FROM exports e JOIN export_events v ON v.export_id = e.id
                WHERE e.export_status NOT IN ('PENDING', 'IN_PROGRESS') AND e.updated_at < $1
                    AND NOT EXISTS (SELECT FROM export_schedule s WHERE s.export_id = e.id)
                LIMIT $2 FOR UPDATE OF v SKIP LOCKED)",
            OffsetDateTime::from(before),
            max,
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }

    /// Deletes at max `max` webhook deliveries that were made before this time and have ended,
    /// with their attempts, and returns their number.
    pub async fn remove_deliveries_before(
        &self,
        before: Timestamp,
        max: i64,
    ) -> Result<u64, StoreError> {
        let done = sqlx::query!(
            "DELETE FROM webhook_deliveries WHERE id IN (
                SELECT id FROM webhook_deliveries WHERE status <> 'PENDING' AND created_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
            OffsetDateTime::from(before),
            max,
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }
}
