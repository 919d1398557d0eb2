//! Claims exports within the quotas of their lanes and takes a step of each.
//!
//! The starts of one lane are sent one after the other, in the order in which the exports were
//! created. When AWS throttles or its quota is full, the claims of the rest are released without a
//! call. Polls run concurrently. For several exports of one table, one page of ListExports (25
//! exports) says which still run, and only the others are described. This saves calls from three
//! exports per table on: the page is a call, and so is the description of each export that has
//! ended.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::export_step::{CallOutcome, Stepper};
use super::lanes::Lanes;
use super::runner::Worker;
use crate::domain::aws::description::ExportDescription;
use crate::domain::error_chain::in_words;
use crate::domain::lifecycle::outcome::Claimed;
use crate::domain::lifecycle::timing::{LANE_PAUSES, START_MARGIN};
use crate::signals::{Signals, Wake};
use crate::store::schedule::{ClaimedInLane, ExportPhase};
use crate::store::{Store, StoreError};
use crate::telemetry::metrics_catalog::{LIMIT_EXCEEDED, POLL_LAG};

/// From this number of exports per table on, ListExports is called.
const LIST_PAYS_FROM: usize = 3;

#[derive(Debug)]
pub struct ExportWorker {
    pub stepper: Stepper,
    pub lanes: Lanes,
}

/// Claimed exports that one task works on.
#[derive(Debug)]
pub struct ExportBatch {
    work: BatchWork,
    exports: Vec<Claimed>,
    claimed_at: Instant,
}

#[derive(Debug)]
enum BatchWork {
    /// The exports waited too long for their start; no call is made.
    TimeOut,
    /// Calls of this phase in this lane.
    InLane(String, ExportPhase),
}

/// Counts the calls that a lane has in flight until it is dropped, however the work ends.
struct LaneGuard<'a> {
    lanes: &'a Lanes,
    lane: &'a str,
    phase: ExportPhase,
    calls: u32,
    unused: u32,
}

impl Drop for LaneGuard<'_> {
    fn drop(&mut self) {
        self.lanes
            .released(self.lane, self.phase, self.calls, self.unused);
    }
}

impl ExportBatch {
    fn size(&self) -> u32 {
        u32::try_from(self.exports.len()).unwrap_or(u32::MAX)
    }
}

impl Worker for ExportWorker {
    type Item = ExportBatch;
    const NAME: &'static str = "exports";
    const MAX_CONCURRENT: usize = 1024;
    const BATCH_DELAY: Duration = Duration::from_millis(5);

    fn store(&self) -> &Store {
        &self.stepper.store
    }

    fn due<'a>(&self, signals: &'a Signals) -> &'a Wake {
        &signals.export_due
    }

    async fn claim(&self, limit: usize, ahead: Duration) -> Result<Vec<ExportBatch>, StoreError> {
        let store = &self.stepper.store;
        let now = self.stepper.clock.now();
        let plan = self.lanes.plan(store.due_lanes(ahead).await?, now);
        for (lane, reason) in plan.full {
            store.mark_delayed(&lane, &reason, now).await?;
        }
        let maximum = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut batches: Vec<ExportBatch> = Vec::new();
        let overdue = store.claim_overdue(maximum, now).await?;
        if !overdue.is_empty() {
            let exports = overdue.into_iter().map(|one| one.claimed).collect();
            batches.push(ExportBatch {
                work: BatchWork::TimeOut,
                exports,
                claimed_at: Instant::now(),
            });
        }
        if plan.quotas.is_empty() {
            return Ok(batches);
        }
        // Read before the claim, so that the time that the claim takes counts.
        let claimed_at = Instant::now();
        let claimed = store
            .claim_exports(&plan.quotas, maximum, ahead, now)
            .await?;
        for one in &claimed {
            let phase = match one.phase {
                ExportPhase::Start => "start",
                ExportPhase::Poll => "look",
            };
            metrics::histogram!(POLL_LAG, "phase" => phase).record(one.late.as_secs_f64());
        }
        for batch in group(claimed, claimed_at) {
            if let BatchWork::InLane(lane, phase) = &batch.work {
                self.lanes.claimed(lane, *phase, batch.size(), now);
            }
            batches.push(batch);
        }
        Ok(batches)
    }

    async fn work(&self, batch: ExportBatch) {
        let size = batch.size();
        match &batch.work {
            BatchWork::TimeOut => {
                for claimed in &batch.exports {
                    self.stepper.time_out(claimed).await;
                }
            }
            BatchWork::InLane(lane, phase) => {
                let mut guard = LaneGuard {
                    lanes: &self.lanes,
                    lane,
                    phase: *phase,
                    calls: size,
                    unused: 0,
                };
                guard.unused = match phase {
                    ExportPhase::Start => self.start_in_order(lane, &batch).await,
                    ExportPhase::Poll => self.poll(lane, &batch).await,
                };
            }
        }
    }
}

