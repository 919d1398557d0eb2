//! Writes what a step led to: the export, its event, its schedule, and with them its webhook deliveries and what else it brings along.

use std::cmp::Ordering;

use super::deliveries::Ids;
use super::insert::{First, NewExport, insert};
use super::pool::Connection;
use super::steps::{Alone, Step, write};
use super::together::{Queue, Together};
use super::{Store, StoreError};
use crate::domain::event::EventKind;
use crate::domain::export::ExportStatus;
use crate::domain::retry::NextAttempt;
use crate::domain::step::{Change, Claimed, NextLook, Outcome};
use crate::domain::webhook::announcement::Announcement;
use crate::measures::STEP_GROUP;

/// Where steps wait to be written, those that bring nothing along [`together`](super::together). Cheap to clone.
#[derive(Debug, Clone)]
pub struct StepQueue {
    store: Store,
    queue: Queue<Steps>,
}

/// Writes steps that bring nothing along.
#[derive(Debug)]
struct Steps(Store);

impl StepQueue {
    /// A queue with its writer, which ends with the last clone of the queue.
    #[must_use]
    pub fn start(store: Store) -> Self {
        Self { queue: Queue::start(Steps(store.clone())), store }
    }

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
        let mut step = Step::of(claimed, outcome, None)?;
        if next_attempt.is_none() && brings_nothing_more(outcome) {
            let written;
            (step, written) = self.queue.write(step).await?;
            if written {
                return Ok(0);
            }
        }
        let mut tx = self.store.pool.begin().await?;
        if write(&mut *tx, &[&step], Alone::No).await?.is_empty() {
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
}

impl Together for Steps {
    type Item = Step;
    /// Whether it was written; else the export changed since it was claimed, or an endpoint may want to hear of it.
    type Written = bool;
    /// More than a worker has hands.
    const MOST_WAITING: usize = 4096;

    /// As rows of the schedule are locked everywhere.
    fn order(a: &Step, b: &Step) -> Ordering {
        a.export_id.cmp(&b.export_id)
    }

    async fn write(&self, steps: &mut [Step]) -> Result<Vec<bool>, StoreError> {
        metrics::histogram!(STEP_GROUP).record(u32::try_from(steps.len()).unwrap_or(u32::MAX));
        self.0.ensure_writable()?;
        // Of two steps of one export, which come of a claim that was held for too long, one is stale. It hears so when it is written alone.
        let mut once: Vec<&Step> = steps.iter().collect();
        once.dedup_by_key(|step| step.export_id);
        let mut written = write(&self.0.pool, &once, Alone::Yes).await?;
        Ok(steps.iter().map(|step| written.remove(&step.export_id)).collect())
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

/// Whether nothing but an endpoint could want something of this outcome.
fn brings_nothing_more(outcome: &Outcome) -> bool {
    outcome.change.as_ref().is_none_or(|change| {
        let request = &change.export.request;
        let verified = request.verify && change.export.status() == ExportStatus::Completed;
        !verified && Announcement::of(change).is_none_or(|announcement| announcement.callback().is_none())
    })
}

/// Writes what a change brings along: a verification that was asked for, and webhooks. How many deliveries were written.
pub(super) async fn follow(tx: &mut Connection, change: &Change, ids: Ids<'_>) -> Result<usize, StoreError> {
    let export = &change.export;
    if export.request.verify && export.status() == ExportStatus::Completed {
        super::verifications::start(tx, export.id, false, export.updated_at).await?;
    }
    match Announcement::of(change) {
        Some(announcement) => super::deliveries::announce(tx, &announcement, ids).await,
        None => Ok(0),
    }
}
