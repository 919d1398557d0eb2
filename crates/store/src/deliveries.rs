//! Webhook deliveries that are due, and the records of their attempts.
//!
//! An endpoint's deliveries go to its current URL; a callback's deliveries go to the URL that came
//! with the export.

use std::time::Duration;

use time::OffsetDateTime;
use uuid::Uuid;

use super::pool::Connection;
use super::sql_parts::query_with_parts;
use super::{Store, StoreError};
use tableferry_api_types::webhook::{disabled_body, ping_body};
use tableferry_domain::ids::DeliveryId;
use tableferry_domain::lifecycle::backoff::MAX_DELIVERY_ATTEMPTS;
use tableferry_domain::lifecycle::timing::DELIVERY_LEASE;
use tableferry_domain::timestamp::Timestamp;
use tableferry_domain::trace::TraceParent;
use tableferry_domain::webhook::delivery::{Attempt, DeliveryStatus};
use tableferry_domain::webhook::endpoint::{Endpoint, EndpointId};
use tableferry_domain::webhook::error_class::ErrorClass;
use tableferry_domain::webhook::event_type::WebhookEventType;
use tableferry_domain::webhook::secret::Sealed;
use tableferry_domain::webhook::share::DueReceiver;

/// Draws an id for a new delivery.
pub type DeliveryIds<'a> = &'a (dyn Fn() -> DeliveryId + Sync);

/// A claimed delivery.
#[derive(Debug, Clone)]
pub struct DueDelivery {
    /// Receivers see it as `webhook-id`.
    pub id: DeliveryId,
    /// `None` for a callback.
    pub endpoint_id: Option<EndpointId>,
    /// What fails, is slow and is limited together: an endpoint, or the origin of callback URLs.
    pub receiver: String,
    pub url: String,
    /// The secrets that sign it: the endpoint's, newest first, or the one that came with the
    /// export.
    pub secrets: Vec<Sealed>,
    /// The headers that the endpoint asks for, or those that came with the export.
    pub headers: Option<Sealed>,
    /// The exact bytes to send.
    pub body: String,
    /// The trace of the export.
    pub trace_parent: Option<TraceParent>,
    /// Attempts made before this one.
    pub attempts: u32,
    /// Attempts before this one since the schedule of retries began.
    pub schedule_attempts: u32,
    /// Consecutive attempts at this receiver that failed before this one.
    pub receiver_failures: u32,
}

/// The effect of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptEffect {
    /// The delivery's status after it.
    pub status: DeliveryStatus,
    /// The delay before the next attempt, if the status is PENDING.
    pub retry_in: Duration,
    /// How long nothing is sent to this receiver.
    pub slow_for: Option<Duration>,
    /// Whether a request was sent. If not (the service could not sign it), the attempt says nothing
    /// about the receiver.
    pub was_sent: bool,
}

/// The attempts that a ping begins with, so that its first attempt is the last of the schedule.
pub(super) const PING_BEGINS_AT: i32 = MAX_DELIVERY_ATTEMPTS.cast_signed() - 1;

/// Writes deliveries to the other endpoints that announce that this one was disabled.
pub(super) async fn announce_disabled(
    tx: &mut Connection,
    endpoint: &Endpoint,
    now: Timestamp,
    ids: DeliveryIds<'_>,
) -> Result<(), StoreError> {
    let kind = WebhookEventType::EndpointDisabled;
    // The event has no labels, so endpoints that filter by labels do not get it.
    let others = sqlx::query!(
        "SELECT id, url FROM webhook_endpoints
        WHERE disabled_at IS NULL AND (event_types = '{}' OR $1 = ANY (event_types)) AND labels = '{}' AND id <> $2",
        kind.as_str(),
        endpoint.id.0,
    )
    .fetch_all(&mut *tx)
    .await?;
    let others: Vec<_> = others.into_iter().map(|row| (row.id, row.url)).collect();
    insert_for(
        tx,
        &others,
        None,
        kind,
        &disabled_body(endpoint, now),
        now,
        ids,
    )
    .await
    .map(drop)
}

