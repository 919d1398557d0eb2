//! Tracks which statements wait for an answer, so that statements that Postgres has finished or
//! never received can be given up before their time limit.
//!
//! `STATEMENT_LIMIT` must be above `statement_timeout`. But Postgres itself can tell earlier: a
//! backend that is not active has answered or has nothing to answer, and an answer that has not
//! arrived after seconds is lost.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Poll, Waker};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::time::Instant;

/// How long a statement waits before Postgres is asked whether it is working on it.
const SUSPECT_AFTER: Duration = Duration::from_secs(3);

/// The statement of one connection.
#[derive(Debug)]
pub(super) struct StatementState {
    /// The Postgres process that serves the connection; `None` where a pooler shares it.
    pid: Option<i32>,
    opened_at: Instant,
    /// The number of statements so far.
    number: AtomicU64,
    /// When the last part of an answer arrived (or the statement was sent), in milliseconds since
    /// the connection was opened, plus one; 0 if no statement waits.
    quiet_since_ms: AtomicU64,
    /// The number of the statement whose answer is lost.
    lost: AtomicU64,
    waker: AtomicWaker,
}

impl StatementState {
    /// A statement is sent.
    pub(super) fn sent(&self, now: Instant) {
        self.number.fetch_add(1, Ordering::AcqRel);
        self.progressed(now);
    }

    /// A part of its answer has arrived.
    pub(super) fn progressed(&self, now: Instant) {
        let ms = u64::try_from(now.saturating_duration_since(self.opened_at).as_millis())
            .unwrap_or(u64::MAX - 1);
        self.quiet_since_ms.store(ms + 1, Ordering::Release);
    }

    /// It has ended.
    pub(super) fn ended(&self) {
        self.quiet_since_ms.store(0, Ordering::Release);
    }

    /// Whether its answer is lost; wakes the caller when that becomes known.
    pub(super) fn is_lost(&self, waker: &Waker) -> bool {
        self.waker.register(waker);
        self.lost.load(Ordering::Acquire) == self.number.load(Ordering::Acquire)
            && self.quiet_since_ms.load(Ordering::Acquire) > 0
    }

    /// Returns when it is known that its answer is lost.
    pub(super) fn lost(&self) -> impl Future<Output = ()> {
        std::future::poll_fn(|context| {
            if self.is_lost(context.waker()) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
    }

    /// The time since the last part of an answer, while a statement waits.
    pub(super) fn waits_for(&self, now: Instant) -> Duration {
        match self.quiet_since_ms.load(Ordering::Acquire) {
            0 => Duration::ZERO,
            quiet => now
                .saturating_duration_since(self.opened_at)
                .saturating_sub(Duration::from_millis(quiet)),
        }
    }

    /// The Postgres process, if it should have answered by now.
    fn suspect(&self, now: Instant) -> Option<i32> {
        self.pid.filter(|_| self.waits_for(now) > SUSPECT_AFTER)
    }
}

/// The statements of every connection of a pool.
#[derive(Debug, Default)]
pub(super) struct StatementRegistry(Mutex<Vec<Weak<StatementState>>>);

impl StatementRegistry {
    /// Adds a new connection, served by this Postgres process.
    pub(super) fn of_connection(&self, pid: Option<i32>, now: Instant) -> Arc<StatementState> {
        let statement = Arc::new(StatementState {
            pid,
            opened_at: now,
            number: AtomicU64::new(0),
            quiet_since_ms: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            waker: AtomicWaker::new(),
        });
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|statement| statement.strong_count() > 0);
        all.push(Arc::downgrade(&statement));
        statement
    }

    /// The Postgres processes that should have answered by now.
    pub(super) fn overdue_pids(&self, now: Instant) -> Vec<i32> {
        self.all()
            .iter()
            .filter_map(|statement| statement.suspect(now))
            .collect()
    }

    /// Gives up the statements of these processes, which are not active. Returns their number.
    pub(super) fn abandon(&self, not_running: &[i32], now: Instant) -> usize {
        let lost = self.all().into_iter().filter(|statement| {
            statement
                .suspect(now)
                .is_some_and(|pid| not_running.contains(&pid))
        });
        lost.map(|statement| {
            statement
                .lost
                .store(statement.number.load(Ordering::Acquire), Ordering::Release);
            statement.waker.wake();
        })
        .count()
    }

    fn all(&self) -> Vec<Arc<StatementState>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .filter_map(Weak::upgrade)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const MOMENT: Duration = Duration::from_millis(10);

    #[test]
    fn only_what_waits_for_a_process_at_rest_is_given_up() {
        let (statements, now) = (StatementRegistry::default(), Instant::now());
        let (waits, shared, done) = (
            statements.of_connection(Some(7), now),
            statements.of_connection(None, now),
            statements.of_connection(Some(8), now),
        );
        for statement in [&waits, &shared, &done] {
            statement.sent(now);
        }
        done.ended();
        assert!(statements.overdue_pids(now + SUSPECT_AFTER).is_empty());
        let later = now + SUSPECT_AFTER + MOMENT;
        // The process of a connection that a pooler shares is not known.
        assert_eq!(statements.overdue_pids(later), [7]);
        assert_eq!(
            (statements.abandon(&[8], later), waits.lost().now_or_never()),
            (0, None)
        );
        assert_eq!(
            (statements.abandon(&[7], later), waits.lost().now_or_never()),
            (1, Some(()))
        );
        assert_eq!(
            (shared.lost().now_or_never(), done.lost().now_or_never()),
            (None, None)
        );
    }

    #[test]
    fn an_answer_that_came_after_all_clears_the_next_statement() {
        let (statements, now) = (StatementRegistry::default(), Instant::now());
        let statement = statements.of_connection(Some(7), now);
        statement.sent(now);
        let later = now + SUSPECT_AFTER * 2;
        assert_eq!(statements.abandon(&[7], later), 1);
        statement.ended();
        statement.sent(later);
        assert_eq!(statement.lost().now_or_never(), None);
        // A part of an answer shows that the connection works.
        statement.progressed(later + SUSPECT_AFTER);
        assert!(
            statements
                .overdue_pids(later + SUSPECT_AFTER + MOMENT)
                .is_empty()
        );
    }
}
