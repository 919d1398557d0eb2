//! The loop that every worker shares: claim as much as there are free hands, work on each claim in
//! a task of its own, repeat.
//!
//! A slow step never holds up the next claim. A stop claims nothing more and waits for the steps in
//! hand.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::progress::WorkerProgress;
use crate::store::{Store, StoreError};
use crate::telemetry::error_chain::in_words;
use crate::telemetry::metrics_catalog::{CLAIMS, IN_HAND};

/// One kind of work.
pub trait Work: Send + Sync + 'static {
    /// One claimed piece of it.
    type Item: Send + 'static;
    /// Its name in logs and metrics.
    const NAME: &'static str;
    /// How many pieces are worked on side by side: far more than one lane or receiver may hold,
    /// since they mostly wait.
    const HANDS: usize;
    /// How long an idle worker waits before it looks again; a wake-up shortens it.
    const IDLE: Duration = Duration::from_millis(250);
    /// How long it waits after a claim that found something, so that the next one finds more: a
    /// claim costs much the same whatever it finds.
    const GATHER: Duration = Duration::ZERO;

    /// Where the work is written down.
    fn store(&self) -> &Store;

    /// Claims at most `limit` pieces that are due within `ahead` from now.
    fn claim(
        &self,
        limit: usize,
        ahead: Duration,
    ) -> impl Future<Output = Result<Vec<Self::Item>, StoreError>> + Send;

    /// Does one piece and writes what came of it. Errors are handled (logged) inside.
    fn work(&self, item: Self::Item) -> impl Future<Output = ()> + Send;
}

/// How long a worker waits after the database failed.
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// How often a worker whose task slots are all used reports progress.
const BUSY_INTERVAL: Duration = Duration::from_secs(10);

/// Works until `stop`, then finishes what is in hand.
pub async fn run<W: Work>(
    work: Arc<W>,
    progress: WorkerProgress,
    wake: Arc<Notify>,
    stop: CancellationToken,
) {
    let mut tasks = JoinSet::new();
    let mut failing = false;
    while !stop.is_cancelled() {
        progress.iterated(W::NAME);
        while tasks.try_join_next().is_some() {}
        let free = W::HANDS.saturating_sub(tasks.len());
        metrics::gauge!(IN_HAND, "worker" => W::NAME)
            .set(u32::try_from(tasks.len()).unwrap_or(u32::MAX));
        if free == 0 {
            // Busy is not stuck, and the database is not asked for work meanwhile.
            progress.claimed(W::NAME);
            tokio::select! {
                _ = tasks.join_next() => {}
                () = tokio::time::sleep(BUSY_INTERVAL) => {}
                () = stop.cancelled() => {}
            }
            continue;
        }
        // Registered before looking, so that a wake-up between the look and the wait is not missed.
        let woken = wake.notified();
        // A claim is a write: while commits are blocked it would only occupy a connection at
        // Postgres.
        let claimed = match work.store().ensure_writable() {
            Ok(()) => work.claim(free, Duration::ZERO).await,
            Err(error) => Err(error),
        };
        let outcome = if claimed.is_ok() { "ok" } else { "error" };
        metrics::counter!(CLAIMS, "worker" => W::NAME, "outcome" => outcome).increment(1);
        match claimed {
            Ok(items) => {
                progress.claimed(W::NAME);
                if failing {
                    tracing::info!(worker.name = W::NAME, "the database answers again");
                    failing = false;
                }
                let idle = items.is_empty();
                for item in items {
                    let work = Arc::clone(&work);
                    tasks.spawn(async move { work.work(item).await });
                }
                if idle {
                    tokio::select! {
                        () = woken => {}
                        () = tokio::time::sleep(W::IDLE) => {}
                        () = stop.cancelled() => {}
                    }
                } else if !W::GATHER.is_zero() {
                    tokio::select! {
                        () = tokio::time::sleep(W::GATHER) => {}
                        () = stop.cancelled() => {}
                    }
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
                tokio::select! {
                    () = tokio::time::sleep(AFTER_ERROR) => {}
                    () = stop.cancelled() => {}
                }
            }
        }
    }
    progress.ended(W::NAME);
    while tasks.join_next().await.is_some() {}
}

/// Claims once and does what was claimed, one piece after the other; for tests, which step workers
/// by hand.
///
/// # Errors
/// The claim failed.
pub async fn step<W: Work>(work: &W, ahead: Duration) -> Result<usize, StoreError> {
    let items = work.claim(W::HANDS, ahead).await?;
    let count = items.len();
    for item in items {
        work.work(item).await;
    }
    Ok(count)
}
