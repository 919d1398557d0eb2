//! Jobs that send webhooks again, in small batches. Each batch and the job's progress are written
//! in one transaction.

use std::collections::HashMap;
use std::time::Duration;

use time::OffsetDateTime;
use uuid::Uuid;

use super::deliveries::{DeliveryIds, insert_for};
use super::export_row::select_exports;
use super::listed::readable;
use super::pool::Connection;
use super::{Store, StoreError};
use tableferry_api_types::webhook::export_body;
use tableferry_domain::caller::CallerName;
use tableferry_domain::export::Export;
use tableferry_domain::export::event::EventKind;
use tableferry_domain::lifecycle::timing::WEBHOOK_JOB_LEASE;
use tableferry_domain::public_url::PublicUrl;
use tableferry_domain::timestamp::Timestamp;
use tableferry_domain::webhook::announcement::Announcement;
use tableferry_domain::webhook::endpoint::EndpointId;
use tableferry_domain::webhook::event_type::WebhookEventType;
use tableferry_domain::webhook::job::{Cursor, Job, JobKind};

/// Rows per batch.
const BATCH: i64 = 200;

/// A job pauses while its endpoint has this many deliveries waiting, so that new events do not wait
/// behind replayed ones.
const MAX_WAITING: i64 = 1000;

const PAUSE: Duration = Duration::from_secs(1);

/// The result of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batch {
    /// The job has more batches.
    More,
    /// The job must wait for older transactions, or because enough deliveries to the endpoint wait.
    Paused,
    /// The job has ended, or was deleted with its endpoint.
    Done,
}

struct JobRow {
    id: Uuid,
    endpoint_id: Uuid,
    kind: String,
    since: OffsetDateTime,
    until: OffsetDateTime,
    created_at: OffsetDateTime,
    created_by: Option<String>,
    finished_at: Option<OffsetDateTime>,
    cursor_at: Option<OffsetDateTime>,
    cursor_id: Option<Uuid>,
    cursor_sequence: Option<i32>,
    examined: i64,
    queued: i64,
}

impl TryFrom<JobRow> for Job {
    type Error = StoreError;

    fn try_from(row: JobRow) -> Result<Self, StoreError> {
        let unknown = || StoreError::InconsistentRow {
            table: "webhook_jobs",
            id: row.id,
            what: "unknown kind".into(),
        };
        let cursor = match (row.cursor_at, row.cursor_id, row.cursor_sequence) {
            (Some(at), Some(id), Some(sequence)) => Some(Cursor {
                at: at.into(),
                id,
                sequence,
            }),
            _ => None,
        };
        Ok(Self {
            id: row.id,
            endpoint_id: EndpointId(row.endpoint_id),
            kind: JobKind::parse(&row.kind).ok_or_else(unknown)?,
            since: row.since.into(),
            until: row.until.into(),
            created_at: row.created_at.into(),
            created_by: row.created_by.as_deref().map(CallerName::from_db),
            finished_at: row.finished_at.map(Timestamp::from),
            cursor,
            examined: row.examined,
            queued: row.queued,
        })
    }
}

/// `SELECT` of every column of [`JobRow`], followed by the rest of the query.
macro_rules! select_jobs {
    ($rest:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            JobRow,
            "SELECT id, endpoint_id, kind, since, until, created_at, created_by, finished_at, cursor_at, cursor_id, cursor_sequence, examined, queued
            FROM webhook_jobs " + $rest
            $(, $argument)*
        )
    };
}

