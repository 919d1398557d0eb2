//! The pool of connections to Postgres. Everything on them has a time limit of this process.
//!
//! `STATEMENT_LIMIT` is above Postgres's own `statement_timeout`, so a statement that exceeds it
//! means that the connection is lost: a host is down, a network was cut, a firewall dropped the
//! flow. Such a connection is closed at once, which frees its slot in the pool, so a lost
//! connection delays one caller, once. Only writable servers are used.

mod connection;
mod connection_problem;
mod host;
mod limits;
mod manager;
mod pool_health;
mod pooler;
mod statement_state;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use deadpool::Runtime;
use deadpool::managed::{self, PoolError, QueueMode, Timeouts};
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use sqlx::postgres::{PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{Connection as _, Describe, Either, Execute, Executor, Postgres, SqlStr};
use tokio::time::{Instant, interval, timeout};

pub(super) use connection::{Connection, Transaction};
pub use connection_problem::ConnectionProblem;
pub(super) use limits::ACQUIRE_LIMIT;
pub(super) use manager::{IS_READ_ONLY, Link, MAY_BE_WORKING, MIGRATION_NAME, Manager};
use pool_health::PoolHealth;

use super::database_url::DatabaseUrl;

/// The maximum number of connections per process. More make a small machine slower, not faster.
const MAX_CONNECTIONS: usize = 12;

/// The connections of this process. Cheap to clone.
#[derive(Clone)]
pub(super) struct Pool {
    connections: managed::Pool<Manager>,
    health: Arc<PoolHealth>,
    commits_blocked: Arc<AtomicBool>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Pool")
            .field(&self.connections.status())
            .finish()
    }
}

impl Pool {
    /// Makes a pool without opening a connection.
    pub(super) fn new(url: &DatabaseUrl) -> Result<Self, sqlx::Error> {
        let health = Arc::new(PoolHealth::default());
        let manager = Manager::new(url, Arc::clone(&health))?;
        // The manager has its own time limits for the other two.
        let timeouts = Timeouts {
            wait: Some(ACQUIRE_LIMIT),
            create: None,
            recycle: None,
        };
        let connections = managed::Pool::builder(manager)
            .max_size(MAX_CONNECTIONS)
            .queue_mode(QueueMode::Lifo) // what is not needed stays idle and is closed
            .timeouts(timeouts)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| sqlx::Error::Configuration(error.into()))?;
        let weak = connections.weak();
        health.set_close_idle(move || Some(weak.upgrade()?.retain(|_, _| false).removed.len()));
        close_idle(&connections);
        Ok(Self {
            connections,
            health,
            commits_blocked: Arc::default(),
        })
    }

    /// Waits for a free connection, in the order of the calls, or opens one.
    pub(super) async fn acquire(&self) -> Result<Connection, sqlx::Error> {
        let object = self.connections.get().await.map_err(|error| match error {
            PoolError::Backend(error) => error,
            PoolError::Timeout(_) => sqlx::Error::PoolTimedOut,
            PoolError::Closed => sqlx::Error::PoolClosed,
            PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
                sqlx::Error::WorkerCrashed
            }
        })?;
        Ok(Connection::new(object, Arc::clone(&self.health)))
    }

    /// Begins a transaction. Fails like [`Pool::acquire`] and [`Pool::ensure_writable`].
    pub(super) async fn begin(&self) -> Result<Transaction, sqlx::Error> {
        self.ensure_writable()?;
        self.acquire().await?.begin().await
    }

    /// Opens a connection outside the pool; fails if no host accepts writes at this moment.
    pub(super) async fn open(&self) -> Result<Link, sqlx::Error> {
        self.connections.manager().try_hosts().await
    }

    /// The Postgres processes that should have answered a statement by now.
    pub(super) fn overdue_pids(&self) -> Vec<i32> {
        self.health.statements.overdue_pids(Instant::now())
    }

    /// Gives up the statements of these processes, which are not active: their answers were lost.
    pub(super) fn abandon(&self, not_running: &[i32]) {
        let lost = self.health.statements.abandon(not_running, Instant::now());
        if lost > 0 {
            tracing::warn!(
                db.statements.abandoned = lost,
                "statements were abandoned: Postgres is no longer running them, but no answer arrived"
            );
        }
    }

    /// Fails if commits are known to wait for a standby. A commit that is tried nevertheless keeps
    /// a connection of Postgres busy until the standby is back, even after its caller has gone.
    pub(super) fn ensure_writable(&self) -> Result<(), sqlx::Error> {
        if self.commits_blocked.load(Ordering::Relaxed) {
            Err(ConnectionProblem::StandbyAway.into())
        } else {
            Ok(())
        }
    }

    pub(super) fn set_commits_blocked(&self, wait: bool) {
        self.commits_blocked.store(wait, Ordering::Relaxed);
    }

    /// A connection outside the pool is silent although the server answers: the pool's connections
    /// may be silent too.
    pub(super) fn report_silent_connection(&self) {
        self.health.record_silence(self.health.generation());
    }

    /// The server accepts no writes: its connections are closed.
    pub(super) fn report_read_only_server(&self) {
        self.health.record_error(
            self.health.generation(),
            &ConnectionProblem::ReadOnly.into(),
        );
    }

    /// The numbers of open and of idle connections.
    pub(super) fn counts(&self) -> (usize, usize) {
        let status = self.connections.status();
        (status.size, status.available)
    }

    pub(super) fn max_size(&self) -> usize {
        self.connections.status().max_size
    }

    /// Closes idle connections and refuses to give out more.
    pub(super) async fn close(&self) {
        let idle = self.connections.retain(|_, _| false).removed;
        self.connections.close();
        close_all(idle).await;
    }
}

/// Closes connections in an orderly way. Connections that take too long are dropped, which Postgres
/// also notices.
async fn close_all(idle: Vec<Link>) {
    let closing = idle.into_iter().map(|link| link.raw.close());
    let _ = timeout(limits::CLOSE_LIMIT, futures_util::future::join_all(closing)).await;
}

/// Closes connections that have been idle for a while, as long as the pool exists.
fn close_idle(connections: &managed::Pool<Manager>) {
    let connections = connections.weak();
    tokio::spawn(async move {
        let mut check = interval(limits::IDLE_CHECK_INTERVAL);
        loop {
            check.tick().await;
            let Some(connections) = connections.upgrade() else {
                return;
            };
            close_all(
                connections
                    .retain(|_, about| about.last_used() < limits::IDLE_LIMIT)
                    .removed,
            )
            .await;
        }
    });
}

/// Each statement uses its own connection. All rows are read before the first is returned, so no
/// connection is held while rows are used.
impl<'p> Executor<'p> for &'p Pool {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, sqlx::Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let all = async move {
            let mut connection = self.acquire().await?;
            let all: Vec<_> = connection.fetch_many(query).try_collect().await?;
            Ok::<_, sqlx::Error>(stream::iter(all.into_iter().map(Ok)))
        };
        stream::once(all).try_flatten().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        async move { self.acquire().await?.fetch_optional(query).await }.boxed()
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        'p: 'e,
    {
        async move { self.acquire().await?.prepare_with(sql, parameters).await }.boxed()
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, sqlx::Error>>
    where
        'p: 'e,
    {
        async move { self.acquire().await?.describe(sql).await }.boxed()
    }
}
