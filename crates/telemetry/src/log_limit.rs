//! Limits the rate of one kind of log line, so that an outage does not write a line per request.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The shortest time between two lines.
const INTERVAL: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub struct LogLimit(Mutex<Lines>);

#[derive(Debug)]
struct Lines {
    last_at: Option<Instant>,
    suppressed: u64,
}

impl LogLimit {
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new(Lines {
            last_at: None,
            suppressed: 0,
        }))
    }

    /// If a line may be written now, the number of lines suppressed since the last one.
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
