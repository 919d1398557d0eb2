//! How much each caller may ask for: a token bucket a caller, in this process.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::domain::bucket::TokenBucket;
use crate::domain::caller::{Caller, CallerName};
use crate::domain::pace::PaceLimits;
use crate::domain::timestamp::Timestamp;

/// How many callers are remembered.
const MOST: usize = 10_000;

/// How often it is said that a caller asks too often.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// What callers have left.
#[derive(Debug)]
pub struct Rates {
    /// What a caller has who has no number of their own.
    limits: PaceLimits,
    buckets: Mutex<HashMap<CallerName, Counted>>,
}

/// What one caller has left.
#[derive(Debug)]
struct Counted {
    bucket: TokenBucket,
    rate_per_s: f64,
    /// When it was last said that it asks too often.
    told_at: Option<Timestamp>,
}

/// Where a caller stands after a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    /// How many requests may follow each other at once.
    pub burst: f64,
    /// How many a second in the long run.
    pub rate_per_s: f64,
    /// How many are left now.
    pub left: f64,
    /// When all of the burst is there again.
    pub full_in: Duration,
    /// When the next request is taken, if this one was not.
    pub refused_for: Option<Duration>,
    /// This one was not, and that has not been said for a minute.
    pub is_news: bool,
}

impl Rates {
    /// These limits for everybody who has none of their own.
    #[must_use]
    pub fn new(limits: PaceLimits) -> Self {
        Self {
            limits,
            buckets: Mutex::default(),
        }
    }

    /// Counts a request of this caller; nothing where nobody says who they are.
    #[must_use]
    pub fn count(&self, caller: &Caller, now: Timestamp) -> Option<Standing> {
        let name = caller.name.as_ref()?;
        let rate_per_s = caller.rate_per_s.unwrap_or(self.limits.rate_per_s);
        // Who has a rate of their own has a burst in the same proportion.
        let burst = (self.limits.burst * rate_per_s / self.limits.rate_per_s).max(1.0);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if !buckets.contains_key(name) {
            if buckets.len() >= MOST {
                // Who has all of their burst again is counted no differently as a newcomer.
                buckets.retain(|_, other| {
                    other.bucket.fill(other.rate_per_s, now) < other.bucket.burst()
                });
            }
            buckets.insert(
                name.clone(),
                Counted {
                    bucket: TokenBucket::full(burst, now),
                    rate_per_s,
                    told_at: None,
                },
            );
        }
        let counted = buckets.get_mut(name)?;
        if counted.bucket.burst() != burst || counted.rate_per_s != rate_per_s {
            *counted = Counted {
                bucket: TokenBucket::full(burst, now),
                rate_per_s,
                told_at: None,
            };
        }
        let bucket = &mut counted.bucket;
        let left = bucket.fill(rate_per_s, now);
        let taken = left >= 1.0;
        if taken {
            bucket.take(1.0);
        }
        let is_news = !taken && counted.told_at.is_none_or(|at| at.plus(TOLD_EVERY) <= now);
        if is_news {
            counted.told_at = Some(now);
        }
        let bucket = &counted.bucket;
        Some(Standing {
            burst,
            rate_per_s,
            left: if taken { left - 1.0 } else { left.max(0.0) },
            full_in: bucket.until(burst, rate_per_s),
            refused_for: (!taken).then(|| bucket.until(1.0, rate_per_s)),
            is_news,
        })
    }
}
