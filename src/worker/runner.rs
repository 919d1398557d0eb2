//! The loop that every worker runs: claim up to the number of free slots, run each claimed item in
//! its own task, repeat.
//!
//! A slow item never delays the next claim. When the process stops, the loop claims nothing more
//! and waits for the items in flight.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::domain::error_chain::in_words;
use crate::progress::WorkerProgress;
use crate::signals::{Signals, Wake};
use crate::store::{Store, StoreError};
use crate::telemetry::metrics_catalog::{CLAIMS, WORKER_TASKS};

/// A background job.
pub trait Worker: Send + Sync + 'static {
    /// What one task works on.
    type Item: Send + 'static;
    /// Its name in logs and metrics.
    const NAME: &'static str;
    /// The number of slots. Far more than one lane or receiver may use, since items mostly wait.
    const MAX_CONCURRENT: usize;
    /// How long an idle worker waits before the next claim; [`Worker::due`] shortens it.
    const IDLE: Duration = Duration::from_millis(250);
    /// How long to wait after a claim that found something, so that the next one finds more: the
    /// cost of a claim hardly depends on how much it finds.
    const BATCH_DELAY: Duration = Duration::ZERO;

    fn store(&self) -> &Store;

    /// The signal that wakes this worker.
    fn due<'a>(&self, signals: &'a Signals) -> &'a Wake;

    /// Claims at most `limit` items that are due within `ahead` from now.
    fn claim(
        &self,
        limit: usize,
        ahead: Duration,
    ) -> impl Future<Output = Result<Vec<Self::Item>, StoreError>> + Send;

    /// Does the work of one item and stores the outcome. Errors are logged inside.
    fn work(&self, item: Self::Item) -> impl Future<Output = ()> + Send;
}

/// How long a worker waits after a failed claim.
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// How often a worker without a free slot reports progress.
const BUSY_INTERVAL: Duration = Duration::from_secs(10);

/// Works until the process stops, then finishes the items in flight.
pub async fn run<W: Worker>(worker: Arc<W>, signals: Signals, progress: WorkerProgress) {
    let stopping = &signals.stopping;
    let mut tasks = JoinSet::new();
    let mut failing = false;
    while !stopping.is_cancelled() {
        progress.iterated(W::NAME);
        while tasks.try_join_next().is_some() {}
        let free = W::MAX_CONCURRENT.saturating_sub(tasks.len());
        metrics::gauge!(WORKER_TASKS, "worker" => W::NAME)
            .set(u32::try_from(tasks.len()).unwrap_or(u32::MAX));
        if free == 0 {
            // Busy is not stuck, and no claim is made meanwhile.
            progress.claimed(W::NAME);
            tokio::select! {
                _ = tasks.join_next() => {}
                () = pause(BUSY_INTERVAL, stopping) => {}
            }
            continue;
        }
        // Created before the claim, so that a signal between the claim and the wait is not missed.
        let woken = worker.due(&signals).received();
        match claim(&*worker, free).await {
            Ok(items) => {
                progress.claimed(W::NAME);
                if failing {
                    tracing::info!(worker.name = W::NAME, "the database answers again");
                    failing = false;
                }
                let found_nothing = items.is_empty();
                for item in items {
                    let worker = Arc::clone(&worker);
                    tasks.spawn(async move { worker.work(item).await });
                }
                if found_nothing {
                    tokio::select! {
                        () = woken => {}
                        () = pause(W::IDLE, stopping) => {}
                    }
                } else if !W::BATCH_DELAY.is_zero() {
                    pause(W::BATCH_DELAY, stopping).await;
                }
            }
            Err(error) => {
                if !failing {
                    tracing::warn!(
                        worker.name = W::NAME,
                        error.message = in_words(&error),
                        "work cannot be claimed; trying again every second"
                    );
                    failing = true;
                }
                pause(AFTER_ERROR, stopping).await;
            }
        }
    }
    progress.ended(W::NAME);
    while tasks.join_next().await.is_some() {}
}

/// Claims what is due now, and counts the claim.
async fn claim<W: Worker>(worker: &W, limit: usize) -> Result<Vec<W::Item>, StoreError> {
    // A claim is a write: while commits are blocked it would only occupy a connection at Postgres.
    let claimed = match worker.store().ensure_writable() {
        Ok(()) => worker.claim(limit, Duration::ZERO).await,
        Err(error) => Err(error),
    };
    let outcome = if claimed.is_ok() { "ok" } else { "error" };
    metrics::counter!(CLAIMS, "worker" => W::NAME, "outcome" => outcome).increment(1);
    claimed
}

/// Waits that long, or until the process stops.
async fn pause(time: Duration, stopping: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(time) => {}
        () = stopping.cancelled() => {}
    }
}

/// Claims once and works on the claimed items one after the other. For tests, which step workers
/// instead of running them.
pub async fn step<W: Worker>(worker: &W, ahead: Duration) -> Result<usize, StoreError> {
    let items = worker.claim(W::MAX_CONCURRENT, ahead).await?;
    let count = items.len();
    for item in items {
        worker.work(item).await;
    }
    Ok(count)
}
