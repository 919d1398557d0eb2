//! Claims exports within the quotas of their lanes and takes a step of each.
//!
//! Starts of one lane are taken one after the other, in the order in which the exports were
//! created; when AWS throttles or its quota is full, the rest of them is handed back unasked. Looks
//! are taken side by side. Where several exports of one table are to be looked at, one page of
//! ListExports (25 exports) says for all of them whether they still run; only those that do not are
//! described. That pays from three exports of a table on, since the page is a call too and each
//! export that has ended costs its own.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::crew::Work;
use super::export_step::{Stepper, Taken};
use super::lanes::Lanes;
use crate::domain::description::ExportDescription;
use crate::domain::step::Claimed;
use crate::domain::timing::{LANE_PAUSES, START_MARGIN};
use crate::store::schedule::{ClaimedInLane, Phase};
use crate::store::{Store, StoreError};
use crate::telemetry::error_chain::in_words;
use crate::telemetry::metrics_catalog::{LIMIT_EXCEEDED, POLL_LAG};

/// From how many exports of one table on a page of ListExports is asked instead of each export.
const LIST_PAYS_FROM: usize = 3;

/// Drives exports with AWS.
#[derive(Debug)]
pub struct ExportWorker {
    /// Takes the steps.
    pub stepper: Stepper,
    /// Paces them.
    pub lanes: Lanes,
    /// Cancelled when the process begins to stop: then no start is sent any more.
    pub stopping: CancellationToken,
}

/// Claimed exports that are worked on together.
#[derive(Debug)]
pub struct Batch {
    work: BatchWork,
    exports: Vec<Claimed>,
    claimed_at: Instant,
}

/// What is to be done with a batch.
#[derive(Debug)]
enum BatchWork {
    /// They waited too long for their start: no call is made.
    TimeOut,
    /// Calls of this phase in this lane.
    InLane(String, Phase),
}

/// What a lane has in hand; given back however the work ends.
struct Hand<'a> {
    lanes: &'a Lanes,
    lane: &'a str,
    phase: Phase,
    calls: u32,
    unused: u32,
}

impl Drop for Hand<'_> {
    fn drop(&mut self) {
        self.lanes
            .released(self.lane, self.phase, self.calls, self.unused);
    }
}

impl Batch {
    fn size(&self) -> u32 {
        u32::try_from(self.exports.len()).unwrap_or(u32::MAX)
    }
}

impl Work for ExportWorker {
    type Item = Batch;
    const NAME: &'static str = "exports";
    const HANDS: usize = 1024;
    const GATHER: Duration = Duration::from_millis(5);

    fn store(&self) -> &Store {
        &self.stepper.store
    }

