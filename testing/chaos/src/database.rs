//! What the harness reads from the database directly, so that the service's own view cannot hide
//! errors.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{FromRow, Row as _};
use uuid::Uuid;

use crate::Failed;

/// The checked columns of an export's row.
#[derive(Debug, Clone, FromRow)]
pub struct ExportRow {
    pub id: Uuid,
    pub version: i32,
    /// The idempotency key of its request.
    pub idempotency_key: Option<String>,
    /// The client token of its start.
    pub client_token: Option<String>,
    pub export_status: String,
    /// Its ARN at AWS.
    pub export_arn: Option<String>,
    /// The URL of its callback.
    pub callback_url: Option<String>,
    /// It is TIMED_OUT, a start was not answered, and the service is searching for it at AWS.
    pub start_in_doubt: bool,
}

/// One event of an export's history.
#[derive(Debug, Clone, FromRow)]
pub struct EventRow {
    pub export_id: Uuid,
    /// The version after the event.
    pub sequence: i32,
    #[sqlx(rename = "type")]
    pub event_type: String,
    pub export_status: String,
}

/// The harness's pool: small, with short timeouts.
pub fn pool(url: &str) -> Result<PgPool, Failed> {
    let options: PgConnectOptions = url.parse()?;
    let options = options.application_name("chaos");
    Ok(PgPoolOptions::new()
        .max_connections(4)
        .acquire_timeout(Duration::from_secs(3))
        .connect_lazy_with(options))
}

pub fn address_in(url: &str) -> Result<SocketAddr, Failed> {
    let address = url
        .split('@')
        .nth(1)
        .and_then(|rest| rest.split('/').next());
    Ok(address.ok_or("the database's URL has no host")?.parse()?)
}

pub async fn exports(pool: &PgPool) -> Result<Vec<ExportRow>, sqlx::Error> {
    let sql = "SELECT id, version, idempotency_key, client_token, export_status, export_arn, callback_url, start_in_doubt FROM exports";
    sqlx::query_as(sql).fetch_all(pool).await
}

/// Whether an export exists and is in none of these states.
pub async fn is_past(pool: &PgPool, id: &str, states: &[&str]) -> bool {
    let status = sqlx::query_scalar::<_, String>(
        "SELECT export_status FROM exports WHERE id = $1::text::uuid",
    )
    .bind(id);
    let status = status.fetch_optional(pool).await;
    status.is_ok_and(|status| status.is_some_and(|status| !states.contains(&status.as_str())))
}

/// Every history, oldest event first.
pub async fn histories(pool: &PgPool) -> Result<BTreeMap<Uuid, Vec<EventRow>>, sqlx::Error> {
    let sql = "SELECT export_id, sequence, type, export_status FROM export_events ORDER BY export_id, sequence";
    let rows: Vec<EventRow> = sqlx::query_as(sql).fetch_all(pool).await?;
    let mut histories: BTreeMap<Uuid, Vec<EventRow>> = BTreeMap::new();
    for row in rows {
        histories.entry(row.export_id).or_default().push(row);
    }
    Ok(histories)
}

/// Exports that are still scheduled.
pub async fn scheduled(pool: &PgPool) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar("SELECT export_id FROM export_schedule")
        .fetch_all(pool)
        .await
}

/// The number of exports that have not ended (timed-out ones that AWS accepted are still followed),
/// and of unsettled deliveries and replay jobs.
pub async fn unsettled(pool: &PgPool) -> Result<(i64, i64), sqlx::Error> {
    let sql =
        "SELECT (SELECT count(*) FROM exports WHERE export_status IN ('PENDING', 'IN_PROGRESS')
                    OR (export_status = 'TIMED_OUT' AND export_arn IS NOT NULL)),
                (SELECT count(*) FROM webhook_deliveries WHERE status = 'PENDING')
                    + (SELECT count(*) FROM webhook_jobs WHERE finished_at IS NULL)";
    let row = sqlx::query(sql).fetch_one(pool).await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// The exports that have not ended or have an unsettled delivery, and their states.
pub async fn stragglers(pool: &PgPool) -> Result<Vec<(String, String)>, sqlx::Error> {
    let sql = "SELECT id::text, export_status || coalesce(' (' || status_reason || ')', '') FROM exports
        WHERE export_status IN ('PENDING', 'IN_PROGRESS') OR (export_status = 'TIMED_OUT' AND export_arn IS NOT NULL)
        UNION ALL SELECT coalesce(export_id::text, ''), 'a delivery of ' || event_type || ' to ' || url || ' is PENDING'
            FROM webhook_deliveries WHERE status = 'PENDING'
        UNION ALL SELECT '', 'a job is not finished: ' || kind FROM webhook_jobs WHERE finished_at IS NULL";
    sqlx::query_as(sql).fetch_all(pool).await
}