/// Writes one delivery per endpoint, without endpoints that already have one for this event.
/// Returns the number of deliveries written.
pub(super) async fn insert_for(
    tx: &mut Connection,
    endpoints: &[(Uuid, String)],
    event: Option<(Uuid, i32)>,
    kind: WebhookEventType,
    body: &str,
    at: Timestamp,
    ids: DeliveryIds<'_>,
) -> Result<u64, StoreError> {
    if endpoints.is_empty() {
        return Ok(0);
    }
    let new: Vec<_> = endpoints.iter().map(|_| ids().0).collect();
    let (to, urls): (Vec<_>, Vec<_>) = endpoints.iter().cloned().unzip();
    let done = sqlx::query!(
        "INSERT INTO webhook_deliveries (id, endpoint_id, url, export_id, event_sequence, event_type, body, status, due_at, created_at)
        SELECT new.id, new.endpoint_id, new.url, $4, $5, $6, $7, 'PENDING', now(), $8
        FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS new (id, endpoint_id, url)
        ON CONFLICT (endpoint_id, export_id, event_sequence) DO NOTHING",
        &new,
        &to,
        &urls,
        event.map(|(id, _)| id),
        event.map(|(_, sequence)| sequence),
        kind.as_str(),
        body,
        OffsetDateTime::from(at),
    )
    .execute(tx)
    .await?;
    Ok(done.rows_affected())
}

