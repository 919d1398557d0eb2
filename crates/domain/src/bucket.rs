//! A token bucket: so many at once, then so many a second. Pure: the time and the rate are passed
//! in.

use std::time::Duration;

use super::timestamp::Timestamp;

/// What may be used now, and when that was counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenBucket {
    burst: f64,
    tokens: f64,
    counted_at: Timestamp,
}

impl TokenBucket {
    /// A full one.
    #[must_use]
    pub fn full(burst: f64, now: Timestamp) -> Self {
        Self {
            burst,
            tokens: burst,
            counted_at: now,
        }
    }

    /// Adds what has come at this rate since it was last counted, and tells how much there is. A
    /// clock that goes back adds nothing.
    pub fn fill(&mut self, rate_per_s: f64, now: Timestamp) -> f64 {
        let passed_s = now.since(self.counted_at).as_secs_f64();
        self.tokens = (self.tokens + passed_s * rate_per_s).min(self.burst);
        self.counted_at = self.counted_at.max(now);
        self.tokens
    }

    /// Takes some out, whether they are there or not.
    pub fn take(&mut self, tokens: f64) {
        self.tokens -= tokens;
    }

    /// Puts some back.
    pub fn give_back(&mut self, tokens: f64) {
        self.tokens = (self.tokens + tokens).min(self.burst);
    }

    /// Leaves none, as of this time.
    pub fn empty(&mut self, now: Timestamp) {
        self.tokens = self.tokens.min(0.0);
        self.counted_at = self.counted_at.max(now);
    }

    /// How long until it holds this many, at this rate.
    #[must_use]
    pub fn until(&self, tokens: f64, rate_per_s: f64) -> Duration {
        Duration::try_from_secs_f64((tokens.min(self.burst) - self.tokens).max(0.0) / rate_per_s)
            .unwrap_or(Duration::MAX)
    }

    /// How many it holds at most.
    #[must_use]
    pub fn burst(&self) -> f64 {
        self.burst
    }
}
