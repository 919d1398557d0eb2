//! Changes of exports by callers: cancelling, settling a start in doubt, deleting.

use std::time::Duration;

use super::export_row::select_exports;
use super::outcome::{Bodies, PreparedOutcome, write};
use super::pool::Transaction;
use super::{Store, StoreError};
use tableferry_domain::caller::CallerName;
use tableferry_domain::export::{Export, ExportState, TimedOut};
use tableferry_domain::ids::{DeliveryId, ExportId};
use tableferry_domain::lifecycle::outcome::{Change, Claimed, NextPoll, Outcome};

impl Store {
    /// Cancels an export that is PENDING and has no start on its way to AWS. `by` is the caller;
    /// the ids of the webhook deliveries are derived from `delivery_id`. Returns `None` if the
    /// export does not exist, and `Some(Err(export))` if it cannot be cancelled.
    pub async fn cancel(
        &self,
        id: ExportId,
        change: impl FnOnce(&Export) -> Change,
        by: Option<&CallerName>,
        delivery_id: DeliveryId,
    ) -> Result<Option<Result<Export, Box<Export>>>, StoreError> {
        let mut tx = self.pool.begin().await?;
        // The schedule's row is locked first, as claiming does, so that a claim and a cancellation
        // cannot both succeed.
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
        let outcome = Outcome {
            change: Some(change(&export)),
            next: NextPoll::Never,
        };
        let claimed = unclaimed(export, scheduled.claims);
        let change = self
            .write_last(tx, &claimed, outcome, by, delivery_id)
            .await?
            .ok_or(StoreError::Conflict)?;
        Ok(Some(Ok(change.export)))
    }

    /// Writes what AWS says of an export that is TIMED_OUT with a start in doubt, also after the
    /// search for it has ended. `by` is the caller. Returns the changed export; `None` if the start
    /// is not in doubt.
    pub async fn settle_doubt(
        &self,
        id: ExportId,
        outcome: impl FnOnce(&Claimed) -> Outcome,
        by: Option<&CallerName>,
        delivery_id: DeliveryId,
    ) -> Result<Option<Export>, StoreError> {
        let mut tx = self.pool.begin().await?;
        // After the search has ended the schedule has no row, but the statement that writes
        // outcomes needs one.
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
        let claimed = unclaimed(export, claim);
        let outcome = outcome(&claimed);
        let change = self
            .write_last(tx, &claimed, outcome, by, delivery_id)
            .await?;
        Ok(change.map(|change| change.export))
    }

    /// Deletes an export that has ended, or any export with `force`. Returns `None` if it does not
    /// exist, and `Some(false)` if it has not ended.
    pub async fn delete(&self, id: ExportId, force: bool) -> Result<Option<bool>, StoreError> {
        let mut tx = self.pool.begin().await?;
        // All transactions lock the schedule first.
        sqlx::query!(
            "SELECT export_id FROM export_schedule WHERE export_id = $1 FOR UPDATE",
            id.0
        )
        .fetch_optional(&mut *tx)
        .await?;
        let row = sqlx::query!(
            r#"WITH deleted AS (
                DELETE FROM exports WHERE id = $1 AND ($2 OR export_status NOT IN ('PENDING', 'IN_PROGRESS')) RETURNING id, labels
            ), unscheduled AS (
                DELETE FROM export_schedule USING deleted WHERE export_id = deleted.id
            ), deleted_events AS (
                DELETE FROM export_events USING deleted WHERE export_id = deleted.id
            ), deleted_labels AS (
                DELETE FROM export_labels l USING deleted, jsonb_each_text(deleted.labels) AS each
                WHERE l.label = each.key || ':' || each.value AND l.export_id = deleted.id
            )
            SELECT EXISTS (SELECT FROM exports WHERE id = $1) AS "known!", EXISTS (SELECT FROM deleted) AS "deleted!""#,
            id.0,
            force
        )
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(row.known.then_some(row.deleted))
    }

    /// Writes an outcome and commits. Returns the change that was written, if there was one.
    async fn write_last(
        &self,
        mut tx: Transaction,
        claimed: &Claimed,
        outcome: Outcome,
        by: Option<&CallerName>,
        delivery_id: DeliveryId,
    ) -> Result<Option<Change>, StoreError> {
        let prepared = PreparedOutcome::new(
            claimed,
            &outcome,
            by,
            delivery_id,
            Bodies::All,
            &self.public_url,
        )?;
        if write(&mut *tx, &[&prepared]).await?.is_empty() {
            return Err(StoreError::Conflict);
        }
        tx.commit().await?;
        Ok(outcome.change)
    }
}

/// An export whose schedule is locked by the transaction instead of by a worker's claim.
fn unclaimed(export: Export, claim: i32) -> Claimed {
    Claimed {
        export,
        claim,
        failures: 0,
        in_doubt: false,
        planned_delay: Duration::ZERO,
    }
}
