//! Time limits for everything that waits for Postgres.

use std::time::Duration;

/// `statement_timeout`: Postgres ends a statement after this. It does not count the wait of a
/// commit for a synchronous standby.
pub(super) const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);

/// `lock_timeout`: Postgres ends a statement that waits for a lock for this long.
pub(super) const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// `lock_timeout` of migrations: every other statement queues behind one that waits for a lock.
pub(super) const MIGRATION_LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// `idle_in_transaction_session_timeout`: Postgres ends a transaction whose client has gone, and
/// releases its locks.
pub(super) const IDLE_IN_TRANSACTION_TIMEOUT: Duration = Duration::from_secs(15);

/// How long this process waits for the answer to a statement. After that the connection is lost:
/// Postgres would have answered.
pub(super) const STATEMENT_LIMIT: Duration = Duration::from_secs(12);

pub(super) const ROLLBACK_LIMIT: Duration = Duration::from_secs(1);

/// How long a caller waits for a free connection of the pool.
pub(crate) const ACQUIRE_LIMIT: Duration = Duration::from_secs(3);

/// How long opening a connection is tried while the server starts or a failover is in progress.
pub(super) const OPEN_LIMIT: Duration = Duration::from_secs(3);

/// The time limit of one attempt to connect to one host, unless the URL has `connect_timeout`.
pub(super) const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// The time limit of a ping on an idle connection.
pub(super) const PING_LIMIT: Duration = Duration::from_secs(1);

/// A connection that was idle for less than this is used without a ping.
pub(super) const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// The time limit for closing all idle connections in an orderly way.
pub(super) const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// A connection that is idle for this long is closed, so that others can use its slot at Postgres
/// or at a pooler.
pub(super) const IDLE_LIMIT: Duration = Duration::from_secs(30);

/// How often idle connections are checked.
pub(super) const IDLE_CHECK_INTERVAL: Duration = Duration::from_secs(10);

/// The maximum age of a connection, so that changes of DNS and of load balancing take effect.
pub(super) const LIFETIME_LIMIT: Duration = Duration::from_secs(30 * 60);

const _: () = {
    assert!(
        STATEMENT_LIMIT.as_secs() > STATEMENT_TIMEOUT.as_secs(),
        "Postgres must be the first to give up"
    );
    assert!(
        STATEMENT_TIMEOUT.as_secs() > LOCK_TIMEOUT.as_secs(),
        "a lock that is not free must be reported as one"
    );
    assert!(
        IDLE_IN_TRANSACTION_TIMEOUT.as_secs() > STATEMENT_LIMIT.as_secs(),
        "a client that is alive must give up first"
    );
    // A dead connection costs its user one time limit; then another is opened. The service resumes
    // within 20 s once a server is reachable.
    assert!(
        STATEMENT_LIMIT.as_secs() + ACQUIRE_LIMIT.as_secs() + OPEN_LIMIT.as_secs() < 20,
        "service resumes within 20 s"
    );
};
