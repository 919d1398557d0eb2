//! What callers do to exports: cancels them, settles a start in doubt, deletes them.

use std::time::Duration;

use super::pool::Transaction;
use super::rows::select_exports;
use super::steps::{Bodies, Step, write};
use super::{Store, StoreError};
use tableferry_domain::caller::CallerName;
use tableferry_domain::export::{Export, ExportState, TimedOut};
use tableferry_domain::ids::{DeliveryId, ExportId};
use tableferry_domain::step::{Change, Claimed, NextLook, Outcome};

impl Store {
    /// Changes an export that is PENDING and of which no start is on its way to AWS, in the name of
    /// `by`; the ids of its webhook deliveries are made of `delivery_id`. `Ok(None)` when there is
    /// no such export, `Err(export)` inside when it stands elsewhere.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn cancel(
        &self,
        id: ExportId,
        change: impl FnOnce(&Export) -> Change,
        by: Option<&CallerName>,
        delivery_id: DeliveryId,
    ) -> Result<Option<Result<Export, Box<Export>>>, StoreError> {
        let mut tx = self.pool.begin().await?;
        // The schedule's row is locked first, as claiming does, so that a claim and a cancellation
        // cannot both win.
        let scheduled = sqlx::query!(
            r#"SELECT claims, phase = 'START' AND start_sent_at IS NULL AS "idle!" FROM export_schedule WHERE export_id = $1 FOR UPDATE"#,
            id.0
        )
        .fetch_optional(&mut *tx)
        .await?;
        let row = select_exports!("WHERE e.id = $1", id.0)
            .fetch_optional(&mut *tx)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let export = Export::try_from(row)?;
        let Some(scheduled) = scheduled.filter(|scheduled| scheduled.idle) else {
            return Ok(Some(Err(Box::new(export))));
        };
        let change = change(&export);
        let claimed = Claimed {
            export,
            claim: scheduled.claims,
            failures: 0,
            in_doubt: false,
            planned_delay: Duration::ZERO,
        };
        let outcome = Outcome {
            change: Some(change),
            next: NextLook::Never,
        };
        let step = Step::of(
            &claimed,
            &outcome,
            by,
            delivery_id,
            Bodies::All,
            &self.public_url,
        )?;
        let change = write_last(tx, &step, outcome)
            .await?
            .ok_or(StoreError::Stale)?;
        Ok(Some(Ok(change.export)))
    }

    /// Writes what AWS says of an export that is TIMED_OUT with a start in doubt, in the name of
    /// `by`, whether it is still searched for or not. The export after it; `None` if there is no
    /// such doubt.
    ///
    /// # Errors
    /// The database does not answer, or the export changed at this moment.
    pub async fn settle_doubt(
        &self,
        id: ExportId,
        outcome: impl FnOnce(&Claimed) -> Outcome,
        by: Option<&CallerName>,
        delivery_id: DeliveryId,
    ) -> Result<Option<Export>, StoreError> {
        let mut tx = self.pool.begin().await?;
        // After the search has ended there is no row: whoever writes holds one.
        sqlx::query!(
            "INSERT INTO export_schedule (export_id, lane, due_at, delay_ms, phase, deadline_at, timed_out)
            SELECT id, account_id || '/' || region, now(), 0, 'FOLLOW', created_at + create_timeout_ms * interval '1 millisecond', true
            FROM exports WHERE id = $1 AND start_in_doubt
            ON CONFLICT (export_id) DO NOTHING",
            id.0
        )
        .execute(&mut *tx)
        .await?;
        let claim = sqlx::query_scalar!(
            "SELECT claims FROM export_schedule WHERE export_id = $1 FOR UPDATE",
            id.0
        );
        let Some(claim) = claim.fetch_optional(&mut *tx).await? else {
            return Ok(None);
        };
        let Some(row) = select_exports!("WHERE e.id = $1", id.0)
            .fetch_optional(&mut *tx)
            .await?
        else {
            return Ok(None);
        };
        let export = Export::try_from(row)?;
        if export.state != ExportState::TimedOut(TimedOut::InDoubt) {
            return Ok(None);
        }
        let claimed = Claimed {
            export,
            claim,
            failures: 0,
            in_doubt: false,
            planned_delay: Duration::ZERO,
        };
        let outcome = outcome(&claimed);
        let step = Step::of(
            &claimed,
            &outcome,
            by,
            delivery_id,
            Bodies::All,
            &self.public_url,
        )?;
        Ok(write_last(tx, &step, outcome)
            .await?
            .map(|change| change.export))
    }

    /// Deletes an export that has ended, or any with `force`. `None` when there is no such export,
    /// `Some(false)` when it has not ended.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn delete(&self, id: ExportId, force: bool) -> Result<Option<bool>, StoreError> {
        let mut tx = self.pool.begin().await?;
        // In the same order as everybody else: the schedule first.
        sqlx::query!(
            "SELECT export_id FROM export_schedule WHERE export_id = $1 FOR UPDATE",
            id.0
        )
        .fetch_optional(&mut *tx)
        .await?;
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

/// Writes a step as the last thing of its transaction. The change that it wrote, if there was one.
async fn write_last(
    mut tx: Transaction,
    step: &Step,
    outcome: Outcome,
) -> Result<Option<Change>, StoreError> {
    if write(&mut *tx, &[step]).await?.is_empty() {
        return Err(StoreError::Stale);
    }
    tx.commit().await?;
    Ok(outcome.change)
}
