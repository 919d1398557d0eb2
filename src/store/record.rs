//! Writes what a step led to: the export, its event, its schedule and its webhook deliveries, all in one transaction.

use std::time::Duration;

use sqlx::{PgConnection, PgExecutor};
use time::OffsetDateTime;

use super::columns::{SettledColumns, StateColumns};
use super::deliveries::Ids;
use super::insert::{First, NewExport, insert};
use super::rows::select_exports;
use super::schedule::Phase;
use super::{Store, StoreError};
use crate::domain::caller::CallerName;
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
        // Most steps bring nothing but themselves, and then one statement is all.
        if next_attempt.is_none() && brings_nothing_more(outcome) && write(&self.pool, claimed, outcome, None, Alone::Yes).await? {
            return Ok(0);
        }
        let mut tx = self.pool.begin().await?;
        if !write(&mut *tx, claimed, outcome, None, Alone::No).await? {
            return Err(StoreError::Stale);
        }
        let deliveries = match &outcome.change {
            Some(change) => follow(&mut tx, change, ids).await?,
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

    /// Changes an export that is PENDING and of which no start is on its way to AWS, in the name of `by`. `Ok(None)` when there is no such
    /// export, `Err(export)` inside when it stands elsewhere.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn cancel(
        &self,
        id: ExportId,
        change: impl FnOnce(&Export) -> Change,
        by: Option<&CallerName>,
        ids: Ids<'_>,
    ) -> Result<Option<Result<Export, Box<Export>>>, StoreError> {
        let mut tx = self.pool.begin().await?;
        // The schedule's row is locked first, as claiming does, so that a claim and a cancellation cannot both win.
        let scheduled = sqlx::query!(
            r#"SELECT claims, phase = 'START' AND start_sent_at IS NULL AS "idle!" FROM export_schedule WHERE export_id = $1 FOR UPDATE"#,
            id.0
        )
        .fetch_optional(&mut *tx)
        .await?;
        let row = select_exports!("WHERE e.id = $1", id.0).fetch_optional(&mut *tx).await?;
        let Some(row) = row else { return Ok(None) };
        let export = Export::try_from(row)?;
        let Some(scheduled) = scheduled.filter(|scheduled| scheduled.idle) else { return Ok(Some(Err(Box::new(export)))) };
        let change = change(&export);
        let claimed = Claimed { export, claim: scheduled.claims, failures: 0, in_doubt: false, planned_delay: Duration::ZERO };
        let outcome = Outcome { change: Some(change), next: NextLook::Never };
        if !write(&mut *tx, &claimed, &outcome, by, Alone::No).await? {
            return Err(StoreError::Stale);
        }
        let Outcome { change: Some(change), .. } = outcome else { return Err(StoreError::Stale) };
        follow(&mut tx, &change, ids).await?;
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
                DELETE FROM exports WHERE id = $1 AND ($2 OR export_status NOT IN ('PENDING', 'IN_PROGRESS')) RETURNING id, labels
            ), unscheduled AS (
                DELETE FROM export_schedule USING gone WHERE export_id = gone.id
            ), untold AS (
                DELETE FROM export_events USING gone WHERE export_id = gone.id
            ), unlabelled AS (
                DELETE FROM export_labels l USING gone, jsonb_each_text(gone.labels) AS each
                WHERE l.label = each.key || ':' || each.value AND l.export_id = gone.id
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

/// Whether a step is written without anything that must be written with it: then it needs no transaction around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Alone {
    /// Unless there is an endpoint that may want to hear of it.
    Yes,
    /// What must follow is written next, in the same transaction.
    No,
}

/// Whether nothing but an endpoint could want something of this outcome.
fn brings_nothing_more(outcome: &Outcome) -> bool {
    outcome.change.as_ref().is_none_or(|change| {
        let request = &change.export.request;
        let verified = request.verify && change.export.status() == ExportStatus::Completed;
        !verified && Announcement::of(change).is_none_or(|announcement| announcement.callback().is_none())
    })
}

