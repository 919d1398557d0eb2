//! The queue in which outcomes wait to be written.

use std::cmp::Ordering;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering as Memory};

use super::statement::{Bodies, PreparedOutcome, Written, write};
use crate::accept::insert::{InitialEvent, NewExport, insert};
use crate::batching::{BatchWriter, Queue};
use crate::{Store, StoreError};
use tableferry_domain::export::event::EventKind;
use tableferry_domain::ids::DeliveryId;
use tableferry_domain::lifecycle::outcome::{Claimed, NextPoll, Outcome};
use tableferry_domain::lifecycle::retry::NextAttempt;
use tableferry_telemetry::metrics_catalog::STEP_GROUP;

/// The queue of outcomes that wait to be written. Cheap to clone.
#[derive(Debug, Clone)]
pub struct OutcomeQueue {
    store: Store,
    queue: Queue<OutcomeWriter>,
    /// Whether there was a webhook endpoint when the last outcome was written. If so, the bodies
    /// for endpoints are made in advance.
    has_endpoints: Arc<AtomicBool>,
}

/// Writes batches of outcomes.
#[derive(Debug)]
struct OutcomeWriter(Store);

impl OutcomeQueue {
    /// Starts a queue and its writer, which ends when the last clone of the queue is dropped.
    #[must_use]
    pub fn start(store: Store) -> Self {
        Self {
            queue: Queue::start(OutcomeWriter(store.clone())),
            store,
            has_endpoints: Arc::default(),
        }
    }

    /// Writes the outcome of a step on a claimed export, with its webhook deliveries and the next
    /// attempt if there is one, and returns the number of deliveries. A poll that changed nothing
    /// and keeps the planned delay writes nothing. The ids of the deliveries are derived from
    /// `delivery_id`.
    ///
    /// Fails with [`StoreError::Conflict`] if the export has changed since it was claimed. On any
    /// error nothing is written.
    pub async fn record(
        &self,
        claimed: &Claimed,
        outcome: &Outcome,
        next_attempt: Option<&NextAttempt>,
        delivery_id: DeliveryId,
    ) -> Result<usize, StoreError> {
        if outcome.change.is_none() && keeps_planned_delay(claimed, outcome.next) {
            return Ok(0);
        }
        let prepare = |bodies| {
            PreparedOutcome::new(
                claimed,
                outcome,
                None,
                delivery_id,
                bodies,
                &self.store.public_url,
            )
        };
        if let Some(next) = next_attempt {
            return self.write_with_next(&prepare(Bodies::All)?, next).await;
        }
        let likely = if self.has_endpoints.load(Memory::Relaxed) {
            Bodies::All
        } else {
            Bodies::ForCallbacks
        };
        // An outcome that the first statement leaves out lacks the bodies of its webhooks, was in a
        // batch with another outcome of the same export, or is stale. Only a stale one is left out
        // again.
        for bodies in [likely, Bodies::All] {
            if let (_, Some(written)) = self.queue.write(prepare(bodies)?).await? {
                self.has_endpoints
                    .store(written.has_endpoints, Memory::Relaxed);
                return Ok(written.deliveries);
            }
        }
        Err(StoreError::Conflict)
    }

    /// Writes an outcome and the export that is the next attempt in one transaction.
    async fn write_with_next(
        &self,
        prepared: &PreparedOutcome,
        next: &NextAttempt,
    ) -> Result<usize, StoreError> {
        let mut tx = self.store.pool.begin().await?;
        let written = write(&mut *tx, &[prepared])
            .await?
            .remove(&prepared.export_id)
            .ok_or(StoreError::Conflict)?;
        let event = InitialEvent {
            event: EventKind::Created,
            detail: &next.detail,
            delay: next.delay,
        };
        if insert(
            &mut *tx,
            &[NewExport {
                export: &next.export,
                key: None,
            }],
            event,
        )
        .await?
        .is_empty()
        {
            return Err(StoreError::Conflict);
        }
        tx.commit().await?;
        Ok(written.deliveries)
    }
}

impl BatchWriter for OutcomeWriter {
    type Item = PreparedOutcome;
    /// `None` if the outcome was not written: the export has changed since it was claimed, or its
    /// webhooks lack their body.
    type Written = Option<Written>;
    /// More than a worker processes at the same time.
    const MAX_WAITING: usize = 4096;

    /// In the order in which all statements lock rows of the schedule.
    fn order(a: &PreparedOutcome, b: &PreparedOutcome) -> Ordering {
        a.export_id.cmp(&b.export_id)
    }

    async fn write(
        &self,
        outcomes: &mut [PreparedOutcome],
    ) -> Result<Vec<Option<Written>>, StoreError> {
        metrics::histogram!(STEP_GROUP).record(u32::try_from(outcomes.len()).unwrap_or(u32::MAX));
        self.0.ensure_writable()?;
        // Two outcomes of one export come from a claim that has expired. One of them is left out;
        // its caller tries again.
        let mut one_per_export: Vec<&PreparedOutcome> = outcomes.iter().collect();
        one_per_export.dedup_by_key(|outcome| outcome.export_id);
        let mut written = write(&self.0.pool, &one_per_export).await?;
        Ok(outcomes
            .iter()
            .map(|outcome| written.remove(&outcome.export_id))
            .collect())
    }
}

/// Whether the claim has already set the time of the next poll.
fn keeps_planned_delay(claimed: &Claimed, next: NextPoll) -> bool {
    match next {
        NextPoll::After {
            delay, failures, ..
        } => {
            failures == claimed.failures
                && delay.abs_diff(claimed.planned_delay) <= claimed.planned_delay / 4
        }
        NextPoll::Never => false,
    }
}
