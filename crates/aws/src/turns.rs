//! Turns: paces AWS calls for API callers who wait for the answer, per account and region.
//!
//! Workers pace themselves below AWS's limits and leave room for these calls. Observed: AWS accepts
//! 15 describes at once and 10 per second per account and region. Workers use 8 and 5, API callers
//! 4 and 4, so a flood of API calls never slows a running export.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use quick_cache::unsync::Cache;
use tableferry_domain::rate::pace::{Pace, PaceLimits};
use tableferry_domain::timestamp::Timestamp;

/// Maximum number of accounts and regions whose pace is kept. Callers can make them up.
const MAX_LANES: usize = 10_000;

/// How often a waiting caller checks for its turn.
const CHECK_EVERY: Duration = Duration::from_millis(50);

/// The kind of calls that a turn is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TurnKind {
    /// The calls of one preflight: one DescribeContinuousBackups, which AWS limits to 10 per
    /// second, and others with higher limits.
    Preflight,
    /// One ListExports or DescribeExport.
    Lookup,
}

impl TurnKind {
    fn limits(self) -> PaceLimits {
        match self {
            Self::Preflight => PaceLimits {
                burst: 5.0,
                rate_per_s: 5.0,
            },
            Self::Lookup => PaceLimits {
                burst: 4.0,
                rate_per_s: 4.0,
            },
        }
    }
}

/// Paces calls per kind, account and region.
#[derive(Debug)]
pub struct Turns(Mutex<Cache<(TurnKind, String), Pace>>);

impl Default for Turns {
    fn default() -> Self {
        Self(Mutex::new(Cache::new(MAX_LANES)))
    }
}

impl Turns {
    /// Waits for a turn in an account and region, at most for `patience`. Returns whether it came.
    pub async fn wait(
        &self,
        kind: TurnKind,
        account_id: &str,
        region: &str,
        now: impl Fn() -> Timestamp,
        patience: Duration,
    ) -> bool {
        let lane = (kind, format!("{account_id}/{region}"));
        let mut waited = Duration::ZERO;
        while !self.take(&lane, now()) {
            if waited >= patience {
                return false;
            }
            tokio::time::sleep(CHECK_EVERY).await;
            waited += CHECK_EVERY;
        }
        true
    }

    fn take(&self, lane: &(TurnKind, String), now: Timestamp) -> bool {
        // A poisoned lock still holds usable counters.
        let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !lanes.contains_key(lane) {
            lanes.insert(lane.clone(), Pace::new(lane.0.limits(), now));
        }
        let Some(mut pace) = lanes.get_mut(lane) else {
            return false;
        };
        let free = pace.available(now) > 0;
        if free {
            pace.take(1);
        }
        free
    }
}
