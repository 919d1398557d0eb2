//! The pace of calls to AWS per account and region: a token bucket whose rate halves when AWS
//! throttles a call and grows back with each accepted call (additive increase, multiplicative
//! decrease). Pure; time and randomness are arguments.

use std::time::Duration;

use crate::lifecycle::backoff::Jitter;
use crate::rate::token_bucket::TokenBucket;
use crate::timestamp::Timestamp;

/// The limits of one kind of call per account and region.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PaceLimits {
    /// Calls without a pause.
    pub burst: f64,
    /// Sustained calls per second.
    pub rate_per_s: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LaneLimits {
    /// ExportTableToPointInTime. AWS throttled after about 20 rapid calls (observed).
    pub starts: PaceLimits,
    /// DescribeExport and ListExports. AWS throttled after 13 to 18 rapid calls (observed).
    pub polls: PaceLimits,
    /// Maximum exports in flight: AWS's quota is 300.
    pub max_in_flight: u32,
}

/// The minimum rate: one call per ten seconds.
const SLOWEST_PER_S: f64 = 0.1;

/// The share of the full rate that each accepted call restores.
const RECOVERY: f64 = 0.02;

/// The current pace of one kind of call in one account and region.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    limits: PaceLimits,
    rate_per_s: f64,
    bucket: TokenBucket,
    paused_until: Timestamp,
}

impl Pace {
    #[must_use]
    pub fn new(limits: PaceLimits, now: Timestamp) -> Self {
        Self {
            limits,
            rate_per_s: limits.rate_per_s,
            bucket: TokenBucket::full(limits.burst, now),
            paused_until: now,
        }
    }

    /// The number of calls that may be made now.
    pub fn available(&mut self, now: Timestamp) -> u32 {
        let tokens = self.bucket.fill(self.rate_per_s, now);
        if now < self.paused_until {
            return 0;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a float becomes an integer saturating"
        )]
        let whole = tokens.floor() as u32;
        whole
    }

    /// Reserves calls that are about to be made.
    pub fn take(&mut self, calls: u32) {
        self.bucket.take(f64::from(calls));
    }

    /// Returns reserved calls that were not made.
    pub fn give_back(&mut self, calls: u32) {
        self.bucket.give_back(f64::from(calls));
    }

    /// AWS accepted a call: the rate grows back a little.
    pub fn on_success(&mut self) {
        self.rate_per_s =
            (self.rate_per_s + self.limits.rate_per_s * RECOVERY).min(self.limits.rate_per_s);
    }

    /// AWS throttled a call: halves the rate, empties the bucket and pauses for about one call.
    /// Throttled calls that were in flight when the pause began are ignored.
    pub fn throttled(&mut self, now: Timestamp, jitter: Jitter) {
        if now < self.paused_until {
            return;
        }
        self.rate_per_s = (self.rate_per_s / 2.0).max(SLOWEST_PER_S.min(self.limits.rate_per_s));
        self.bucket.empty(now);
        let pause = Duration::from_secs_f64((1.0 / self.rate_per_s).min(60.0));
        self.paused_until = self.paused_until.max(now.plus(jitter.spread(pause, 0.3)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: PaceLimits = PaceLimits {
        burst: 10.0,
        rate_per_s: 2.0,
    };

    fn at(seconds: u64) -> Timestamp {
        Timestamp::parse("2026-01-01T00:00:00Z")
            .unwrap()
            .plus(Duration::from_secs(seconds))
    }

    #[test]
    fn a_burst_then_the_rate() {
        let mut pace = Pace::new(LIMITS, at(0));
        assert_eq!(pace.available(at(0)), 10);
        pace.take(10);
        assert_eq!(pace.available(at(0)), 0);
        assert_eq!(pace.available(at(3)), 6);
        assert_eq!(pace.available(at(100)), 10);
        assert_eq!(
            pace.available(at(50)),
            10,
            "a clock that goes back gives nothing and takes nothing"
        );
    }

    #[test]
    fn throttling_halves_the_rate_and_success_restores_it() {
        let mut pace = Pace::new(LIMITS, at(0));
        pace.throttled(at(0), Jitter(0.5));
        assert_eq!(pace.available(at(0)), 0);
        assert_eq!(pace.available(at(10)), 10);
        pace.throttled(at(10), Jitter(0.5));
        pace.throttled(at(10), Jitter(0.5));
        assert!(
            (pace.rate_per_s - 0.5).abs() < 1e-9,
            "two calls of one burst halve it once"
        );
        for n in 1..20 {
            pace.throttled(at(100 * n), Jitter(0.5));
        }
        assert_eq!(
            pace.available(at(1905)),
            0,
            "never slower than a call every ten seconds, but that slow"
        );
        for _ in 0..50 {
            pace.on_success();
        }
        assert_eq!(pace.available(at(1990)), 10);
        assert!((pace.rate_per_s - LIMITS.rate_per_s).abs() < 1e-9);
    }

    #[test]
    fn in_the_long_run_no_more_calls_than_the_rate_allows() {
        let mut pace = Pace::new(LIMITS, at(0));
        let mut calls = 0;
        for second in 0..1000 {
            let now = pace.available(at(second));
            pace.take(now);
            calls += now;
        }
        assert!((1990..=2010).contains(&calls), "{calls}");
    }
}
