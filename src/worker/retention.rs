//! Deletes records whose retention has ended, in small batches that block no other statement for
//! long.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::domain::error_chain::in_words;
use crate::store::{Store, StoreError};
use crate::telemetry::metrics_catalog::REMOVED;

/// How long records are kept; `None` is indefinitely.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// Exports, with their events, counted from the end of the export.
    pub exports: Option<Duration>,
    /// Events, counted from the end of their export.
    pub events: Option<Duration>,
    /// Settled webhook deliveries with their attempts, counted from the event.
    pub attempts: Option<Duration>,
}

/// Between two sweeps, ± half, so that replicas sweep at different times.
const EVERY: Duration = Duration::from_secs(3600);

/// Between the start of the process and its first sweep, ± half.
const FIRST: Duration = Duration::from_secs(300);

/// How long the failures of a callback receiver are remembered.
const FORGET_RECEIVERS: Duration = Duration::from_secs(30 * 24 * 3600);

/// How many rows one statement deletes.
const BATCH: i64 = 500;

/// Sweeps until `stop`.
pub async fn run(store: Store, retention: Retention, clock: Clock, stop: CancellationToken) {
    let mut pause = FIRST;
    loop {
        tokio::select! {
            () = tokio::time::sleep(clock.jitter().spread(pause, 0.5)) => {}
            () = stop.cancelled() => return,
        }
        pause = EVERY;
        if let Err(error) = sweep(&store, retention, &clock, &stop).await {
            tracing::warn!(
                error.message = in_words(&error),
                "old records could not be deleted; trying again later"
            );
        }
    }
}

/// Deletes everything whose retention has ended. Returns how many exports, events and deliveries
/// were deleted. After an error, earlier batches stay deleted.
pub async fn sweep(
    store: &Store,
    retention: Retention,
    clock: &Clock,
    stop: &CancellationToken,
) -> Result<[u64; 3], StoreError> {
    let mut removed = [0; 3];
    let before = |kept: Duration| clock.now().minus(kept);
    if let Some(kept) = retention.exports {
        removed[0] = until_done(stop, || {
            store.remove_exports_ended_before(before(kept), BATCH)
        })
        .await?;
    }
    if let Some(kept) = retention.events {
        removed[1] = until_done(stop, || {
            store.remove_events_ended_before(before(kept), BATCH)
        })
        .await?;
    }
    if let Some(kept) = retention.attempts {
        removed[2] =
            until_done(stop, || store.remove_deliveries_before(before(kept), BATCH)).await?;
    }
    until_done(stop, || store.abandon_orphans(BATCH)).await?;
    until_done(stop, || {
        store.forget_receivers(before(FORGET_RECEIVERS), BATCH)
    })
    .await?;
    if removed != [0; 3] {
        let [exports, events, deliveries] = removed;
        for (kind, count) in [
            ("exports", exports),
            ("events", events),
            ("deliveries", deliveries),
        ] {
            metrics::counter!(REMOVED, "kind" => kind).increment(count);
        }
        tracing::info!(
            removed.exports = exports,
            removed.events = events,
            removed.deliveries = deliveries,
            "old records were deleted"
        );
    }
    Ok(removed)
}

async fn until_done<F>(
    stop: &CancellationToken,
    mut remove: impl FnMut() -> F,
) -> Result<u64, StoreError>
where
    F: Future<Output = Result<u64, StoreError>>,
{
    let mut total = 0;
    while !stop.is_cancelled() {
        let removed = remove().await?;
        total += removed;
        if removed < BATCH.unsigned_abs() {
            break;
        }
    }
    Ok(total)
}
