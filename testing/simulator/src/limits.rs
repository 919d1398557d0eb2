//! AWS's quotas and throttles: how many exports may run, and how fast calls may come.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// Quotas per account and region; `None` switches one off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Exports in progress at once.
    pub concurrent_exports: Option<usize>,
    /// ExportTableToPointInTime calls, rejected ones included.
    pub start_calls: Option<Burst>,
    /// DescribeExport calls.
    pub describe_calls: Option<Burst>,
}

/// A burst of calls and how quickly room for more comes back.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Burst {
    /// Calls that pass at once.
    pub size: u32,
    /// Calls per second after that.
    pub refill_per_second: f64,
}

impl Default for Limits {
    /// What was seen of AWS: 300 exports, some 20 starts and 15 describes in a row.
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
    /// No quota and no throttle.
    #[must_use]
    pub const fn unlimited() -> Self {
        Self {
            concurrent_exports: None,
            start_calls: None,
            describe_calls: None,
        }
    }
}

/// Token buckets by key. Time comes from the caller, so a frozen clock refills nothing.
#[derive(Debug, Default)]
pub(crate) struct Throttle(HashMap<String, Level>);

#[derive(Debug)]
struct Level {
    tokens: f64,
    seen_at: OffsetDateTime,
}

impl Throttle {
    /// Takes one token of `key`'s bucket, if there is one.
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