/// Writes a step by one statement: the schedule, the export and its event, if the export is still what was claimed. Whether it was.
///
/// `by` is the caller who made it happen, if it was one.
///
/// A start must also be of the same claim, since its claim says whether it is on its way to AWS; a look may come late, and then only its
/// version counts. The schedule's row is taken first, as claiming and cancelling do: all lock in the same order.
async fn write(
    executor: impl PgExecutor<'_>,
    claimed: &Claimed,
    outcome: &Outcome,
    by: Option<&CallerName>,
    alone: Alone,
) -> Result<bool, StoreError> {
    let status = outcome.change.as_ref().map_or(claimed.export.status(), |change| change.export.status());
    let phase = if status == ExportStatus::Pending { Phase::Start } else { Phase::Follow };
    let (delay, failures, in_doubt) = match outcome.next {
        NextLook::After { delay, failures, in_doubt } => (Some(delay), failures, in_doubt),
        NextLook::Never => (None, 0, false),
    };
    let export = outcome.change.as_ref().map_or(&claimed.export, |change| &change.export);
    let columns = StateColumns::from(export);
    let settled = SettledColumns::from(export);
    let written = sqlx::query_scalar!(
        r#"WITH held AS MATERIALIZED (
            SELECT export_id FROM export_schedule s
            WHERE s.export_id = $1 AND (s.claims = $2 OR s.phase = 'FOLLOW') AND EXISTS (SELECT FROM exports WHERE id = $1 AND version = $3)
                AND NOT ($4 AND EXISTS (SELECT FROM webhook_endpoints WHERE disabled_at IS NULL))
            FOR UPDATE
        ), changed AS (
            UPDATE exports SET version = $11, updated_at = $12, export_status = $13, status_reason = $14, client_token = $15,
                client_token_made_at = $16, export_arn = $17, table_id = $18, start_time = $19, end_time = $20, item_count = $21,
                billed_size_in_bytes = $22, manifest_key = $23, failure_source = $24, failure_code = $25, failure_message = $26,
                s3_sse_algorithm = $27, export_time = $28, export_from_time = $29, export_to_time = $30, export_view_type = $31
            FROM held WHERE $10 AND id = held.export_id AND version = $3
            RETURNING id
        ), due AS MATERIALIZED (
            SELECT export_id FROM held WHERE NOT $10 OR EXISTS (SELECT FROM changed)
        ), later AS (
            UPDATE export_schedule s SET
                due_at = now() + $5::bigint * interval '1 millisecond', delay_ms = $5, failures = $6, phase = $7, timed_out = $9,
                start_sent_at = CASE WHEN $7 = 'START' AND $8 THEN coalesce(s.start_sent_at, now()) END
            FROM due WHERE $5::bigint IS NOT NULL AND s.export_id = due.export_id
        ), never AS (
            DELETE FROM export_schedule s USING due WHERE $5::bigint IS NULL AND s.export_id = due.export_id
        ), told AS (
            INSERT INTO export_events (export_id, sequence, type, at, export_status, detail, created_by)
            SELECT id, $11, $32, $12, $13, $33, $34 FROM changed
        )
        SELECT EXISTS (SELECT FROM due) AS "written!""#,
        claimed.export.id.0,
        claimed.claim,
        claimed.export.version,
        alone == Alone::Yes,
        delay.map(|delay| i64::try_from(delay.as_millis()).unwrap_or(i64::MAX)),
        i32::try_from(failures).unwrap_or(i32::MAX),
        phase.as_str(),
        in_doubt,
        status == ExportStatus::TimedOut,
        outcome.change.is_some(),
        export.version,
        OffsetDateTime::from(export.updated_at),
        status.as_str(),
        export.status_reason,
        export.origin.client_token().map(|token| token.as_str()),
        export.origin.token_made_at().map(OffsetDateTime::from),
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
        outcome.change.as_ref().map(|change| change.event.as_str()),
        outcome.change.as_ref().map(|change| change.detail.as_str()),
        by.map(CallerName::as_str),
    )
    .fetch_one(executor)
    .await?;
    Ok(written)
}

/// Writes what a change brings along: a verification that was asked for, and webhooks. How many deliveries were written.
async fn follow(tx: &mut PgConnection, change: &Change, ids: Ids<'_>) -> Result<usize, StoreError> {
    let export = &change.export;
    if export.request.verify && export.status() == ExportStatus::Completed {
        super::verifications::start(tx, export.id, false, export.updated_at).await?;
    }
    match Announcement::of(change) {
        Some(announcement) => super::deliveries::announce(tx, &announcement, ids).await,
        None => Ok(0),
    }
}
