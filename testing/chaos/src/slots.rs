//! At the end, without requests: whether a replica has released its connections to Postgres and can
//! use them all.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::metrics;
use crate::stage::Stage;
use crate::trouble::REPLICAS;

/// How many connections a replica's own background work may use.
const MAX_USED: f64 = 4.0;
/// The number of concurrent requests: as many as a replica has connections.
const BURST: usize = 12;
/// How long to wait until connections are released.
const PATIENCE: Duration = Duration::from_secs(10);

const FIGURE: &str = "pool slots leaked";

/// Checks every replica; returns the highest number of connections in use at the end.
pub async fn check(stage: &Stage) -> f64 {
    let mut worst = 0.0_f64;
    for replica in 0..REPLICAS {
        for after in ["after settling", "after a burst"] {
            let used = least_used(stage, replica).await;
            worst = worst.max(used.unwrap_or_default());
            match used {
                Some(used) if used <= MAX_USED => {}
                Some(used) => stage.ledger.violated(
                    FIGURE,
                    format!("replica {replica} {after}: {used} connections are in use"),
                    None,
                ),
                None => stage.ledger.violated(
                    FIGURE,
                    format!("replica {replica} {after}: no metrics"),
                    None,
                ),
            }
            if after == "after settling" {
                burst(stage, replica).await;
            }
        }
    }
    worst
}

/// The minimum over all polls: a leaked connection is in use at every poll.
async fn least_used(stage: &Stage, replica: usize) -> Option<f64> {
    let began = Instant::now();
    let mut least: Option<f64> = None;
    while began.elapsed() < PATIENCE && least.is_none_or(|least| least > MAX_USED) {
        if let Some(metrics) = metrics::of(stage, replica).await {
            least = Some(least.map_or(metrics.used_connections(), |least| {
                least.min(metrics.used_connections())
            }));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    least
}

/// Sends as many concurrent requests as there are connections; all must succeed.
async fn burst(stage: &Stage, replica: usize) {
    let Some(id) = stage
        .ledger
        .orders()
        .into_values()
        .rev()
        .find(|order| order.deleted.is_none())
        .and_then(|order| order.ids.first().cloned())
    else {
        return;
    };
    let mut asking = JoinSet::new();
    for _ in 0..BURST {
        asking.spawn(
            stage
                .http
                .get(stage.replicas[replica].url(&format!("/v1/exports/{id}")))
                .send(),
        );
    }
    while let Some(Ok(answer)) = asking.join_next().await {
        let trouble = match answer {
            Ok(answer) if answer.status().is_success() => continue,
            Ok(answer) => answer.status().to_string(),
            Err(error) => error.to_string(),
        };
        stage.ledger.violated(
            FIGURE,
            format!("replica {replica}: one of {BURST} concurrent requests: {trouble}"),
            None,
        );
    }
}
