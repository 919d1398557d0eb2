//! Turns: how fast AWS is asked on behalf of callers who wait for the answer, per account and
//! region.
//!
//! Workers pace themselves below AWS's limits and leave room for these: AWS was seen to take 15
//! describes at once and 10 a second of one account and region; workers take 8 and 5, callers here
//! 4 and 4. So a flood of callers never slows an export that runs.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tableferry_domain::pace::{Pace, PaceLimits};
use tableferry_domain::timestamp::Timestamp;

/// How many accounts and regions are remembered before all begin anew; callers can make them up.
const MOST_LANES: usize = 10_000;

/// How often somebody who waits looks whether it is its turn.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What kind of call a turn is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TurnKind {
    /// The calls of one preflight: one DescribeContinuousBackups, which AWS limits to 10 a second,
    /// and others that it limits less.
    Preflight,
    /// One ListExports or DescribeExport.
    Look,
}

impl TurnKind {
    fn limits(self) -> PaceLimits {
        match self {
            Self::Preflight => PaceLimits {
                burst: 5.0,
                rate_per_s: 5.0,
            },
            Self::Look => PaceLimits {
                burst: 4.0,
                rate_per_s: 4.0,
            },
        }
    }
}

/// Who may ask when.
#[derive(Debug, Default)]
pub struct Turns(Mutex<HashMap<(TurnKind, String), Pace>>);

impl Turns {
    /// Waits for a turn in an account and region, but not longer than `patience`. Whether it came.
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
            tokio::time::sleep(LOOK_EVERY).await;
            waited += LOOK_EVERY;
        }
        true
    }

    fn take(&self, lane: &(TurnKind, String), now: Timestamp) -> bool {
        // A poisoned lock still holds usable counters.
        let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lanes.len() > MOST_LANES {
            lanes.clear();
        }
        let pace = lanes
            .entry(lane.clone())
            .or_insert_with(|| Pace::new(lane.0.limits(), now));
        let free = pace.available(now) > 0;
        if free {
            pace.take(1);
        }
        free
    }
}
