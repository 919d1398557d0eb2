//! Writes what a step led to: the export, its event, its schedule and its webhook deliveries, all in one transaction.

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::columns::{SettledColumns, StateColumns};
use super::deliveries::Ids;
use super::insert::{First, NewExport, insert};
use super::rows::select_exports;
use super::schedule::Phase;
use super::{Store, StoreError};
use crate::domain::event::EventKind;
use crate::domain::export::{Export, ExportStatus};
use crate::domain::ids::ExportId;
use crate::domain::retry::NextAttempt;
use crate::domain::step::{Change, Claimed, NextLook, Outcome};
use crate::domain::webhook::announcement::Announcement;

impl Store {
    /// Writes the outcome of a step on a claimed export, with the webhooks that tell of it and the attempt that follows by itself. A look
    /// that changed nothing and fits the plan writes nothing. How many deliveries were written.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when the export changed since it was claimed, or the database does not answer; then nothing is written.
    pub async fn record(
        &self,
        claimed: &Claimed,
        outcome: &Outcome,
        next_attempt: Option<&NextAttempt>,
        ids: Ids<'_>,
    ) -> Result<usize, StoreError> {
        if outcome.change.is_none() && fits_the_plan(claimed, outcome.next) {
            return Ok(0);
        }
        let mut tx = self.pool.begin().await?;
        // The schedule's row first, as claiming and cancelling do: all lock in the same order.
        let held = reschedule(&mut tx, claimed, outcome).await?;
        if !held {
            return Err(StoreError::Stale);
        }
        let deliveries = match &outcome.change {
            Some(change) => write_change(&mut tx, claimed.export.version, change, ids).await?,
            None => 0,
        };
        if let Some(next) = next_attempt {
            let first = First { event: EventKind::Created, detail: &next.detail, delay: next.delay };
            if insert(&mut *tx, &[NewExport { export: &next.export, key: None }], first).await?.is_empty() {
                return Err(StoreError::Stale);
            }
        }
        tx.commit().await?;
        Ok(deliveries)
    }

    /// Changes an export that is PENDING and of which no start is on its way to AWS. `Ok(None)` when there is no such
    /// export, `Err(export)` inside when it stands elsewhere.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn cancel(
        &self,
        id: ExportId,
        change: impl FnOnce(&Export) -> Change,
        ids: Ids<'_>,
    ) -> Result<Option<Result<Export, Box<Export>>>, StoreError> {
        let mut tx = self.pool.begin().await?;
        // The schedule's row is locked first, as claiming does, so that a claim and a cancellation cannot both win.
        let idle = sqlx::query_scalar!(
            r#"SELECT phase = 'START' AND start_sent_at IS NULL AS "idle!" FROM export_schedule WHERE export_id = $1 FOR UPDATE"#,
            id.0
        )
        .fetch_optional(&mut *tx)
        .await?;
        let row = select_exports!("WHERE e.id = $1", id.0).fetch_optional(&mut *tx).await?;
        let Some(row) = row else { return Ok(None) };
        let export = Export::try_from(row)?;
        if idle != Some(true) {
            return Ok(Some(Err(Box::new(export))));
        }
        let change = change(&export);
        write_change(&mut tx, export.version, &change, ids).await?;
        sqlx::query!("DELETE FROM export_schedule WHERE export_id = $1", id.0).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(Some(Ok(change.export)))
    }

    /// Forgets an export that has ended, or any with `force`. `None` when there is no such export, `Some(false)` when it has not ended.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn delete(&self, id: ExportId, force: bool) -> Result<Option<bool>, StoreError> {
        let mut tx = self.pool.begin().await?;
        // In the same order as everybody else: the schedule first.
        sqlx::query!("SELECT export_id FROM export_schedule WHERE export_id = $1 FOR UPDATE", id.0).fetch_optional(&mut *tx).await?;
        let row = sqlx::query!(
            r#"WITH gone AS (
                DELETE FROM exports WHERE id = $1 AND ($2 OR export_status NOT IN ('PENDING', 'IN_PROGRESS')) RETURNING id
            )
            SELECT EXISTS (SELECT FROM exports WHERE id = $1) AS "known!", EXISTS (SELECT FROM gone) AS "deleted!""#,
            id.0,
            force
        )
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(row.known.then_some(row.deleted))
    }
}

/// Whether claiming has set the next look already.
fn fits_the_plan(claimed: &Claimed, next: NextLook) -> bool {
    match next {
        NextLook::After { delay, failures, .. } => {
            failures == claimed.failures && delay.abs_diff(claimed.planned_delay) <= claimed.planned_delay / 4
        }
        NextLook::Never => false,
    }
}

