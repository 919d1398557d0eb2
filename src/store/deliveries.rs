//! Webhook deliveries: written with the change they announce, claimed when due, an attempt a row.

use std::time::Duration;

use serde_json::json;
use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{Store, StoreError};
use crate::domain::ids::{DeliveryId, ExportId};
use crate::domain::step::Change;
use crate::domain::timestamp::Timestamp;
use crate::domain::view::ExportView;

/// A delivery to be stored, due at once.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    /// Its id, which receivers see.
    pub id: DeliveryId,
    /// The export it tells of.
    pub export_id: ExportId,
    /// The event's type.
    pub event_type: &'static str,
    /// The receiver.
    pub url: String,
    /// The secret that came with the request, if one did.
    pub signing_secret: Option<String>,
    /// The exact bytes to send.
    pub body: String,
    /// When the event happened.
    pub created_at: Timestamp,
}

impl NewDelivery {
    /// The delivery that announces a change, if the export has a callback and the change is an end state.
    #[must_use]
    pub fn announcing(change: &Change, id: DeliveryId) -> Option<Self> {
        let export = &change.export;
        let callback = export.request.callback.as_ref().filter(|_| change.event.is_announced())?;
        let body = json!({
            "type": change.event.as_str(),
            "timestamp": export.updated_at,
            "data": { "export": ExportView::from(export) },
        });
        Some(Self {
            id,
            export_id: export.id,
            event_type: change.event.as_str(),
            url: callback.url.as_str().to_owned(),
            signing_secret: callback.secret.as_ref().map(|s| s.expose().to_owned()),
            body: body.to_string(),
            created_at: export.updated_at,
        })
    }
}

/// A claimed delivery.
#[derive(Debug, Clone)]
pub struct DueDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// The receiver.
    pub url: String,
    /// The secret that came with the request, if one did.
    pub signing_secret: Option<String>,
    /// The exact bytes to send.
    pub body: String,
    /// Attempts made before this one.
    pub attempts: u32,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// When it began.
    pub at: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// The receiver's answer, if there was one.
    pub status_code: Option<u16>,
    /// What went wrong; `None` when it was delivered.
    pub error: Option<String>,
}

/// How long a claimed delivery stays in its worker's hand: longer than an attempt may take.
const HOLD: Duration = Duration::from_secs(18);

pub(super) async fn insert(tx: &mut PgConnection, delivery: NewDelivery) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO webhook_deliveries (id, export_id, event_type, url, signing_secret, body, status, due_at, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, 'PENDING', now(), $7)",
        delivery.id.0,
        delivery.export_id.0,
        delivery.event_type,
        delivery.url,
        delivery.signing_secret.as_deref(),
        delivery.body,
        OffsetDateTime::from(delivery.created_at),
    )
    .execute(tx)
    .await?;
    Ok(())
}

impl Store {
    /// Claims at most `limit` deliveries that are due within `ahead` from now (zero for a worker; tests step over waiting times).
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn claim_deliveries(&self, limit: i64, ahead: Duration) -> Result<Vec<DueDelivery>, StoreError> {
        let rows = sqlx::query!(
            "WITH due AS (
                SELECT id FROM webhook_deliveries
                WHERE status = 'PENDING' AND due_at <= now() + $2 * interval '1 second'
                ORDER BY due_at
                LIMIT $1
                FOR UPDATE SKIP LOCKED
            )
            UPDATE webhook_deliveries d SET due_at = now() + $3 * interval '1 second'
            FROM due WHERE d.id = due.id
            RETURNING d.id, d.url, d.signing_secret, d.body, d.attempts",
            limit,
            ahead.as_secs_f64(),
            HOLD.as_secs_f64(),
        )
        .fetch_all(&self.pool)
        .await?;
        let due = rows.into_iter().map(|row| DueDelivery {
            id: DeliveryId(row.id),
            url: row.url,
            signing_secret: row.signing_secret,
            body: row.body,
            attempts: row.attempts.unsigned_abs(),
        });
        Ok(due.collect())
    }

    /// Writes an attempt and when to try next; `None` ends the delivery.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when another worker made an attempt in the meantime, or the database does not answer; then nothing is written.
    pub async fn record_attempt(&self, delivery: &DueDelivery, attempt: &Attempt, retry_in: Option<Duration>) -> Result<(), StoreError> {
        let status = match (&attempt.error, retry_in) {
            (None, _) => "DELIVERED",
            (Some(_), Some(_)) => "PENDING",
            (Some(_), None) => "EXHAUSTED",
        };
        let made = i32::try_from(delivery.attempts).unwrap_or(i32::MAX);
        let mut tx = self.pool.begin().await?;
        let updated = sqlx::query!(
            "UPDATE webhook_deliveries SET attempts = attempts + 1, status = $3,
                due_at = CASE WHEN $3 = 'PENDING' THEN now() + $4 * interval '1 second' END
            WHERE id = $1 AND attempts = $2 AND status = 'PENDING'",
            delivery.id.0,
            made,
            status,
            retry_in.unwrap_or_default().as_secs_f64(),
        )
        .execute(&mut *tx)
        .await?;
        if updated.rows_affected() != 1 {
            return Err(StoreError::Stale);
        }
        sqlx::query!(
            "INSERT INTO webhook_attempts (delivery_id, attempt, at, duration_ms, status_code, error) VALUES ($1, $2, $3, $4, $5, $6)",
            delivery.id.0,
            made + 1,
            OffsetDateTime::from(attempt.at),
            i64::try_from(attempt.duration.as_millis()).unwrap_or(i64::MAX),
            attempt.status_code.map(i32::from),
            attempt.error,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }
}
