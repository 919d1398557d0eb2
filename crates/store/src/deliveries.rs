//! Webhook deliveries at work: written with the change they announce, claimed when due, an attempt
//! a row.
//!
//! An endpoint's deliveries go to where it is now; a callback's to the URL that came with the
//! export.

use std::time::Duration;

use time::OffsetDateTime;
use uuid::Uuid;

use super::pool::Connection;
use super::{Store, StoreError};
use tableferry_domain::backoff::MOST_DELIVERY_ATTEMPTS;
use tableferry_domain::ids::DeliveryId;
use tableferry_domain::timestamp::Timestamp;
use tableferry_domain::timing::DELIVERY_LEASE;
use tableferry_domain::trace::TraceParent;
use tableferry_domain::webhook::announcement::{disabled_body, ping_body};
use tableferry_domain::webhook::delivery::{Attempt, DeliveryStatus};
use tableferry_domain::webhook::endpoint::{Endpoint, EndpointId};
use tableferry_domain::webhook::error_class::ErrorClass;
use tableferry_domain::webhook::event_type::WebhookEventType;
use tableferry_domain::webhook::secret::Sealed;
use tableferry_domain::webhook::share::DueReceiver;

/// Draws ids for new deliveries.
pub type Ids<'a> = &'a (dyn Fn() -> DeliveryId + Sync);

/// A claimed delivery.
#[derive(Debug, Clone)]
pub struct DueDelivery {
    /// Its id, which receivers see.
    pub id: DeliveryId,
    /// The endpoint; `None` for a callback.
    pub endpoint_id: Option<EndpointId>,
    /// What it fails, is slow and is capped together with.
    pub receiver: String,
    /// Where it goes.
    pub url: String,
    /// What signs it: an endpoint's secrets, newest first, or the one that came with the export.
    pub secrets: Vec<Sealed>,
    /// Headers of the receiver's own: the endpoint's, or those that came with the export.
    pub headers: Option<Sealed>,
    /// The exact bytes to send.
    pub body: String,
    /// The trace of the export that it tells of.
    pub trace_parent: Option<TraceParent>,
    /// Attempts made before this one.
    pub attempts: u32,
    /// Attempts of the schedule made before this one.
    pub schedule_attempts: u32,
    /// Attempts at this receiver that failed in a row before this one.
    pub receiver_failures: u32,
}

/// What an attempt led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptEffect {
    /// Where the delivery stands now.
    pub status: DeliveryStatus,
    /// When to try again, if it is PENDING.
    pub retry_in: Duration,
    /// How long nothing else is sent to this receiver.
    pub slow_for: Option<Duration>,
    /// Whether it says something about the receiver: nothing was sent if this service could not
    /// sign.
    pub was_sent: bool,
}

/// Where in the schedule a ping begins: its next attempt is the last.
pub(super) const PING_BEGINS_AT: i32 = MOST_DELIVERY_ATTEMPTS.cast_signed() - 1;