impl Store {
    /// Stores a new job, which is due at once.
    pub async fn add_webhook_job(&self, job: &Job) -> Result<(), StoreError> {
        sqlx::query!(
            "INSERT INTO webhook_jobs (id, endpoint_id, kind, since, until, created_at, due_at, created_by) VALUES ($1, $2, $3, $4, $5, $6, now(), $7)",
            job.id,
            job.endpoint_id.0,
            job.kind.as_str(),
            OffsetDateTime::from(job.since),
            OffsetDateTime::from(job.until),
            OffsetDateTime::from(job.created_at),
            job.created_by.as_ref().map(CallerName::as_str),
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    pub async fn find_webhook_job(&self, id: Uuid) -> Result<Option<Job>, StoreError> {
        select_jobs!("WHERE id = $1", id)
            .fetch_optional(&self.pool)
            .await?
            .map(Job::try_from)
            .transpose()
    }

    /// Claims at most `limit` jobs that are due within `ahead` from now.
    pub async fn claim_webhook_jobs(
        &self,
        limit: i64,
        ahead: Duration,
    ) -> Result<Vec<Uuid>, StoreError> {
        let ids = sqlx::query_scalar!(
            "UPDATE webhook_jobs SET due_at = now() + $3 * interval '1 second' WHERE id IN (
                SELECT id FROM webhook_jobs WHERE due_at <= now() + $2 * interval '1 second'
                ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED)
            RETURNING id",
            limit,
            ahead.as_secs_f64(),
            WEBHOOK_JOB_LEASE.as_secs_f64(),
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(ids)
    }

    /// Processes the next batch of a job, after the last row that any worker has examined.
    pub async fn advance_webhook_job(
        &self,
        id: Uuid,
        now: Timestamp,
        ids: DeliveryIds<'_>,
    ) -> Result<Batch, StoreError> {
        let mut tx = self.pool.begin().await?;
        let row = select_jobs!("WHERE id = $1 AND finished_at IS NULL FOR UPDATE", id)
            .fetch_optional(&mut *tx)
            .await?;
        let Some(row) = row else {
            return Ok(Batch::Done);
        };
        let job = Job::try_from(row)?;
        if is_too_early(&mut tx, &job).await? || is_busy(&mut tx, &job).await? {
            sqlx::query!(
                "UPDATE webhook_jobs SET due_at = now() + $2 * interval '1 second' WHERE id = $1",
                id,
                PAUSE.as_secs_f64()
            )
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
            return Ok(Batch::Paused);
        }
        let (cursor, examined, queued) = match job.kind {
            JobKind::Recover => recover(&mut tx, &job).await?,
            JobKind::ReplayMissing => replay_missing(&mut tx, &job, &self.public_url, ids).await?,
        };
        let done = examined < BATCH;
        let cursor = cursor.or(job.cursor);
        sqlx::query!(
            "UPDATE webhook_jobs SET cursor_at = $2, cursor_id = $3, cursor_sequence = $4, examined = examined + $5, queued = queued + $6,
                finished_at = $7, due_at = CASE WHEN $7::timestamptz IS NULL THEN now() + $8 * interval '1 second' END
            WHERE id = $1",
            id,
            cursor.map(|c| OffsetDateTime::from(c.at)),
            cursor.map(|c| c.id),
            cursor.map(|c| c.sequence),
            examined,
            queued,
            done.then(|| OffsetDateTime::from(now)),
            WEBHOOK_JOB_LEASE.as_secs_f64(),
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(if done { Batch::Done } else { Batch::More })
    }
}

/// Whether a transaction is still running that began before the job was stored. It may not have
/// seen the endpoint, and may commit an event that the job's cursor has already passed. Statements
/// of this service end within seconds, so a transaction of more than a minute is not one of them.
async fn is_too_early(tx: &mut Connection, job: &Job) -> Result<bool, StoreError> {
    if job.cursor.is_some() {
        return Ok(false);
    }
    let early = sqlx::query_scalar!(
        r#"SELECT created_at > now() - interval '1 minute' AND EXISTS (
                SELECT FROM pg_stat_activity a
                WHERE a.datname = current_database() AND a.backend_xid IS NOT NULL AND age(a.backend_xid) > age(j.asked_by::xid)
            ) AS "early!"
        FROM webhook_jobs j WHERE j.id = $1"#,
        job.id
    )
    .fetch_one(tx)
    .await?;
    Ok(early)
}

/// Whether enough deliveries to the endpoint wait.
async fn is_busy(tx: &mut Connection, job: &Job) -> Result<bool, StoreError> {
    let waiting = sqlx::query_scalar!(
        r#"SELECT count(*) AS "waiting!" FROM (
            SELECT FROM webhook_deliveries WHERE receiver = $1::uuid::text AND status = 'PENDING' LIMIT $2
        ) AS counted"#,
        job.endpoint_id.0,
        MAX_WAITING,
    )
    .fetch_one(tx)
    .await?;
    Ok(waiting >= MAX_WAITING)
}

/// The last row of a batch, the number of rows examined, and the number of deliveries that are sent
/// because of it.
type Done = (Option<Cursor>, i64, i64);

async fn recover(tx: &mut Connection, job: &Job) -> Result<Done, StoreError> {
    let rows = sqlx::query!(
        "WITH failed AS (
            SELECT id FROM webhook_deliveries
            WHERE endpoint_id = $1 AND status IN ('EXHAUSTED', 'ABANDONED') AND event_type <> 'ping' AND created_at >= $2 AND created_at <= $3
                AND ($4::uuid IS NULL OR id > $4)
            ORDER BY id LIMIT $5 FOR UPDATE
        )
        UPDATE webhook_deliveries d SET status = 'PENDING', due_at = now(), schedule_attempts = 0
        FROM failed WHERE d.id = failed.id
        RETURNING d.id, d.created_at",
        job.endpoint_id.0,
        OffsetDateTime::from(job.since),
        OffsetDateTime::from(job.until),
        job.cursor.map(|cursor| cursor.id),
        BATCH,
    )
    .fetch_all(tx)
    .await?;
    let last = rows.iter().max_by_key(|row| row.id).map(|row| Cursor {
        at: row.created_at.into(),
        id: row.id,
        sequence: 0,
    });
    let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    Ok((last, count, count))
}

