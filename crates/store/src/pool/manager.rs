//! Opens connections, at the first host that takes writes, and decides whether an idle one may be
//! used again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use tcp_keepalive::Keepalive;
use tokio::time::{Instant, sleep, timeout};

use super::connection_problem::ConnectionProblem;
use super::host::{self, Host};
use super::limits::{
    CONNECT_LIMIT, IDLE_IN_TRANSACTION_TIMEOUT, LIFETIME_LIMIT, LOCK_TIMEOUT,
    MIGRATION_LOCK_TIMEOUT, OPEN_LIMIT, PING_LIMIT, STATEMENT_TIMEOUT, TRUSTED_FOR,
};
use super::pool_health::PoolHealth;
use super::statement_state::StatementState;
use crate::database_url::DatabaseUrl;

/// The first pause between two attempts to connect; each next one is twice as long, up to the
/// longest.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// What connections are called on which migrations run.
pub(crate) const MIGRATION_NAME: &str = "tableferry migrate";

/// Whether the server is read-only: in recovery, or by its settings.
pub(crate) const IS_READ_ONLY: &str =
    "pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean";

/// Whether a process of `pg_stat_activity` may be working on a statement. Its state is not known if
/// `track_activities` is off.
pub(crate) const MAY_BE_WORKING: &str = "(state IS NULL OR state NOT LIKE 'idle%')";

/// Makes and judges the pool's connections.
pub(crate) struct Manager {
    hosts: Vec<Host>,
    /// The place of the host that is tried first: the one that was writable last.
    first: AtomicUsize,
    connect_limit: Duration,
    keepalive: Keepalive,
    /// What each session is told; nothing where sessions are shared.
    session: String,
    health: Arc<PoolHealth>,
}

/// A connection and what it needs to be used.
pub(crate) struct Link {
    /// The driver's connection.
    pub(crate) raw: PgConnection,
    /// See [`PoolHealth`].
    pub(super) generation: u64,
    /// The statement that waits for an answer.
    pub(super) statement: Arc<StatementState>,
    /// Whether a pooler shares it, transaction by transaction: then every statement is prepared by
    /// name.
    pub(super) is_shared: bool,
}

impl std::fmt::Debug for Manager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Manager")
            .field("hosts", &self.hosts.len())
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

impl Link {
    /// How a transaction begins.
    pub(super) fn begin(&self) -> &'static str {
        if self.is_shared {
            BEGIN_SHARED.as_str()
        } else {
            "BEGIN"
        }
    }
}

impl Manager {
    /// For the pool.
    pub(super) fn new(url: &DatabaseUrl, health: Arc<PoolHealth>) -> Result<Self, sqlx::Error> {
        Self::with(url, session_settings(), health)
    }

    /// For migrations, whose statements may take long.
    pub(crate) fn for_migrations(url: &DatabaseUrl) -> Result<Self, sqlx::Error> {
        // By this name it is seen whether Postgres works on a migration.
        let url = DatabaseUrl {
            application_name: Some(MIGRATION_NAME.to_owned()),
            ..url.clone()
        };
        // Whatever the role has been told: a migration may take long.
        let lock_timeout_ms = MIGRATION_LOCK_TIMEOUT.as_millis();
        let session = format!(
            "SET statement_timeout = 0; SET lock_timeout = {lock_timeout_ms}; {SERVER_KEEPALIVE}"
        );
        Self::with(&url, session, Arc::default())
    }

    fn with(
        url: &DatabaseUrl,
        session: String,
        health: Arc<PoolHealth>,
    ) -> Result<Self, sqlx::Error> {
        Ok(Self {
            hosts: host::hosts(url)?,
            first: AtomicUsize::new(0),
            connect_limit: url.connect_timeout.unwrap_or(CONNECT_LIMIT),
            keepalive: host::keepalive(url),
            session,
            health,
        })
    }

    /// Opens a connection at the first host that takes writes. While servers start, or none is
    /// writable, tries again for a while.
    ///
    /// # Errors
    /// No host accepts the connection.
    pub(crate) async fn open(&self) -> Result<Link, sqlx::Error> {
        // Each host has its own limit, for connecting and (the first time) for finding out about a
        // pooler.
        let hosts = u32::try_from(self.hosts.len()).unwrap_or(u32::MAX);
        let limit = OPEN_LIMIT.max(self.connect_limit * hosts);
        timeout(limit, self.open_with_retries())
            .await
            .map_err(|_| ConnectionProblem::ConnectLimit)?
    }

