//! Decides what a failure on one connection means for the other connections of the pool.
//!
//! If one connection is silent, or its server is read-only, others usually are too: all connections
//! that were opened before are closed after their current use. After any other error, connections
//! that were idle at that time are pinged before they are used, so that a restart of Postgres fails
//! one request, not one per connection.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::connection_problem::ConnectionProblem;
use super::statement_state::StatementRegistry;

/// Failures seen on the connections of one pool.
#[derive(Debug, Default)]
pub(super) struct PoolHealth {
    /// Connections of an earlier generation are not used again.
    generation: AtomicU64,
    last_error_at: Mutex<Option<Instant>>,
    /// There was a sign that a pooler was switched to transaction mode.
    suspects_pooler: AtomicBool,
    /// The statements that wait for an answer.
    pub(super) statements: StatementRegistry,
    close_idle: OnceLock<CloseIdle>,
}

/// Closes the pool's idle connections and returns their number; `None` once the pool is gone.
struct CloseIdle(Box<dyn Fn() -> Option<usize> + Send + Sync>);

impl std::fmt::Debug for CloseIdle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CloseIdle")
    }
}

impl PoolHealth {
    /// Says how to close the pool's idle connections; `close` returns their number, or `None` once
    /// the pool is gone. Only the first call counts.
    pub(super) fn set_close_idle(&self, close: impl Fn() -> Option<usize> + Send + Sync + 'static) {
        let _ = self.close_idle.set(CloseIdle(Box::new(close)));
    }

    /// The generation of new connections.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Whether a connection that has been idle for this long must be pinged before it is used.
    pub(super) fn needs_ping(&self, idle_for: Duration) -> bool {
        let last_error_at = *self
            .last_error_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        last_error_at.is_some_and(|at| at.elapsed() <= idle_for)
    }

    /// A connection of this generation did not answer in time.
    pub(super) fn record_silence(&self, generation: u64) {
        self.close_all(generation, "did not answer");
    }

    /// Whether there was a sign of a pooler in transaction mode since the last call.
    pub(super) fn take_pooler_suspicion(&self) -> bool {
        self.suspects_pooler.swap(false, Ordering::Relaxed)
    }

    /// A pooler was added, removed, or switched to another mode.
    pub(super) fn record_pooler_change(&self) {
        self.close_all(
            self.generation(),
            "goes through a pooler in a different mode",
        );
    }

    /// A statement failed on a connection of this generation.
    pub(super) fn record_error(&self, generation: u64, error: &sqlx::Error) {
        if is_read_only(error) {
            self.close_all(generation, "reached a read-only server");
        } else if Self::is_fatal(error) {
            if error
                .as_database_error()
                .and_then(|e| e.code())
                .is_some_and(|code| MIXED_UP.contains(&&*code))
            {
                self.suspects_pooler.store(true, Ordering::Relaxed);
            }
            *self
                .last_error_at
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
    }

    /// Whether a connection is unusable after this error.
    pub(super) fn is_fatal(error: &sqlx::Error) -> bool {
        match error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::WorkerCrashed => true,
            // Classes 08: connection; 57P: shutdown. Codes 26000 and 42P05: prepared statements are
            // mixed up; 25P03 and 25P04: a transaction was idle or took too long; 25006: the server
            // is read-only.
            sqlx::Error::Database(e) => e.code().is_some_and(|code| {
                [
                    "08",
                    "57P",
                    "25P03",
                    "25P04",
                    READ_ONLY,
                    MIXED_UP[0],
                    MIXED_UP[1],
                ]
                .iter()
                .any(|class| code.starts_with(class))
            }),
            _ => false,
        }
    }

    /// Closes the connections of this generation, once; connections that were opened since are not
    /// affected.
    fn close_all(&self, generation: u64, what: &'static str) {
        if self
            .generation
            .compare_exchange(
                generation,
                generation + 1,
                Ordering::AcqRel,
                Ordering::Acquire,
            )
            .is_err()
        {
            return;
        }
        let Some(closed) = self.close_idle.get().and_then(|close| close.0()) else {
            return;
        };
        tracing::warn!(
            db.connections.closed = closed,
            "a connection to Postgres {what}; idle connections were closed, the others will be closed after use"
        );
    }
}

/// SQLSTATEs of prepared statements that do not exist, or that another client has prepared: a
/// pooler was switched to transaction mode.
const MIXED_UP: [&str; 2] = ["26000", "42P05"];

/// SQLSTATE of a statement that writes in a read-only transaction.
const READ_ONLY: &str = "25006";

fn is_read_only(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(e) => e.code().as_deref() == Some(READ_ONLY),
        _ => ConnectionProblem::from_error(error) == Some(ConnectionProblem::ReadOnly),
    }
}