async fn replay_missing(
    tx: &mut Connection,
    job: &Job,
    public_url: &PublicUrl,
    ids: DeliveryIds<'_>,
) -> Result<Done, StoreError> {
    let endpoint = sqlx::query!(
        "SELECT url, event_types, labels FROM webhook_endpoints WHERE id = $1",
        job.endpoint_id.0
    )
    .fetch_one(&mut *tx)
    .await?;
    let from = job.cursor.unwrap_or(Cursor {
        at: job.since,
        id: Uuid::nil(),
        sequence: -1,
    });
    // Written so that Postgres reads the index on published events from the cursor on.
    let events = sqlx::query!(
        "SELECT v.export_id, v.sequence, v.at, v.type,
            ($5::text[] = '{}' OR v.type = ANY ($5::text[])) AND e.labels @> $6
                AND NOT EXISTS (SELECT FROM webhook_deliveries d
                    WHERE d.endpoint_id = $7 AND d.export_id = v.export_id AND d.event_sequence = v.sequence) AS missed
        FROM export_events v JOIN exports e ON e.id = v.export_id
        WHERE v.type IN ('export.started', 'export.completed', 'export.failed', 'export.timed_out', 'export.cancelled')
            AND (v.at, v.export_id, v.sequence) > ($1, $2, $3) AND v.at <= $4
        ORDER BY v.at, v.export_id, v.sequence
        LIMIT $8",
        OffsetDateTime::from(from.at),
        from.id,
        from.sequence,
        OffsetDateTime::from(job.until),
        &endpoint.event_types,
        endpoint.labels,
        job.endpoint_id.0,
        BATCH,
    )
    .fetch_all(&mut *tx)
    .await?;
    let last = events.last().map(|event| Cursor {
        at: event.at.into(),
        id: event.export_id,
        sequence: event.sequence,
    });
    let examined = i64::try_from(events.len()).unwrap_or(i64::MAX);
    let to = [(job.endpoint_id.0, endpoint.url)];
    let mut queued = 0;
    let missed: Vec<_> = events
        .iter()
        .filter(|event| event.missed == Some(true))
        .collect();
    let exports = exports_of(
        tx,
        &missed
            .iter()
            .map(|event| event.export_id)
            .collect::<Vec<_>>(),
    )
    .await?;
    for event in missed {
        let kind = EventKind::parse(&event.r#type).and_then(WebhookEventType::from_event);
        let (Some(export), Some(kind)) = (exports.get(&event.export_id), kind) else {
            continue;
        };
        let late = Announcement::late(export, kind, event.sequence, event.at.into());
        let what = Some((event.export_id, event.sequence));
        queued += insert_for(
            tx,
            &to,
            what,
            kind,
            &export_body(&late, public_url),
            late.at,
            ids,
        )
        .await?;
    }
    Ok((last, examined, i64::try_from(queued).unwrap_or(i64::MAX)))
}

async fn exports_of(
    tx: &mut Connection,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Export>, StoreError> {
    let rows = select_exports!("WHERE e.id = ANY($1) ORDER BY e.id", ids)
        .fetch_all(tx)
        .await?;
    Ok(rows
        .into_iter()
        .filter_map(readable)
        .map(|export: Export| (export.id.0, export))
        .collect())
}
