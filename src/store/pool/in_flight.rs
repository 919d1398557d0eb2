//! Which statements wait for an answer, so that those which Postgres has finished, or never got, can be given up before their limit.
//!
//! `STATEMENT_LIMIT` must be above `statement_timeout`. But Postgres knows better: a backend that is not active has answered, or has nothing
//! to answer, and if that answer is not here after seconds, it never will be.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::Waker;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::time::Instant;

/// How long a statement waits before Postgres is asked whether it works on it.
const SUSPECT_AFTER: Duration = Duration::from_secs(3);

/// The statement of one connection.
#[derive(Debug)]
pub(super) struct InFlight {
    /// The process of Postgres that serves the connection.
    pid: i32,
    opened_at: Instant,
    /// When the statement was sent, in milliseconds since the connection was opened, and one; 0 if none waits.
    sent_at_ms: AtomicU64,
    is_lost: AtomicBool,
    waker: AtomicWaker,
}

impl InFlight {
    /// A statement was sent.
    pub(super) fn sent(&self) {
        let ms = u64::try_from(self.opened_at.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.sent_at_ms.store(ms + 1, Ordering::Release);
    }

    /// Its end was seen, or nobody waits for it any more.
    pub(super) fn ended(&self) {
        self.sent_at_ms.store(0, Ordering::Release);
    }

    /// Whether its answer will not come; wakes the caller when that becomes known.
    pub(super) fn is_lost(&self, waker: &Waker) -> bool {
        self.waker.register(waker);
        self.is_lost.load(Ordering::Acquire)
    }

    fn waits_for(&self) -> Duration {
        match self.sent_at_ms.load(Ordering::Acquire) {
            0 => Duration::ZERO,
            sent => self.opened_at.elapsed().saturating_sub(Duration::from_millis(sent)),
        }
    }
}

/// The statements of every connection of a pool.
#[derive(Debug, Default)]
pub(super) struct Statements(Mutex<Vec<Weak<InFlight>>>);

impl Statements {
    /// Those of a new connection, served by this process.
    pub(super) fn of_connection(&self, pid: i32) -> Arc<InFlight> {
        let statement = Arc::new(InFlight {
            pid,
            opened_at: Instant::now(),
            sent_at_ms: AtomicU64::new(0),
            is_lost: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        });
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|statement| statement.strong_count() > 0);
        all.push(Arc::downgrade(&statement));
        statement
    }

    /// The processes that should have answered by now.
    pub(super) fn suspects(&self) -> Vec<i32> {
        self.all().iter().filter(|statement| statement.waits_for() > SUSPECT_AFTER).map(|statement| statement.pid).collect()
    }

    /// Gives up what these processes should have answered; they are not active. How many statements that were.
    pub(super) fn give_up(&self, at_rest: &[i32]) -> usize {
        let lost = self.all().into_iter().filter(|statement| at_rest.contains(&statement.pid) && statement.waits_for() > SUSPECT_AFTER);
        lost.map(|statement| {
            statement.is_lost.store(true, Ordering::Release);
            statement.waker.wake();
        })
        .count()
    }

    fn all(&self) -> Vec<Arc<InFlight>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().filter_map(Weak::upgrade).collect()
    }
}