/// Tells the other endpoints that one was disabled.
pub(super) async fn tell_of_disabled(
    tx: &mut Connection,
    endpoint: &Endpoint,
    now: Timestamp,
    ids: Ids<'_>,
) -> Result<(), StoreError> {
    let kind = WebhookEventType::EndpointDisabled;
    // An endpoint has no labels, so those that want labels do not hear of it.
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

/// Writes one delivery for each of these endpoints, unless it got that event before. How many were
/// written.
pub(super) async fn insert_for(
    tx: &mut Connection,
    endpoints: &[(Uuid, String)],
    event: Option<(Uuid, i32)>,
    kind: WebhookEventType,
    body: &str,
    at: Timestamp,
    ids: Ids<'_>,
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
    /// Stores a ping for an endpoint, of one attempt.
    ///
    /// # Errors
    /// The database did not take it.
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
            endpoint.wish.url.as_str(),
            ping_body(endpoint, now),
            OffsetDateTime::from(now),
            PING_BEGINS_AT,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The receivers to whom something may be sent within `ahead` from now (zero for a worker;
    /// tests step over waiting times), who waits longest first.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn due_receivers(&self, ahead: Duration) -> Result<Vec<DueReceiver>, StoreError> {
        // Two steps a receiver along the index, however many deliveries each has.
        let rows = sqlx::query!(
            r#"WITH RECURSIVE walk AS (
                (SELECT receiver, due_at FROM webhook_deliveries WHERE status = 'PENDING' ORDER BY receiver, due_at LIMIT 1)
                UNION ALL
                SELECT next.receiver, next.due_at FROM walk, LATERAL (
                    SELECT d.receiver, d.due_at FROM webhook_deliveries d
                    WHERE d.status = 'PENDING' AND d.receiver > walk.receiver ORDER BY d.receiver, d.due_at LIMIT 1
                ) next
            )
            SELECT walk.receiver AS "receiver!", r.receiver IS NOT NULL AS "failing!"
            FROM walk
                LEFT JOIN webhook_receivers r ON r.receiver = walk.receiver
                LEFT JOIN webhook_endpoints w ON w.id::text = walk.receiver
            WHERE walk.due_at <= now() + $1 * interval '1 second'
                AND coalesce(r.slow_until <= now() + $1 * interval '1 second', true)
                AND (walk.receiver LIKE '%://%' OR (w.id IS NOT NULL AND w.disabled_at IS NULL))
            ORDER BY walk.due_at"#,
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

    /// Claims so many deliveries of each receiver. `ahead` as in [`Store::due_receivers`]; secrets
    /// that expired before `now` do not sign.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn claim_deliveries(
        &self,
        shares: &[(String, usize)],
        ahead: Duration,
        now: Timestamp,
    ) -> Result<Vec<DueDelivery>, StoreError> {
        if shares.is_empty() {
            return Ok(Vec::new());
        }
        let (receivers, most): (Vec<_>, Vec<_>) = shares
            .iter()
            .map(|(receiver, most)| (receiver.clone(), i64::try_from(*most).unwrap_or(i64::MAX)))
            .unzip();
        let rows = sqlx::query!(
            r#"WITH due AS MATERIALIZED (
                SELECT picked.id FROM unnest($1::text[], $2::bigint[]) AS share (receiver, most), LATERAL (
                    SELECT d.id FROM webhook_deliveries d
                    WHERE d.receiver = share.receiver AND d.status = 'PENDING' AND d.due_at <= now() + $3 * interval '1 second'
                        AND (d.endpoint_id IS NULL
                            OR EXISTS (SELECT FROM webhook_endpoints w WHERE w.id = d.endpoint_id AND w.disabled_at IS NULL))
                    ORDER BY d.due_at
                    LIMIT share.most
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
            &most,
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
                .map(Sealed::known)
                .collect(),
            headers: row.sealed_headers.map(Sealed::known),
            body: row.body,
            trace_parent: row.trace_parent.as_deref().and_then(TraceParent::parse),
            attempts: row.attempts.unsigned_abs(),
            schedule_attempts: row.schedule_attempts.unsigned_abs(),
            receiver_failures: row.failures.unsigned_abs(),
        });
        Ok(due.collect())
    }

    /// Writes an attempt, what it led to, and how its receiver does: one statement, so all or none.
    /// Since when the receiver has been failing, if it has.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when another worker made an attempt in the meantime, or the database
    /// does not answer; then nothing is written.
    pub async fn record_attempt(
        &self,
        delivery: &DueDelivery,
        attempt: &Attempt,
        effect: AttemptEffect,
    ) -> Result<Option<Timestamp>, StoreError> {
        let row = sqlx::query!(
            r#"WITH noted AS (
                UPDATE webhook_deliveries SET attempts = attempts + 1, schedule_attempts = schedule_attempts + 1, status = $3,
                    due_at = CASE WHEN $3 = 'PENDING' THEN now() + $4 * interval '1 second' END
                WHERE id = $1 AND attempts = $2 AND status = 'PENDING'
                RETURNING id, receiver
            ), logged AS (
                INSERT INTO webhook_attempts (delivery_id, attempt, at, duration_ms, status_code, error, error_class, response_excerpt)
                SELECT id, $5, $6, $7, $8, $9, $10, $11 FROM noted
            ), well AS (
                DELETE FROM webhook_receivers r USING noted
                WHERE r.receiver = noted.receiver AND $3 = 'DELIVERED' AND coalesce(r.slow_until <= now(), true)
            ), paused AS (
                -- It asked for a pause while this attempt was on its way: the pause holds, its failures begin anew.
                UPDATE webhook_receivers r SET failing_since = $6, failures = 1 FROM noted
                WHERE r.receiver = noted.receiver AND $3 = 'DELIVERED' AND r.slow_until > now()
            ), ill AS (
                INSERT INTO webhook_receivers AS r (receiver, failing_since, failures, slow_until)
                SELECT receiver, $6, 1, now() + $12 * interval '1 second' FROM noted WHERE $3 <> 'DELIVERED' AND $13
                ON CONFLICT (receiver) DO UPDATE SET failures = r.failures + 1, slow_until = greatest(r.slow_until, excluded.slow_until)
                RETURNING r.failing_since
            )
            SELECT (SELECT failing_since FROM ill) AS "failing_since: OffsetDateTime" FROM noted"#,
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
        let row = row.ok_or(StoreError::Stale)?;
        Ok(row.failing_since.map(Timestamp::from))
    }

    /// Gives up deliveries that are PENDING although their endpoint is disabled, at most `most`.
    /// How many.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn abandon_deliveries(&self, most: i64) -> Result<u64, StoreError> {
        let done = sqlx::query!(
            "UPDATE webhook_deliveries SET status = 'ABANDONED', due_at = NULL WHERE id IN (
                SELECT d.id FROM webhook_endpoints w JOIN webhook_deliveries d ON d.receiver = w.id::text
                WHERE w.disabled_at IS NOT NULL AND d.status = 'PENDING'
                LIMIT $1 FOR UPDATE OF d SKIP LOCKED)",
            most,
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }

    /// Forgets that receivers of callbacks have failed to which nothing was sent since this time,
    /// at most `most`. How many. Endpoints forget with their next success, or when they are
    /// deleted.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn forget_receivers(&self, before: Timestamp, most: i64) -> Result<u64, StoreError> {
        let done = sqlx::query!(
            "DELETE FROM webhook_receivers WHERE receiver IN (
                SELECT r.receiver FROM webhook_receivers r
                WHERE r.receiver LIKE '%://%' AND r.failing_since < $1
                    AND NOT EXISTS (SELECT FROM webhook_deliveries d WHERE d.receiver = r.receiver AND d.status = 'PENDING')
                LIMIT $2 FOR UPDATE SKIP LOCKED)",
            OffsetDateTime::from(before),
            most,
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }

    /// Gives up deliveries that are PENDING although their endpoint was deleted, at most `most`.
    /// How many.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn abandon_orphans(&self, most: i64) -> Result<u64, StoreError> {
        let done = sqlx::query!(
            "UPDATE webhook_deliveries SET status = 'ABANDONED', due_at = NULL WHERE id IN (
                SELECT d.id FROM webhook_deliveries d
                WHERE d.status = 'PENDING' AND d.endpoint_id IS NOT NULL
                    AND NOT EXISTS (SELECT FROM webhook_endpoints w WHERE w.id = d.endpoint_id)
                LIMIT $1 FOR UPDATE SKIP LOCKED)",
            most,
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }
}
