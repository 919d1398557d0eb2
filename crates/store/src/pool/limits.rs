//! How long anything about the database may take. Nothing in this process waits for Postgres
//! without one of these.

use std::time::Duration;

/// `statement_timeout`: Postgres ends a statement after this. It does not count the wait of a
/// commit for a synchronous standby.
pub(super) const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);

/// `lock_timeout`: Postgres ends a statement that waits for a lock for this long.
pub(super) const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// The same for migrations: behind one that waits everybody else waits too.
pub(super) const MIGRATION_LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// `idle_in_transaction_session_timeout`: Postgres ends a transaction whose client has vanished,
/// and with it the locks that it holds.
pub(super) const IDLE_IN_TRANSACTION_TIMEOUT: Duration = Duration::from_secs(15);

/// How long this process waits for the answer to a statement. What exceeds it has lost its
/// connection: Postgres would have answered.
pub(super) const STATEMENT_LIMIT: Duration = Duration::from_secs(12);

/// How long rolling back may take.
pub(super) const ROLLBACK_LIMIT: Duration = Duration::from_secs(1);

/// How long a caller waits until one of the pool's connections is free.
pub(crate) const ACQUIRE_LIMIT: Duration = Duration::from_secs(3);

/// For how long opening a connection is tried while the server starts or a fail-over goes on.
pub(super) const OPEN_LIMIT: Duration = Duration::from_secs(3);

/// How long one attempt to connect to one host may take, unless `connect_timeout` says otherwise.
pub(super) const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// How long an idle connection may take to show that it is alive.
pub(super) const PING_LIMIT: Duration = Duration::from_secs(1);

/// How long a connection that was used is trusted to be alive.
pub(super) const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// How long closing the idle connections in an orderly way may take, all together.
pub(super) const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// After this a connection that nobody used is closed, so that others can have its place at
/// Postgres or at a pooler.
pub(super) const IDLE_LIMIT: Duration = Duration::from_secs(30);

/// How often idle connections are looked through.
pub(super) const IDLE_CHECK_INTERVAL: Duration = Duration::from_secs(10);

/// A connection is not used for longer than this, so that changes of DNS and of the balance behind
/// an address are followed.
pub(super) const LIFETIME_LIMIT: Duration = Duration::from_secs(30 * 60);

const _: () = {
    assert!(
        STATEMENT_LIMIT.as_secs() > STATEMENT_TIMEOUT.as_secs(),
        "Postgres must be the first to give up"
    );
    assert!(
        STATEMENT_TIMEOUT.as_secs() > LOCK_TIMEOUT.as_secs(),
        "a lock that is not free must be told as one"
    );
    assert!(
        IDLE_IN_TRANSACTION_TIMEOUT.as_secs() > STATEMENT_LIMIT.as_secs(),
        "a client that is alive must give up first"
    );
    // A dead connection costs its user one limit; then another is opened. Accepts and claims go on
    // within 20 s of a reachable server.
    assert!(
        STATEMENT_LIMIT.as_secs() + ACQUIRE_LIMIT.as_secs() + OPEN_LIMIT.as_secs() < 20,
        "service resumes within 20 s"
    );
};