/// Skips pauses that are longer than any lease: work whose next attempt is far in the future
/// becomes due now.
pub async fn skip_pauses(pool: &PgPool) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE export_schedule SET due_at = now() WHERE due_at > now() + interval '20 seconds'",
    )
    .execute(pool)
    .await?;
    let sql = "UPDATE webhook_deliveries SET due_at = now() WHERE status = 'PENDING' AND due_at > now() + interval '20 seconds'";
    sqlx::query(sql).execute(pool).await?;
    let sql = "UPDATE webhook_receivers SET slow_until = now() WHERE slow_until > now()";
    sqlx::query(sql).execute(pool).await?;
    Ok(())
}

/// The same for deliveries with most of their attempts left. A receiver's `Retry-After` stays in
/// effect.
pub async fn skip_some_delivery_pauses(pool: &PgPool) -> Result<(), sqlx::Error> {
    let sql = "UPDATE webhook_deliveries d SET due_at = now()
        WHERE status = 'PENDING' AND due_at > now() + interval '60 seconds' AND schedule_attempts < 6";
    sqlx::query(sql).execute(pool).await.map(drop)
}

/// The highest number of attempts of one delivery.
pub async fn most_attempts(pool: &PgPool) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar("SELECT coalesce(max(attempts), 0) FROM webhook_deliveries")
        .fetch_one(pool)
        .await
}

/// Terminates every backend of the service. Returns how many there were.
pub async fn end_backends(pool: &PgPool) -> Result<i64, sqlx::Error> {
    let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'tableferry'";
    sqlx::query_scalar(sql).fetch_one(pool).await
}

/// When scheduled work is due, in seconds from now, by a name for each item. Work that is due later
/// than `within` is left out.
pub async fn due(
    pool: &PgPool,
    kind: WorkKind,
    within: Duration,
) -> Result<BTreeMap<Uuid, Due>, sqlx::Error> {
    let sql = match kind {
        WorkKind::Exports => {
            "SELECT export_id AS id, due_at::text AS due_at, extract(epoch FROM due_at - clock_timestamp())::float8 AS due_in_s,
                false AS is_held_back
            FROM export_schedule WHERE due_at <= clock_timestamp() + $1 * interval '1 second'"
        }
        WorkKind::Deliveries => {
            "SELECT id, due_at::text || ' ' || attempts AS due_at, extract(epoch FROM due_at - clock_timestamp())::float8 AS due_in_s,
                EXISTS (SELECT FROM webhook_receivers r WHERE r.receiver = d.receiver) AS is_held_back
            FROM webhook_deliveries d WHERE status = 'PENDING' AND due_at <= clock_timestamp() + $1 * interval '1 second'"
        }
    };
    let rows: Vec<(Uuid, String, f64, bool)> = sqlx::query_as(sql)
        .bind(within.as_secs_f64())
        .fetch_all(pool)
        .await?;
    Ok(rows
        .into_iter()
        .map(|(id, mark, due_in_s, is_held_back)| {
            (
                id,
                Due {
                    mark,
                    due_in_s,
                    is_held_back,
                },
            )
        })
        .collect())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkKind {
    Exports,
    Deliveries,
}

/// When an item of work is due.
#[derive(Debug, Clone, PartialEq)]
pub struct Due {
    /// A counter that changes with each claim or write.
    pub mark: String,
    /// Seconds from now; negative if it is late.
    pub due_in_s: f64,
    /// It goes to a failing receiver, which gets few attempts at a time, or none for a while.
    pub is_held_back: bool,
}

/// Everything in the database about an export, for people to read.
pub async fn dump(pool: &PgPool, id: &str) -> Vec<String> {
    let Ok(id) = id.parse::<Uuid>() else {
        return Vec::new();
    };
    let sql = "SELECT 'export   ' || to_jsonb(e)::text FROM exports e WHERE id = $1
        UNION ALL SELECT 'schedule ' || to_jsonb(s)::text FROM export_schedule s WHERE export_id = $1
        UNION ALL (SELECT 'event    ' || to_jsonb(v)::text FROM export_events v WHERE export_id = $1 ORDER BY sequence)
        UNION ALL (SELECT 'delivery ' || (to_jsonb(d) - 'body')::text FROM webhook_deliveries d WHERE export_id = $1 ORDER BY created_at)
        UNION ALL (SELECT 'attempt  ' || to_jsonb(a)::text FROM webhook_attempts a
            JOIN webhook_deliveries d ON d.id = a.delivery_id WHERE d.export_id = $1 ORDER BY a.delivery_id, a.attempt)";
    sqlx::query_scalar(sql)
        .bind(id)
        .fetch_all(pool)
        .await
        .unwrap_or_else(|error| vec![error.to_string()])
}
