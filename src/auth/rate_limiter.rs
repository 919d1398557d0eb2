//! Limits how many requests each caller may send: one token bucket per caller, in this process.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use quick_cache::unsync::Cache;

use crate::domain::caller::{Caller, CallerName};
use crate::domain::rate::pace::PaceLimits;
use crate::domain::rate::token_bucket::TokenBucket;
use crate::domain::timestamp::Timestamp;

const MAX_CALLERS: usize = 10_000;

/// At most one log line per caller in this time.
const LOG_EVERY: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub struct RateLimiter {
    /// The limits of callers that have no rate of their own.
    limits: PaceLimits,
    buckets: Mutex<Cache<CallerName, CallerBucket>>,
}

#[derive(Debug)]
struct CallerBucket {
    bucket: TokenBucket,
    rate_per_s: f64,
    /// When it was last logged that this caller exceeds its rate.
    logged_at: Option<Timestamp>,
}

/// A caller's limits and what is left of them, after a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateLimitStatus {
    /// How many requests may follow each other at once.
    pub burst: f64,
    /// How many per second in the long run.
    pub rate_per_s: f64,
    /// How many are left now.
    pub left: f64,
    /// When the whole burst is available again.
    pub full_in: Duration,
    /// Set if this request exceeds the rate: when the next one is accepted.
    pub refused_for: Option<Duration>,
    /// Whether to log this refusal.
    pub is_news: bool,
}

impl RateLimiter {
    #[must_use]
    pub fn new(limits: PaceLimits) -> Self {
        Self {
            limits,
            buckets: Mutex::new(Cache::new(MAX_CALLERS)),
        }
    }

    /// Counts a request. `None` for anonymous callers, which have no limit.
    #[must_use]
    pub fn count(&self, caller: &Caller, now: Timestamp) -> Option<RateLimitStatus> {
        let name = caller.name.as_ref()?;
        let rate_per_s = caller.rate_per_s.unwrap_or(self.limits.rate_per_s);
        // A caller with a rate of its own has a burst in the same proportion.
        let burst = (self.limits.burst * rate_per_s / self.limits.rate_per_s).max(1.0);
        let new = || CallerBucket {
            bucket: TokenBucket::full(burst, now),
            rate_per_s,
            logged_at: None,
        };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if !buckets.contains_key(name) {
            buckets.insert(name.clone(), new());
        }
        let mut counted = buckets.get_mut(name)?;
        if counted.bucket.burst() != burst || counted.rate_per_s != rate_per_s {
            *counted = new();
        }
        let left = counted.bucket.fill(rate_per_s, now);
        let accepted = left >= 1.0;
        if accepted {
            counted.bucket.take(1.0);
        }
        let is_news = !accepted && counted.logged_at.is_none_or(|at| at.plus(LOG_EVERY) <= now);
        if is_news {
            counted.logged_at = Some(now);
        }
        let bucket = &counted.bucket;
        Some(RateLimitStatus {
            burst,
            rate_per_s,
            left: if accepted { left - 1.0 } else { left.max(0.0) },
            full_in: bucket.until(burst, rate_per_s),
            refused_for: (!accepted).then(|| bucket.until(1.0, rate_per_s)),
            is_news,
        })
    }
}