impl Store {
    /// Stores a ping to an endpoint, which is tried once.
    pub async fn add_ping(
        &self,
        endpoint: &Endpoint,
        id: DeliveryId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO webhook_deliveries (id, endpoint_id, url, event_type, body, status, due_at, created_at, schedule_attempts)
            VALUES ($1, $2, $3, 'ping', $4, 'PENDING', now(), $5, $6)",
            id.0,
            endpoint.id.0,
            endpoint.spec.url.as_str(),
            ping_body(endpoint, now),
            OffsetDateTime::from(now),
            PING_BEGINS_AT,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The receivers with a delivery that is due within `ahead` from now and may be sent; the one
    /// that has waited longest first. `ahead` is as in [`Store::due_lanes`].
    pub async fn due_receivers(&self, ahead: Duration) -> Result<Vec<DueReceiver>, StoreError> {
        let rows = query_with_parts!(
            [
                "WITH RECURSIVE receivers AS (
                " {receiver_walk} r#"
            )
            SELECT receivers.receiver AS "receiver!", r.receiver IS NOT NULL AS "failing!"
            FROM receivers
                LEFT JOIN webhook_receivers r ON r.receiver = receivers.receiver
                LEFT JOIN webhook_endpoints w ON w.id::text = receivers.receiver
            WHERE receivers.due_at <= now() + $1 * interval '1 second'
                AND "# {may_receive "now() + $1 * interval '1 second'"} "
            ORDER BY receivers.due_at"
            ],
            ahead.as_secs_f64(),
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| DueReceiver {
                receiver: row.receiver,
                failing: row.failing,
            })
            .collect())
    }

    /// Claims at most this number of deliveries per receiver. `ahead` is as in
    /// [`Store::due_lanes`]. Secrets that have expired at `now` do not sign.
    pub async fn claim_deliveries(
        &self,
        shares: &[(String, usize)],
        ahead: Duration,
        now: Timestamp,
    ) -> Result<Vec<DueDelivery>, StoreError> {
        if shares.is_empty() {
            return Ok(Vec::new());
        }
        let (receivers, maxima): (Vec<_>, Vec<_>) = shares
            .iter()
            .map(|(receiver, max)| (receiver.clone(), i64::try_from(*max).unwrap_or(i64::MAX)))
            .unzip();
        let rows = sqlx::query!(
            r#"WITH due AS MATERIALIZED (
                SELECT picked.id FROM unnest($1::text[], $2::bigint[]) AS share (receiver, maximum), LATERAL (
                    SELECT d.id FROM webhook_deliveries d
                    WHERE d.receiver = share.receiver AND d.status = 'PENDING' AND d.due_at <= now() + $3 * interval '1 second'
                        AND (d.endpoint_id IS NULL
                            OR EXISTS (SELECT FROM webhook_endpoints w WHERE w.id = d.endpoint_id AND w.disabled_at IS NULL))
                    ORDER BY d.due_at
                    LIMIT share.maximum
                    FOR UPDATE SKIP LOCKED
                ) picked
            ), claimed AS (
                UPDATE webhook_deliveries d SET due_at = now() + $4 * interval '1 second'
                FROM due WHERE d.id = due.id
                RETURNING d.id, d.endpoint_id, d.receiver, d.url, d.signing_secret, d.sealed_headers, d.body, d.attempts, d.schedule_attempts, d.export_id
            )
            SELECT c.id AS "id!", c.endpoint_id, c.receiver AS "receiver!", coalesce(w.url, c.url) AS "url!", c.signing_secret,
                coalesce(w.sealed_headers, c.sealed_headers) AS "sealed_headers?", c.body AS "body!", c.attempts AS "attempts!",
                c.schedule_attempts AS "schedule_attempts!", coalesce(r.failures, 0) AS "failures!", e.trace_parent AS "trace_parent?",
                ARRAY (
                    SELECT s.sealed_secret FROM webhook_secrets s
                    WHERE s.endpoint_id = c.endpoint_id AND (s.expires_at IS NULL OR s.expires_at > $5) ORDER BY s.generation DESC
                ) AS "secrets!"
            FROM claimed c
                LEFT JOIN webhook_endpoints w ON w.id = c.endpoint_id
                LEFT JOIN webhook_receivers r ON r.receiver = c.receiver
                LEFT JOIN exports e ON e.id = c.export_id"#,
            &receivers,
            &maxima,
            ahead.as_secs_f64(),
            DELIVERY_LEASE.as_secs_f64(),
            OffsetDateTime::from(now),
        )
        .fetch_all(&self.pool)
        .await?;
        let due = rows.into_iter().map(|row| DueDelivery {
            id: DeliveryId(row.id),
            endpoint_id: row.endpoint_id.map(EndpointId),
            receiver: row.receiver,
            url: row.url,
            secrets: row
                .secrets
                .into_iter()
                .chain(row.signing_secret)
                .map(Sealed::from_text)
                .collect(),
            headers: row.sealed_headers.map(Sealed::from_text),
            body: row.body,
            trace_parent: row.trace_parent.as_deref().and_then(TraceParent::parse),
            attempts: row.attempts.unsigned_abs(),
            schedule_attempts: row.schedule_attempts.unsigned_abs(),
            receiver_failures: row.failures.unsigned_abs(),
        });
        Ok(due.collect())
    }

    /// Writes an attempt, its effect, and the state of its receiver, in one statement. Returns
    /// since when the receiver has been failing, if this attempt failed.
    ///
    /// Fails with [`StoreError::Conflict`] if another worker has made an attempt in the meantime.
    /// On any error nothing is written.
    pub async fn record_attempt(
        &self,
        delivery: &DueDelivery,
        attempt: &Attempt,
        effect: AttemptEffect,
    ) -> Result<Option<Timestamp>, StoreError> {
        let row = sqlx::query!(
            r#"WITH attempted AS (
                UPDATE webhook_deliveries SET attempts = attempts + 1, schedule_attempts = schedule_attempts + 1, status = $3,
                    due_at = CASE WHEN $3 = 'PENDING' THEN now() + $4 * interval '1 second' END
                WHERE id = $1 AND attempts = $2 AND status = 'PENDING'
                RETURNING id, receiver
            ), logged_attempt AS (
                INSERT INTO webhook_attempts (delivery_id, attempt, at, duration_ms, status_code, error, error_class, response_excerpt)
                SELECT id, $5, $6, $7, $8, $9, $10, $11 FROM attempted
            ), receiver_recovered AS (
                DELETE FROM webhook_receivers r USING attempted
                WHERE r.receiver = attempted.receiver AND $3 = 'DELIVERED' AND coalesce(r.slow_until <= now(), true)
            ), receiver_paused AS (
                -- The receiver asked for a pause while this attempt was under way: the pause stays, the count of failures starts again.
                UPDATE webhook_receivers r SET failing_since = $6, failures = 1 FROM attempted
                WHERE r.receiver = attempted.receiver AND $3 = 'DELIVERED' AND r.slow_until > now()
            ), receiver_failed AS (
                INSERT INTO webhook_receivers AS r (receiver, failing_since, failures, slow_until)
                SELECT receiver, $6, 1, now() + $12 * interval '1 second' FROM attempted WHERE $3 <> 'DELIVERED' AND $13
                ON CONFLICT (receiver) DO UPDATE SET failures = r.failures + 1, slow_until = greatest(r.slow_until, excluded.slow_until)
                RETURNING r.failing_since
            )
            SELECT (SELECT failing_since FROM receiver_failed) AS "failing_since: OffsetDateTime" FROM attempted"#,
            delivery.id.0,
            i32::try_from(delivery.attempts).unwrap_or(i32::MAX),
            effect.status.as_str(),
            effect.retry_in.as_secs_f64(),
            i32::try_from(attempt.attempt).unwrap_or(i32::MAX),
            OffsetDateTime::from(attempt.at),
            i64::try_from(attempt.duration_ms).unwrap_or(i64::MAX),
            attempt.status_code.map(i32::from),
            attempt.error,
            attempt.error_class.map(ErrorClass::as_str),
            attempt.response_excerpt,
            effect.slow_for.map(|slow| slow.as_secs_f64()),
            effect.was_sent,
        )
        .fetch_optional(&self.pool)
        .await?;
        let row = row.ok_or(StoreError::Conflict)?;
        Ok(row.failing_since.map(Timestamp::from))
    }

    /// Makes at most `max` PENDING deliveries of disabled endpoints ABANDONED. Returns their
    /// number.
    pub async fn abandon_deliveries(&self, max: i64) -> Result<u64, StoreError> {
        let done = sqlx::query!(
            "UPDATE webhook_deliveries SET status = 'ABANDONED', due_at = NULL WHERE id IN (
                SELECT d.id FROM webhook_endpoints w JOIN webhook_deliveries d ON d.receiver = w.id::text
                WHERE w.disabled_at IS NOT NULL AND d.status = 'PENDING'
                LIMIT $1 FOR UPDATE OF d SKIP LOCKED)",
            max,
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }

    /// Deletes at most `max` failing receivers of callbacks to which nothing was sent since this
    /// time, and returns their number. The rows of endpoints are deleted after their next success,
    /// or with the endpoint.
    pub async fn forget_receivers(&self, before: Timestamp, max: i64) -> Result<u64, StoreError> {
        let done = sqlx::query!(
            "DELETE FROM webhook_receivers WHERE receiver IN (
                SELECT r.receiver FROM webhook_receivers r
                WHERE r.receiver LIKE '%://%' AND r.failing_since < $1
                    AND NOT EXISTS (SELECT FROM webhook_deliveries d WHERE d.receiver = r.receiver AND d.status = 'PENDING')
                LIMIT $2 FOR UPDATE SKIP LOCKED)",
            OffsetDateTime::from(before),
            max,
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }

    /// Makes at most `max` PENDING deliveries of deleted endpoints ABANDONED. Returns their number.
    pub async fn abandon_orphans(&self, max: i64) -> Result<u64, StoreError> {
        let done = sqlx::query!(
            "UPDATE webhook_deliveries SET status = 'ABANDONED', due_at = NULL WHERE id IN (
                SELECT d.id FROM webhook_deliveries d
                WHERE d.status = 'PENDING' AND d.endpoint_id IS NOT NULL
                    AND NOT EXISTS (SELECT FROM webhook_endpoints w WHERE w.id = d.endpoint_id)
                LIMIT $1 FOR UPDATE SKIP LOCKED)",
            max,
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }
}
