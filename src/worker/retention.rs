//! Removes what has been kept long enough, in small batches so that nobody waits for it.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Chance;
use crate::settings::Retention;
use crate::store::{Store, StoreError};
use crate::telemetry::error_chain::in_words;
use crate::telemetry::metrics_catalog::REMOVED;

/// How often it is looked through, ± half: replicas need not do it together.
const EVERY: Duration = Duration::from_secs(3600);

/// How long after the start it is looked through first, ± half.
const FIRST: Duration = Duration::from_secs(300);

/// How long it is remembered that the receiver of a callback has failed.
const FORGET_RECEIVERS: Duration = Duration::from_secs(30 * 24 * 3600);

/// How much is removed by one statement.
const BATCH: i64 = 500;

/// Removes what is old until `stop`.
pub async fn run(store: Store, retention: Retention, chance: Chance, stop: CancellationToken) {
    let mut pause = FIRST;
    loop {
        tokio::select! {
            () = tokio::time::sleep(chance.jitter().spread(pause, 0.5)) => {}
            () = stop.cancelled() => return,
        }
        pause = EVERY;
        if let Err(error) = sweep(&store, retention, &chance, &stop).await {
            tracing::warn!(
                error.message = in_words(&error),
                "old records could not be removed; trying again later"
            );
        }
    }
}

/// Removes everything that is old now. How many rows of each kind: exports, events, deliveries.
///
/// # Errors
/// The database does not answer; what was removed stays removed.
pub async fn sweep(
    store: &Store,
    retention: Retention,
    chance: &Chance,
    stop: &CancellationToken,
) -> Result<[u64; 3], StoreError> {
    let mut removed = [0; 3];
    let before = |kept: Duration| chance.now().minus(kept);
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
            "old records were removed"
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
