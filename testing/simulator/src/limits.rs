//! AWS's quotas and throttles: concurrent exports and call rates.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// Quotas per account and region; `None` disables one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Concurrent exports.
    pub concurrent_exports: Option<usize>,
    /// ExportTableToPointInTime calls, including rejected ones.
    pub start_calls: Option<Burst>,
    /// DescribeExport calls.
    pub describe_calls: Option<Burst>,
}

/// A token bucket: burst size and refill rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Burst {
    /// The size of a burst, in calls.
    pub size: u32,
    /// Calls per second after the burst.
    pub refill_per_second: f64,
}

impl Default for Limits {
    /// Measured at AWS: 300 exports, bursts of about 20 starts and 15 describes.
    fn default() -> Self {
        Self {
            concurrent_exports: Some(300),
            start_calls: Some(Burst {
                size: 20,
                refill_per_second: 1.0,
            }),
            describe_calls: Some(Burst {
                size: 15,
                refill_per_second: 10.0,
            }),
        }
    }
}

impl Limits {
    #[must_use]
    pub const fn unlimited() -> Self {
        Self {
            concurrent_exports: None,
            start_calls: None,
            describe_calls: None,
        }
    }
}

/// Token buckets by key. The caller passes the time in, so a frozen clock refills nothing.
#[derive(Debug, Default)]
pub(crate) struct Throttle(HashMap<String, Level>);

#[derive(Debug)]
struct Level {
    tokens: f64,
    seen_at: OffsetDateTime,
}

impl Throttle {
    /// Takes a token from the bucket of `key`, if there is one.
    pub(crate) fn admit(&mut self, key: &str, burst: Option<Burst>, now: OffsetDateTime) -> bool {
        let Some(burst) = burst else { return true };
        let size = f64::from(burst.size);
        let level = self.0.entry(key.to_owned()).or_insert(Level {
            tokens: size,
            seen_at: now,
        });
        let passed = (now - level.seen_at).as_seconds_f64().max(0.0);
        level.tokens = (level.tokens + passed * burst.refill_per_second).min(size);
        level.seen_at = now;
        if level.tokens < 1.0 {
            return false;
        }
        level.tokens -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_time_refills() {
        let mut throttle = Throttle::default();
        let burst = Some(Burst {
            size: 2,
            refill_per_second: 1.0,
        });
        let now = OffsetDateTime::UNIX_EPOCH;
        assert!(throttle.admit("a", burst, now));
        assert!(throttle.admit("a", burst, now));
        assert!(!throttle.admit("a", burst, now));
        assert!(throttle.admit("b", burst, now), "buckets are separate");
        assert!(throttle.admit("a", burst, now + time::Duration::seconds(1)));
        assert!(!throttle.admit("a", burst, now + time::Duration::seconds(1)));
        assert!(throttle.admit("a", None, now), "no limit");
    }
}
