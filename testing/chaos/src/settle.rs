//! After the last round: waits, with a limit, until everything has ended.

use std::time::{Duration, Instant};

use crate::stage::Stage;
use crate::{Failed, database};

/// How often pauses are skipped.
const SKIP_EVERY_S: u64 = 10;

/// The result of the wait.
#[derive(Debug, Clone, Copy)]
pub struct Settled {
    pub after: Duration,
    /// Exports that have not ended in time, or could not be counted.
    pub exports: i64,
    /// Deliveries and replay jobs that were not settled in time.
    pub deliveries: i64,
}

/// Waits until every export and delivery has ended. Long pauses are skipped, because the retry
/// schedule is not a promise.
pub async fn wait(stage: &Stage, patience: Duration) -> Result<Settled, Failed> {
    for receiver in stage
        .endpoints
        .iter()
        .map(|endpoint| &endpoint.receiver)
        .chain([&*stage.callbacks])
    {
        receiver.behave()?;
    }
    let began = Instant::now();
    let mut rest = (i64::MAX, i64::MAX);
    let mut skipped_s = None;
    while began.elapsed() < patience {
        // Not every time: work that fails again may back off for a while.
        let now_s = began.elapsed().as_secs();
        if skipped_s.is_none_or(|skipped_s| now_s - skipped_s >= SKIP_EVERY_S) {
            // The database is up; a broken connection is opened again.
            let _ = database::skip_pauses(&stage.pool).await;
            skipped_s = Some(now_s);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        if let Ok(left) = database::unsettled(&stage.pool).await {
            rest = left;
            if rest == (0, 0) {
                break;
            }
        }
    }
    Ok(Settled {
        after: began.elapsed(),
        exports: rest.0,
        deliveries: rest.1,
    })
}
