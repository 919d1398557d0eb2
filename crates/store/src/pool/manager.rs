//! Opens connections to the first host that accepts writes, and decides whether an idle connection
//! may be used again.

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

/// The first delay between two attempts to connect. It doubles with each attempt, up to the
/// longest.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// The `application_name` of connections on which migrations run.
pub(crate) const MIGRATION_NAME: &str = "tableferry migrate";

/// SQL: whether the server is read-only, because it is in recovery or by its settings.
pub(crate) const IS_READ_ONLY: &str =
    "pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean";

/// SQL: whether a process in `pg_stat_activity` may be working on a statement. Its state is unknown
/// if `track_activities` is off.
pub(crate) const MAY_BE_WORKING: &str = "(state IS NULL OR state NOT LIKE 'idle%')";

/// Opens and checks the pool's connections.
pub(crate) struct Manager {
    hosts: Vec<Host>,
    /// The index of the host that is tried first: the one that was writable last.
    first: AtomicUsize,
    connect_limit: Duration,
    keepalive: Keepalive,
    /// The settings of each session; not used where a pooler shares sessions.
    session: String,
    health: Arc<PoolHealth>,
}

/// A connection of the driver and its state.
pub(crate) struct Link {
    pub(crate) raw: PgConnection,
    /// See [`PoolHealth`].
    pub(super) generation: u64,
    /// The statement that waits for an answer.
    pub(super) statement: Arc<StatementState>,
    /// Whether a pooler in transaction mode shares it: then every statement is prepared by name.
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
    /// The statement that begins a transaction.
    pub(super) fn begin(&self) -> &'static str {
        if self.is_shared {
            BEGIN_SHARED.as_str()
        } else {
            "BEGIN"
        }
    }
}

impl Manager {
    pub(super) fn new(url: &DatabaseUrl, health: Arc<PoolHealth>) -> Result<Self, sqlx::Error> {
        Self::with(url, session_settings(), health)
    }

    /// For migrations, whose statements have no time limit.
    pub(crate) fn for_migrations(url: &DatabaseUrl) -> Result<Self, sqlx::Error> {
        // The name identifies connections that run migrations in `pg_stat_activity`.
        let url = DatabaseUrl {
            application_name: Some(MIGRATION_NAME.to_owned()),
            ..url.clone()
        };
        // These override the settings of the role: a migration may take long.
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

    /// Opens a connection to the first host that accepts writes. While servers start, or none is
    /// writable, it tries again for [`OPEN_LIMIT`].
    pub(crate) async fn open(&self) -> Result<Link, sqlx::Error> {
        // Each host has its own time limit, for connecting and (the first time) for the check for a
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

    /// Tries each host once. If one is read-only and others are unreachable, the error is that of
    /// the read-only host.
    pub(super) async fn try_hosts(&self) -> Result<Link, sqlx::Error> {
        let first = self.first.load(Ordering::Relaxed);
        let mut failed = sqlx::Error::PoolClosed;
        for offset in 0..self.hosts.len() {
            let place = (first + offset) % self.hosts.len();
            // Set before the result is known, so that after a caller that gives up the next one
            // tries the next host.
            self.first
                .store((place + 1) % self.hosts.len(), Ordering::Relaxed);
            match self.connect(&self.hosts[place]).await {
                Ok(link) => {
                    self.first.store(place, Ordering::Relaxed);
                    return Ok(link);
                }
                Err(error)
                    if ConnectionProblem::from_error(&failed)
                        == Some(ConnectionProblem::ReadOnly) =>
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
            // Where sessions are shared, a different process may serve each statement, so no
            // process says whether a statement is running.
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

/// TCP keepalive at the server's end, so that a lost client does not hold its locks for hours.
const SERVER_KEEPALIVE: &str =
    "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3";

/// The settings of each session of the pool.
///
/// Data is in memory or on an SSD, where reading a random page costs about as much as reading the
/// next one. With the default of 4, the planner prefers reading hundreds of rows in order over
/// reading fifty by the matching index. No statement reads enough to need parallel workers.
fn session_settings() -> String {
    format!(
        "{}; SET random_page_cost = 1.1; SET max_parallel_workers_per_gather = 0; {SERVER_KEEPALIVE}",
        timeouts("SET")
    )
}

/// Begins a transaction where sessions are shared, with its own time limits, because the session
/// cannot have them.
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

/// Whether the error is likely to pass soon: the server is starting, or a failover is in progress.
fn passes_soon(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => true,
        // 57P03: the server is starting or stopping; 53300: too many connections.
        sqlx::Error::Database(e) => e
            .code()
            .is_some_and(|code| code == "57P03" || code == "53300"),
        _ => ConnectionProblem::from_error(error) == Some(ConnectionProblem::ReadOnly),
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