/// Writes when to look next, if the export is still what was claimed. Whether it is. A start must also be of the same claim, since
/// its claim says whether it is on its way to AWS; a look may come late, and then only its version counts.
async fn reschedule(tx: &mut PgConnection, claimed: &Claimed, outcome: &Outcome) -> Result<bool, StoreError> {
    let (id, claim, version) = (claimed.export.id.0, claimed.claim, claimed.export.version);
    let done = match outcome.next {
        NextLook::Never => {
            sqlx::query!(
                "DELETE FROM export_schedule WHERE export_id = $1 AND (claims = $2 OR phase = 'FOLLOW')
                    AND EXISTS (SELECT FROM exports WHERE id = $1 AND version = $3)",
                id,
                claim,
                version,
            )
            .execute(tx)
            .await?
        }
        NextLook::After { delay, failures, in_doubt } => {
            let status = outcome.change.as_ref().map_or(claimed.export.status(), |c| c.export.status());
            let phase = if status == ExportStatus::Pending { Phase::Start } else { Phase::Follow };
            sqlx::query!(
                "UPDATE export_schedule SET
                    due_at = now() + $3::bigint * interval '1 millisecond', delay_ms = $3, failures = $4, phase = $5, timed_out = $8,
                    start_sent_at = CASE WHEN $5 = 'START' AND $6 THEN coalesce(start_sent_at, now()) END
                WHERE export_id = $1 AND (claims = $2 OR phase = 'FOLLOW')
                    AND EXISTS (SELECT FROM exports WHERE id = $1 AND version = $7)",
                id,
                claim,
                i64::try_from(delay.as_millis()).unwrap_or(i64::MAX),
                i32::try_from(failures).unwrap_or(i32::MAX),
                phase.as_str(),
                in_doubt,
                version,
                status == ExportStatus::TimedOut,
            )
            .execute(tx)
            .await?
        }
    };
    Ok(done.rows_affected() == 1)
}

/// Writes a change with its event and its webhooks. How many deliveries were written.
async fn write_change(tx: &mut PgConnection, seen_version: i32, change: &Change, ids: Ids<'_>) -> Result<usize, StoreError> {
    let export = &change.export;
    let columns = StateColumns::from(export);
    let settled = SettledColumns::from(export);
    let token = export.origin.client_token().map(|t| t.as_str());
    let token_made_at = export.origin.token_made_at().map(OffsetDateTime::from);
    let updated = sqlx::query!(
        "UPDATE exports SET version = $3, updated_at = $4, export_status = $5, status_reason = $6, client_token = $7,
            client_token_made_at = $8, export_arn = $9, table_id = $10, start_time = $11, end_time = $12, item_count = $13,
            billed_size_in_bytes = $14, manifest_key = $15, failure_source = $16, failure_code = $17, failure_message = $18,
            s3_sse_algorithm = $19, export_time = $20, export_from_time = $21, export_to_time = $22, export_view_type = $23
        WHERE id = $1 AND version = $2",
        export.id.0,
        seen_version,
        export.version,
        OffsetDateTime::from(export.updated_at),
        export.status().as_str(),
        export.status_reason,
        token,
        token_made_at,
        columns.export_arn,
        columns.table_id,
        columns.start_time,
        columns.end_time,
        columns.item_count,
        columns.billed_size_in_bytes,
        columns.manifest_key,
        columns.failure_source,
        columns.failure_code,
        columns.failure_message,
        settled.s3_sse_algorithm,
        settled.export_time,
        settled.export_from_time,
        settled.export_to_time,
        settled.export_view_type,
    )
    .execute(&mut *tx)
    .await?;
    if updated.rows_affected() != 1 {
        return Err(StoreError::Stale);
    }
    sqlx::query!(
        "INSERT INTO export_events (export_id, sequence, type, at, export_status, detail) VALUES ($1, $2, $3, $4, $5, $6)",
        export.id.0,
        export.version,
        change.event.as_str(),
        OffsetDateTime::from(export.updated_at),
        export.status().as_str(),
        change.detail,
    )
    .execute(&mut *tx)
    .await?;
    if export.request.verify && export.status() == ExportStatus::Completed {
        super::verifications::start(tx, export.id, false, export.updated_at).await?;
    }
    match Announcement::of(change) {
        Some(announcement) => super::deliveries::announce(tx, &announcement, ids).await,
        None => Ok(0),
    }
}
