//! A token bucket: a burst, then a rate per second. Pure; time and rate are arguments.

use std::time::Duration;

use crate::timestamp::Timestamp;

/// The tokens, and when they were last counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenBucket {
    burst: f64,
    tokens: f64,
    counted_at: Timestamp,
}

impl TokenBucket {
    #[must_use]
    pub fn full(burst: f64, now: Timestamp) -> Self {
        Self {
            burst,
            tokens: burst,
            counted_at: now,
        }
    }

    /// Adds the tokens since the last count at this rate and returns how many there are. A clock
    /// that goes back adds nothing.
    pub fn fill(&mut self, rate_per_s: f64, now: Timestamp) -> f64 {
        let passed_s = now.since(self.counted_at).as_secs_f64();
        self.tokens = (self.tokens + passed_s * rate_per_s).min(self.burst);
        self.counted_at = self.counted_at.max(now);
        self.tokens
    }

    /// Removes tokens; the number may become negative.
    pub fn take(&mut self, tokens: f64) {
        self.tokens -= tokens;
    }

    pub fn give_back(&mut self, tokens: f64) {
        self.tokens = (self.tokens + tokens).min(self.burst);
    }

    /// Empties the bucket as of this time.
    pub fn empty(&mut self, now: Timestamp) {
        self.tokens = self.tokens.min(0.0);
        self.counted_at = self.counted_at.max(now);
    }

    /// Time until it has `tokens` at this rate.
    #[must_use]
    pub fn until(&self, tokens: f64, rate_per_s: f64) -> Duration {
        Duration::try_from_secs_f64((tokens.min(self.burst) - self.tokens).max(0.0) / rate_per_s)
            .unwrap_or(Duration::MAX)
    }

    /// Capacity.
    #[must_use]
    pub fn burst(&self) -> f64 {
        self.burst
    }
}
