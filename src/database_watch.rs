//! Asks after the database's health every two seconds, and logs when it changes: once for an outage, whoever else meets it.

use std::mem::discriminant;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::measures::DATABASE_WRITABLE;
use crate::store::{Ailment, Store};

/// How often it is asked.
const INTERVAL: Duration = Duration::from_secs(2);

/// Asks until `stop`.
pub async fn run(store: Store, stop: CancellationToken) {
    let mut trouble: Option<(Instant, Ailment)> = None;
    while !stop.is_cancelled() {
        let health = store.health().await;
        metrics::gauge!(DATABASE_WRITABLE).set(if health.is_ok() { 1.0 } else { 0.0 });
        match (health, &mut trouble) {
            (Ok(()), None) => {}
            (Ok(()), Some((since, _))) => {
                tracing::info!(outage.duration_s = since.elapsed().as_secs_f64(), "the database answers and takes writes again");
                trouble = None;
            }
            // The same trouble in other words (another host, another cause) is no news.
            (Err(now), Some((_, before))) if discriminant(before) == discriminant(&now) => {}
            (Err(now), before) => {
                tracing::warn!(error.message = now.in_full(), "the database cannot be used; asking again every two seconds");
                let since = before.as_ref().map_or_else(Instant::now, |(since, _)| *since);
                trouble = Some((since, now));
            }
        }
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = stop.cancelled() => {}
        }
    }
}
