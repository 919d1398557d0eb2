//! What the failure of one connection says about the others of its pool.
//!
//! A connection that went silent, or whose server turned read-only, is rarely alone: all that were
//! opened before are closed after their current use. After any other error, connections that were
//! idle at that time are pinged before they are used, so that a restart of Postgres fails one
//! request, not one for each connection.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use deadpool::managed::WeakPool;
use tokio::time::Instant;

use super::connection_problem::ConnectionProblem;
use super::manager::Manager;
use super::statement_state::StatementRegistry;

/// Failures seen on the connections of one pool.
#[derive(Debug, Default)]
pub(super) struct PoolHealth {
    /// Connections of an earlier generation are not used again.
    generation: AtomicU64,
    last_error_at: Mutex<Option<Instant>>,
    /// A pooler may have been switched to transaction mode.
    suspects_pooler: AtomicBool,
    /// What waits for an answer.
    pub(super) statements: StatementRegistry,
    pool: OnceLock<WeakPool<Manager>>,
}

impl PoolHealth {
    /// Names the pool whose idle connections are closed. Once.
    pub(super) fn set_pool(&self, pool: WeakPool<Manager>) {
        // A second call would name the same pool.
        let _ = self.pool.set(pool);
    }

    /// What new connections are marked with.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Whether a connection that has been idle for this long must show that it is alive.
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

    /// A pooler was put before Postgres, taken away, or switched to another mode.
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

    /// Whether a connection is of no more use after this error.
    pub(super) fn is_fatal(error: &sqlx::Error) -> bool {
        match error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::WorkerCrashed => true,
            // Classes 08 connection and 57P shutdown; 26000 and 42P05: prepared statements are
            // mixed up; 25P03 and 25P04: ended because it idled in a transaction, or that took too
            // long; 25006: its server is read-only.
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

    /// Closes the connections of this generation, once: those that were opened since have nothing
    /// to do with it.
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
        let Some(pool) = self.pool.get().and_then(WeakPool::upgrade) else {
            return;
        };
        let closed = pool.retain(|_, _| false).removed.len();
        tracing::warn!(
            db.connections.closed = closed,
            "a connection to Postgres {what}; idle connections were closed, the others will be closed after use"
        );
    }
}

/// SQLSTATEs of prepared statements that are not there, or that another client has prepared: a
/// pooler switched to transaction mode.
const MIXED_UP: [&str; 2] = ["26000", "42P05"];

/// SQLSTATE of a statement that writes in a read-only transaction.
const READ_ONLY: &str = "25006";

fn is_read_only(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(e) => e.code().as_deref() == Some(READ_ONLY),
        _ => ConnectionProblem::of(error) == Some(ConnectionProblem::ReadOnly),
    }
}
