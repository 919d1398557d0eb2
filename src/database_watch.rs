//! Checks the database's health every two seconds and logs each change, so that an outage is logged
//! once however many tasks it affects.

use std::mem::discriminant;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::store::{DatabaseProblem, Store};
use crate::telemetry::metrics_catalog::DATABASE_WRITABLE;

const INTERVAL: Duration = Duration::from_secs(2);

/// Checks until `stop`.
pub async fn run(store: Store, stop: CancellationToken) {
    let mut problem: Option<(Instant, DatabaseProblem)> = None;
    while !stop.is_cancelled() {
        let health = store.health().await;
        metrics::gauge!(DATABASE_WRITABLE).set(if health.is_ok() { 1.0 } else { 0.0 });
        match (health, &mut problem) {
            (Ok(()), None) => {}
            (Ok(()), Some((since, _))) => {
                tracing::info!(
                    outage.duration_s = since.elapsed().as_secs_f64(),
                    "the database answers and accepts writes again"
                );
                problem = None;
            }
            // The same problem with another host or cause is not logged again.
            (Err(now), Some((_, before))) if discriminant(before) == discriminant(&now) => {}
            (Err(now), before) => {
                if now == DatabaseProblem::OldSchema {
                    // Normal at the first start, until the database is migrated.
                    tracing::info!("{now}");
                } else {
                    tracing::warn!(
                        error.message = now.log_text(),
                        "the database cannot be used; checking again every two seconds"
                    );
                }
                let since = before
                    .as_ref()
                    .map_or_else(Instant::now, |(since, _)| *since);
                problem = Some((since, now));
            }
        }
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = stop.cancelled() => {}
        }
    }
}