    async fn open_with_retries(&self) -> Result<Link, sqlx::Error> {
        let give_up_at = Instant::now() + OPEN_LIMIT;
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match self.try_hosts().await {
                Ok(link) => return Ok(link),
                Err(error) => error,
            };
            if !passes_soon(&error) || Instant::now() + pause > give_up_at {
                return Err(error);
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Tries each host once. That none is writable says more than that others are away.
    pub(super) async fn try_hosts(&self) -> Result<Link, sqlx::Error> {
        let first = self.first.load(Ordering::Relaxed);
        let mut failed = sqlx::Error::PoolClosed;
        for offset in 0..self.hosts.len() {
            let place = (first + offset) % self.hosts.len();
            // Named before it is known, so that a caller who gives up leaves the next one farther
            // down the list.
            self.first
                .store((place + 1) % self.hosts.len(), Ordering::Relaxed);
            match self.connect(&self.hosts[place]).await {
                Ok(link) => {
                    self.first.store(place, Ordering::Relaxed);
                    return Ok(link);
                }
                Err(error)
                    if ConnectionProblem::of(&failed) == Some(ConnectionProblem::ReadOnly) =>
                {
                    drop(error)
                }
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    async fn connect(&self, host: &Host) -> Result<Link, sqlx::Error> {
        let is_shared = host
            .sharing
            .is_shared(&host.options, self.connect_limit, &self.health)
            .await?;
        let connecting = async {
            let generation = self.health.generation();
            let mut raw = PgConnection::connect_with(&host.options).await?;
            if let Some(port) = host.port {
                let kept = tcp_keepalive::set_for_peers_on(port, &self.keepalive);
                let _ = kept.inspect_err(|error| tracing::debug!(error.message = %error, "TCP keepalive could not be set"));
            }
            let question = format!("SELECT {IS_READ_ONLY}, pg_backend_pid()");
            let session_setup = if is_shared {
                question
            } else {
                format!("{}; {question}", self.session)
            };
            let row = sqlx::raw_sql(AssertSqlSafe(session_setup))
                .fetch_one(&mut raw)
                .await?;
            if row.try_get::<bool, _>(0)? {
                return Err(ConnectionProblem::ReadOnly.into());
            }
            // Where sessions are shared, another process may serve each statement: of none can be
            // said that it is at rest.
            let pid = if is_shared {
                None
            } else {
                Some(row.try_get(1)?)
            };
            let statement = self.health.statements.of_connection(pid, Instant::now());
            Ok(Link {
                raw,
                statement,
                generation,
                is_shared,
            })
        };
        timeout(self.connect_limit, connecting)
            .await
            .map_err(|_| ConnectionProblem::ConnectLimit)?
    }
}

/// The server's end of a connection is kept alive too, so that a client that was lost does not hold
/// its locks for hours.
const SERVER_KEEPALIVE: &str =
    "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3";

/// What Postgres is told of each session of the pool.
///
/// Data is in memory or on an SSD, where a random page costs about as much as the next one: with
/// the default of 4 the planner prefers reading hundreds of rows in order to fifty by the matching
/// index. No statement reads enough to be worth parallel workers.
fn session_settings() -> String {
    format!(
        "{}; SET random_page_cost = 1.1; SET max_parallel_workers_per_gather = 0; {SERVER_KEEPALIVE}",
        timeouts("SET")
    )
}

/// A transaction where sessions are shared: it is told its limits, since the session cannot be.
static BEGIN_SHARED: LazyLock<String> =
    LazyLock::new(|| format!("BEGIN; {}", timeouts("SET LOCAL")));

fn timeouts(set: &str) -> String {
    let settings = [
        ("statement_timeout", STATEMENT_TIMEOUT),
        ("lock_timeout", LOCK_TIMEOUT),
        (
            "idle_in_transaction_session_timeout",
            IDLE_IN_TRANSACTION_TIMEOUT,
        ),
    ];
    settings
        .map(|(name, limit)| format!("{set} {name} = {}", limit.as_millis()))
        .join("; ")
}

/// Whether a connection that failed like this may succeed in a moment: the server starts, or a
/// fail-over goes on.
fn passes_soon(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => true,
        // 57P03: it starts or stops; 53300: too many connections.
        sqlx::Error::Database(e) => e
            .code()
            .is_some_and(|code| code == "57P03" || code == "53300"),
        _ => ConnectionProblem::of(error) == Some(ConnectionProblem::ReadOnly),
    }
}

impl managed::Manager for Manager {
    type Type = Link;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<Link, sqlx::Error> {
        self.open().await
    }

    async fn recycle(&self, link: &mut Link, about: &Metrics) -> RecycleResult<sqlx::Error> {
        if link.generation != self.health.generation() {
            return Err(RecycleError::message("an earlier connection failed"));
        }
        if about.age() > LIFETIME_LIMIT {
            return Err(RecycleError::message("maximum lifetime exceeded"));
        }
        let idle_for = about.last_used();
        if idle_for > TRUSTED_FOR || self.health.needs_ping(idle_for) {
            match timeout(PING_LIMIT, link.raw.ping()).await {
                Ok(answered) => answered?,
                Err(_) => {
                    self.health.record_silence(link.generation);
                    return Err(RecycleError::Backend(ConnectionProblem::PingLimit.into()));
                }
            }
        }
        Ok(())
    }
}
