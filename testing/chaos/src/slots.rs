//! When all is over and nobody calls: whether a replica has its connections to Postgres free, and
//! can use them all.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::metrics;
use crate::stage::Stage;
use crate::trouble::REPLICAS;

/// How many connections may be in use by what a replica does by itself.
const MOST_USED: f64 = 4.0;
/// How many requests are made at once: as many as a replica has connections.
const BURST: usize = 12;
/// How long is waited for connections to be given back.
const PATIENCE: Duration = Duration::from_secs(10);

/// The figure of the final table.
const FIGURE: &str = "pool slots leaked";

/// Looks at every replica; how many connections were in use at most in the end.
pub async fn check(stage: &Stage) -> f64 {
    let mut worst = 0.0_f64;
    for replica in 0..REPLICAS {
        for after in ["after settling", "after a burst"] {
            let used = least_used(stage, replica).await;
            worst = worst.max(used.unwrap_or_default());
            match used {
                Some(used) if used <= MOST_USED => {}
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

/// The least that are in use at any look: what is leaked is in use at every one.
async fn least_used(stage: &Stage, replica: usize) -> Option<f64> {
    let began = Instant::now();
    let mut least: Option<f64> = None;
    while began.elapsed() < PATIENCE && least.is_none_or(|least| least > MOST_USED) {
        if let Some(metrics) = metrics::of(stage, replica).await {
            least = Some(least.map_or(metrics.used_connections(), |least| {
                least.min(metrics.used_connections())
            }));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    least
}

/// As many requests at once as there are connections: all must be answered well.
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
            format!("replica {replica}: one of {BURST} requests at once: {trouble}"),
            None,
        );
    }
}
