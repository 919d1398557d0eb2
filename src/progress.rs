//! When each worker of this process last ran an iteration of its loop, and when it last claimed
//! work.
//!
//! Every wait inside a loop has a limit, so a loop that stops iterating is a bug, and `/livez`
//! reports it. A loop that iterates without claiming has trouble with the database: a metric per
//! process shows it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A loop that has not turned for this long never will: it is more than everything takes that it
/// waits for.
const STUCK_AFTER: Duration = Duration::from_secs(300);

/// The loops of a process. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct WorkerProgress(Arc<Mutex<BTreeMap<&'static str, Turn>>>);

#[derive(Debug, Clone, Copy)]
struct Turn {
    iterated_at: Instant,
    claimed_at: Instant,
}

impl WorkerProgress {
    /// A worker's loop runs an iteration.
    pub fn iterated(&self, worker: &'static str) {
        let now = Instant::now();
        self.change(worker, now, |beat| beat.iterated_at = now);
    }

    /// A worker has claimed work, or learnt that none is due.
    pub fn claimed(&self, worker: &'static str) {
        let now = Instant::now();
        self.change(worker, now, |beat| beat.claimed_at = now);
    }

    /// A worker ended in order.
    pub fn ended(&self, worker: &'static str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(worker);
    }

    /// The time since the last claim of each worker.
    #[must_use]
    pub fn since_claims(&self) -> Vec<(&'static str, Duration)> {
        let beats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        beats
            .iter()
            .map(|(worker, beat)| (*worker, beat.claimed_at.elapsed()))
            .collect()
    }

    /// A worker whose loop is stuck at `now`, and for how long it has been.
    #[must_use]
    pub fn stuck(&self, now: Instant) -> Option<(&'static str, Duration)> {
        let beats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = beats
            .iter()
            .map(|(worker, beat)| (*worker, now.saturating_duration_since(beat.iterated_at)));
        since
            .filter(|(_, since)| *since > STUCK_AFTER)
            .max_by_key(|(_, since)| *since)
    }

    fn change(&self, worker: &'static str, now: Instant, change: impl FnOnce(&mut Turn)) {
        let mut beats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(beats.entry(worker).or_insert(Turn {
            iterated_at: now,
            claimed_at: now,
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stuck_loop_is_named() {
        let progress = WorkerProgress::default();
        progress.iterated("exports");
        progress.iterated("deliveries");
        let now = Instant::now();
        assert_eq!(progress.stuck(now), None);
        let later = now + STUCK_AFTER + Duration::from_secs(1);
        assert!(
            progress
                .stuck(later)
                .is_some_and(|(_, since)| since > STUCK_AFTER)
        );
        progress.ended("exports");
        assert_eq!(
            progress.stuck(later).map(|(worker, _)| worker),
            Some("deliveries")
        );
    }
}
