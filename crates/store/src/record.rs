//! Writes what a step led to: the export, its event, its schedule, and with them its webhook
//! deliveries and what else it brings along.

use std::cmp::Ordering;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering as Memory};

use super::insert::{First, NewExport, insert};
use super::steps::{Bodies, Step, Written, write};
use super::together::{Queue, Together};
use super::{Store, StoreError};
use tableferry_domain::event::EventKind;
use tableferry_domain::ids::DeliveryId;
use tableferry_domain::retry::NextAttempt;
use tableferry_domain::step::{Claimed, NextLook, Outcome};
use tableferry_telemetry::metrics_catalog::STEP_GROUP;

/// Where steps wait to be written [`together`](super::together). Cheap to clone.
#[derive(Debug, Clone)]
pub struct StepQueue {
    store: Store,
    queue: Queue<Steps>,
    /// Whether the last step that was written saw a webhook endpoint: then the bodies for endpoints
    /// are made beforehand.
    has_endpoints: Arc<AtomicBool>,
}

/// Writes steps.
#[derive(Debug)]
struct Steps(Store);

impl StepQueue {
    /// A queue with its writer, which ends with the last clone of the queue.
    #[must_use]
    pub fn start(store: Store) -> Self {
        Self {
            queue: Queue::start(Steps(store.clone())),
            store,
            has_endpoints: Arc::default(),
        }
    }

    /// Writes the outcome of a step on a claimed export, with the webhooks that tell of it and the
    /// attempt that follows by itself. A look that changed nothing and fits the plan writes
    /// nothing. How many deliveries were written, whose ids are made of `delivery_id`.
    ///
    /// # Errors
    /// [`StoreError::Stale`] when the export changed since it was claimed, or the database does not
    /// answer; then nothing is written.
    pub async fn record(
        &self,
        claimed: &Claimed,
        outcome: &Outcome,
        next_attempt: Option<&NextAttempt>,
        delivery_id: DeliveryId,
    ) -> Result<usize, StoreError> {
        if outcome.change.is_none() && fits_the_plan(claimed, outcome.next) {
            return Ok(0);
        }
        let step = |bodies| {
            Step::of(
                claimed,
                outcome,
                None,
                delivery_id,
                bodies,
                &self.store.public_url,
            )
        };
        if let Some(next) = next_attempt {
            return self.write_with_next(&step(Bodies::All)?, next).await;
        }
        let first = if self.has_endpoints.load(Memory::Relaxed) {
            Bodies::All
        } else {
            Bodies::ForCallbacks
        };
        // What is left out the first time lacks its body, stood beside another step of its export,
        // or is stale; only the last stays so.
        for bodies in [first, Bodies::All] {
            if let (_, Some(written)) = self.queue.write(step(bodies)?).await? {
                self.has_endpoints
                    .store(written.has_endpoints, Memory::Relaxed);
                return Ok(written.deliveries);
            }
        }
        Err(StoreError::Stale)
    }

    /// Writes a step and the export that follows it in one transaction.
    async fn write_with_next(&self, step: &Step, next: &NextAttempt) -> Result<usize, StoreError> {
        let mut tx = self.store.pool.begin().await?;
        let written = write(&mut *tx, &[step])
            .await?
            .remove(&step.export_id)
            .ok_or(StoreError::Stale)?;
        let first = First {
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
            first,
        )
        .await?
        .is_empty()
        {
            return Err(StoreError::Stale);
        }
        tx.commit().await?;
        Ok(written.deliveries)
    }
}

impl Together for Steps {
    type Item = Step;
    /// `None` if it was not written: the export changed since it was claimed, or its webhooks lack
    /// their body.
    type Written = Option<Written>;
    /// More than a worker has hands.
    const MOST_WAITING: usize = 4096;

    /// As rows of the schedule are locked everywhere.
    fn order(a: &Step, b: &Step) -> Ordering {
        a.export_id.cmp(&b.export_id)
    }

    async fn write(&self, steps: &mut [Step]) -> Result<Vec<Option<Written>>, StoreError> {
        metrics::histogram!(STEP_GROUP).record(u32::try_from(steps.len()).unwrap_or(u32::MAX));
        self.0.ensure_writable()?;
        // Of two steps of one export, which come of a claim that was held for too long, one is left
        // out; it is written again.
        let mut once: Vec<&Step> = steps.iter().collect();
        once.dedup_by_key(|step| step.export_id);
        let mut written = write(&self.0.pool, &once).await?;
        Ok(steps
            .iter()
            .map(|step| written.remove(&step.export_id))
            .collect())
    }
}

/// Whether claiming has set the next look already.
fn fits_the_plan(claimed: &Claimed, next: NextLook) -> bool {
    match next {
        NextLook::After {
            delay, failures, ..
        } => {
            failures == claimed.failures
                && delay.abs_diff(claimed.planned_delay) <= claimed.planned_delay / 4
        }
        NextLook::Never => false,
    }
}
