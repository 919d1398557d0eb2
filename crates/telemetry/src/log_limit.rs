//! Limits the rate of one kind of log line: an outage that every request meets is not worth
//! thousands of lines.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How far apart lines are.
const INTERVAL: Duration = Duration::from_secs(10);

/// The lines of one kind.
#[derive(Debug)]
pub struct LogLimit(Mutex<Lines>);

#[derive(Debug)]
struct Lines {
    last_at: Option<Instant>,
    suppressed: u64,
}

impl LogLimit {
    /// None was written yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(Lines {
            last_at: None,
            suppressed: 0,
        }))
    }

    /// Whether a line may be written now: then how many were suppressed since the last one.
    pub fn allow(&self, now: Instant) -> Option<u64> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines
            .last_at
            .is_some_and(|at| now.saturating_duration_since(at) < INTERVAL)
        {
            lines.suppressed += 1;
            return None;
        }
        lines.last_at = Some(now);
        Some(std::mem::take(&mut lines.suppressed))
    }
}

impl Default for LogLimit {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_suppressed_is_counted_by_the_next_line() {
        let (limit, now) = (LogLimit::new(), Instant::now());
        assert_eq!(limit.allow(now), Some(0));
        assert_eq!(
            (limit.allow(now), limit.allow(now + INTERVAL / 2)),
            (None, None)
        );
        assert_eq!(limit.allow(now + INTERVAL), Some(2));
    }
}