    async fn claim(&self, limit: usize, ahead: Duration) -> Result<Vec<Batch>, StoreError> {
        let store = &self.stepper.store;
        let now = self.stepper.chance.now();
        let plan = self.lanes.plan(store.due_lanes(ahead).await?, now);
        for (lane, reason) in plan.full {
            store.tell_waiting(&lane, &reason, now).await?;
        }
        let most = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut batches: Vec<Batch> = Vec::new();
        let overdue = store.claim_overdue(most, now).await?;
        if !overdue.is_empty() {
            let exports = overdue.into_iter().map(|one| one.claimed).collect();
            batches.push(Batch {
                work: BatchWork::TimeOut,
                exports,
                claimed_at: Instant::now(),
            });
        }
        if plan.quotas.is_empty() {
            return Ok(batches);
        }
        // Read before the claim: a pause during the claim counts as time in hand.
        let claimed_at = Instant::now();
        let claimed = store.claim_exports(&plan.quotas, most, ahead, now).await?;
        for one in &claimed {
            let phase = match one.phase {
                Phase::Start => "start",
                Phase::Follow => "look",
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

    async fn work(&self, batch: Batch) {
        let size = batch.size();
        match &batch.work {
            BatchWork::TimeOut => {
                for claimed in &batch.exports {
                    self.stepper.time_out(claimed).await;
                }
            }
            BatchWork::InLane(lane, phase) => {
                let mut hand = Hand {
                    lanes: &self.lanes,
                    lane,
                    phase: *phase,
                    calls: size,
                    unused: 0,
                };
                hand.unused = match phase {
                    Phase::Start => self.start_in_order(lane, &batch).await,
                    Phase::Follow => self.look(lane, &batch).await,
                };
            }
        }
    }
}

impl ExportWorker {
    /// Starts the exports of a batch one after the other. How many calls were not made.
    async fn start_in_order(&self, lane: &str, batch: &Batch) -> u32 {
        let mut unused = 0;
        let mut hand_back = None;
        for claimed in &batch.exports {
            let late = batch.claimed_at.elapsed() > START_MARGIN || self.stopping.is_cancelled();
            if let Some(delay) = hand_back.or_else(|| late.then_some(Duration::ZERO)) {
                unused += 1;
                // Not handed back, it is due when the hold ends.
                if let Err(error) = self.stepper.store.unclaim(claimed, delay).await {
                    tracing::debug!(export.id = %claimed.export.id, error.message = in_words(&error), "a claim could not be handed back");
                }
                continue;
            }
            let taken = self.stepper.step(claimed, None).await;
            unused += u32::from(taken == Taken::NoCall);
            if !self.learn(lane, Phase::Start, taken) {
                hand_back = Some(LANE_PAUSES);
            }
        }
        unused
    }

    /// Looks at the exports of a batch: by one page of their table's exports where that pays. How
    /// many calls were not made.
    async fn look(&self, lane: &str, batch: &Batch) -> u32 {
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
            let taken = self.stepper.step(claimed, known).await;
            self.learn(lane, Phase::Follow, taken);
        }
        batch.size().saturating_sub(calls)
    }

    /// The exports of the batch's table that AWS lists as IN_PROGRESS; none if AWS does not say.
    async fn still_running(&self, lane: &str, batch: &Batch) -> HashMap<String, ExportDescription> {
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
                    "ListExports gave nothing; each export is described"
                );
                HashMap::new()
            }
        }
    }

    /// Tells the lane how AWS took a call. Whether more calls of the same kind make sense at once.
    fn learn(&self, lane: &str, phase: Phase, taken: Taken) -> bool {
        let (now, jitter) = (self.stepper.chance.now(), self.stepper.chance.jitter());
        match taken {
            Taken::NoCall | Taken::Unclear => {}
            Taken::Answered => self.lanes.taken_by_aws(lane, phase),
            Taken::Throttled => self.lanes.throttled(lane, phase, now, jitter),
            Taken::LimitExceeded => {
                metrics::counter!(LIMIT_EXCEEDED).increment(1);
                self.lanes.limit_exceeded(lane, now, jitter);
            }
        }
        !matches!(taken, Taken::Throttled | Taken::LimitExceeded)
    }
}

/// Starts: a batch a lane. Looks: a batch a table where a list pays, else one each.
fn group(claimed: Vec<ClaimedInLane>, claimed_at: Instant) -> Vec<Batch> {
    let mut groups: HashMap<(Phase, String, Option<String>), Vec<Claimed>> = HashMap::new();
    for one in claimed {
        let table = (one.phase == Phase::Follow)
            .then(|| one.claimed.export.request.table_arn.as_str().to_owned());
        groups
            .entry((one.phase, one.lane, table))
            .or_default()
            .push(one.claimed);
    }
    let mut batches = Vec::new();
    for ((phase, lane, _), exports) in groups {
        let together = phase == Phase::Start || exports.len() >= LIST_PAYS_FROM;
        let parts = if together {
            vec![exports]
        } else {
            exports.into_iter().map(|one| vec![one]).collect()
        };
        batches.extend(parts.into_iter().map(|exports| Batch {
            work: BatchWork::InLane(lane.clone(), phase),
            exports,
            claimed_at,
        }));
    }
    batches
}
