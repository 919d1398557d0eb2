//! When each worker of this process last ran an iteration of its loop, and when it last claimed
//! work.
//!
//! Every wait inside a loop has a limit, so a loop that stops iterating is a bug, and `/livez`
//! reports it. A loop that iterates without claiming has trouble with the database: a metric per
//! process shows it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A loop without an iteration for this long is stuck: everything that it waits for has a shorter
/// limit.
const STUCK_AFTER: Duration = Duration::from_secs(300);

/// Cheap to clone; clones share their state.
#[derive(Debug, Clone, Default)]
pub struct WorkerProgress(Arc<Mutex<BTreeMap<&'static str, Progress>>>);

#[derive(Debug, Clone, Copy)]
struct Progress {
    iterated_at: Instant,
    claimed_at: Instant,
}

impl WorkerProgress {
    /// Records an iteration of a worker's loop.
    pub fn iterated(&self, worker: &'static str) {
        let now = Instant::now();
        self.change(worker, now, |progress| progress.iterated_at = now);
    }

    /// Records a successful claim, even if nothing was due.
    pub fn claimed(&self, worker: &'static str) {
        let now = Instant::now();
        self.change(worker, now, |progress| progress.claimed_at = now);
    }

    /// Forgets a worker whose loop ended normally.
    pub fn ended(&self, worker: &'static str) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(worker);
    }

    #[must_use]
    pub fn since_claims(&self) -> Vec<(&'static str, Duration)> {
        let workers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        workers
            .iter()
            .map(|(worker, progress)| (*worker, progress.claimed_at.elapsed()))
            .collect()
    }

    /// The worker that has been stuck longest at `now`, and the time since its last iteration.
    #[must_use]
    pub fn stuck(&self, now: Instant) -> Option<(&'static str, Duration)> {
        let workers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = workers.iter().map(|(worker, progress)| {
            (*worker, now.saturating_duration_since(progress.iterated_at))
        });
        since
            .filter(|(_, since)| *since > STUCK_AFTER)
            .max_by_key(|(_, since)| *since)
    }

    fn change(&self, worker: &'static str, now: Instant, change: impl FnOnce(&mut Progress)) {
        let mut workers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(workers.entry(worker).or_insert(Progress {
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