impl ExportWorker {
    /// Starts the exports of a batch one after the other. Returns how many calls were not made.
    async fn start_in_order(&self, lane: &str, batch: &ExportBatch) -> u32 {
        let mut unused = 0;
        let mut release_after = None;
        for claimed in &batch.exports {
            let late = batch.claimed_at.elapsed() > START_MARGIN
                || self.stepper.signals.stopping.is_cancelled();
            if let Some(delay) = release_after.or_else(|| late.then_some(Duration::ZERO)) {
                unused += 1;
                // If this fails, the export is due when its lease ends.
                if let Err(error) = self.stepper.store.unclaim(claimed, delay).await {
                    tracing::debug!(export.id = %claimed.export.id, error.message = in_words(&error), "a claim could not be released");
                }
                continue;
            }
            let call = self.stepper.step(claimed, None).await;
            unused += u32::from(call == CallOutcome::NoCall);
            if !self.record_outcome(lane, ExportPhase::Start, call) {
                release_after = Some(LANE_PAUSES);
            }
        }
        unused
    }

    /// Polls the exports of a batch. Returns how many calls were not made.
    async fn poll(&self, lane: &str, batch: &ExportBatch) -> u32 {
        let mut calls = 0;
        let mut running = HashMap::new();
        if batch.exports.len() >= LIST_PAYS_FROM {
            calls += 1;
            running = self.still_running(lane, batch).await;
        }
        for claimed in &batch.exports {
            let known = claimed
                .export
                .state
                .accepted()
                .and_then(|accepted| running.remove(accepted.arn.as_str()));
            calls += u32::from(known.is_none());
            let call = self.stepper.step(claimed, known).await;
            self.record_outcome(lane, ExportPhase::Poll, call);
        }
        batch.size().saturating_sub(calls)
    }

    /// The exports of the batch's table that AWS lists as IN_PROGRESS, by ARN; empty if the call
    /// fails.
    async fn still_running(
        &self,
        lane: &str,
        batch: &ExportBatch,
    ) -> HashMap<String, ExportDescription> {
        let Some(first) = batch.exports.first() else {
            return HashMap::new();
        };
        match self
            .stepper
            .aws
            .list_running(&first.export.request.table_arn)
            .await
        {
            Ok(running) => running,
            Err(failure) => {
                tracing::debug!(
                    aws.lane = lane,
                    aws.error.code = failure.code,
                    "ListExports failed; each export is described instead"
                );
                HashMap::new()
            }
        }
    }

    /// Adjusts the lane's pace. Returns whether further calls of this phase make sense now.
    fn record_outcome(&self, lane: &str, phase: ExportPhase, call: CallOutcome) -> bool {
        let (now, jitter) = (self.stepper.clock.now(), self.stepper.clock.jitter());
        match call {
            CallOutcome::NoCall | CallOutcome::Unclear => {}
            CallOutcome::Answered => self.lanes.on_success(lane, phase),
            CallOutcome::Throttled => self.lanes.throttled(lane, phase, now, jitter),
            CallOutcome::LimitExceeded => {
                metrics::counter!(LIMIT_EXCEEDED).increment(1);
                self.lanes.limit_exceeded(lane, now, jitter);
            }
        }
        !matches!(call, CallOutcome::Throttled | CallOutcome::LimitExceeded)
    }
}

/// Starts: one batch per lane. Polls: one batch per table where a list saves calls, else one batch
/// per export.
fn group(claimed: Vec<ClaimedInLane>, claimed_at: Instant) -> Vec<ExportBatch> {
    let mut groups: HashMap<(ExportPhase, String, Option<String>), Vec<Claimed>> = HashMap::new();
    for one in claimed {
        let table = (one.phase == ExportPhase::Poll)
            .then(|| one.claimed.export.request.table_arn.as_str().to_owned());
        groups
            .entry((one.phase, one.lane, table))
            .or_default()
            .push(one.claimed);
    }
    let mut batches = Vec::new();
    for ((phase, lane, _), exports) in groups {
        let as_one = phase == ExportPhase::Start || exports.len() >= LIST_PAYS_FROM;
        let parts = if as_one {
            vec![exports]
        } else {
            exports.into_iter().map(|one| vec![one]).collect()
        };
        batches.extend(parts.into_iter().map(|exports| ExportBatch {
            work: BatchWork::InLane(lane.clone(), phase),
            exports,
            claimed_at,
        }));
    }
    batches
}
