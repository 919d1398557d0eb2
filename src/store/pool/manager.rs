//! Opens connections, at the first host that takes writes, and decides whether an idle one may be used again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use tcp_keepalive::Keepalive;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use super::host::{self, Host};
use super::in_flight::InFlight;
use super::limits::{
    CONNECT_LIMIT, IDLE_IN_TRANSACTION_TIMEOUT, LIFETIME_LIMIT, LOCK_TIMEOUT, OPEN_LIMIT, PING_LIMIT, STATEMENT_TIMEOUT, TRUSTED_FOR,
};
use super::pooler::{self, Sharing};
use super::suspicion::Suspicion;
use super::trouble::Trouble;
use crate::store::database_url::DatabaseUrl;

/// For how long it is believed that a pooler stands before Postgres or that none does.
const DETECT_INTERVAL: Duration = Duration::from_secs(60);

/// The first pause between two attempts to connect; each next one is twice as long, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Whether the server takes no writes, in recovery or because it was told so; and which of its processes serves the connection.
const IS_READ_ONLY: &str = "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean, pg_backend_pid()";

/// Makes and judges the pool's connections.
pub(in crate::store) struct Manager {
    hosts: Vec<Host>,
    /// The place of the host that is tried first: the one that was writable last.
    first: AtomicUsize,
    connect_limit: Duration,
    keepalive: Keepalive,
    /// What was found out last, and when.
    sharing: Mutex<Option<(Sharing, Instant)>>,
    /// What each session is told; nothing where sessions are shared.
    session: String,
    suspicion: Arc<Suspicion>,
}

/// A connection and what it needs to be used.
pub(in crate::store) struct Link {
    /// The driver's connection.
    pub(in crate::store) raw: PgConnection,
    /// See [`Suspicion`].
    generation: u64,
    /// The statement that waits for an answer.
    pub(super) statement: Arc<InFlight>,
    /// Whether every statement is prepared by name.
    pub(super) always_named: bool,
    /// How a transaction begins.
    pub(super) begin: &'static str,
}

impl std::fmt::Debug for Manager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Manager").field("hosts", &self.hosts.len()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

impl Manager {
    /// For the pool.
    pub(super) fn new(url: &DatabaseUrl, suspicion: Arc<Suspicion>) -> Result<Self, sqlx::Error> {
        Self::with(url, "tableferry", session_settings(), suspicion)
    }

    /// For migrations, whose statements may take long.
    pub(in crate::store) fn for_migrations(url: &DatabaseUrl) -> Result<Self, sqlx::Error> {
        Self::with(url, "tableferry migrate", SERVER_KEEPALIVE.to_owned(), Arc::default())
    }

    fn with(url: &DatabaseUrl, name: &str, session: String, suspicion: Arc<Suspicion>) -> Result<Self, sqlx::Error> {
        Ok(Self {
            hosts: host::hosts(url, name)?,
            first: AtomicUsize::new(0),
            connect_limit: url.connect_timeout.unwrap_or(CONNECT_LIMIT),
            keepalive: host::keepalive(url),
            sharing: Mutex::default(),
            session,
            suspicion,
        })
    }

    /// Opens a connection at the first host that takes writes. While servers start, or none is writable, tries again for a while.
    ///
    /// # Errors
    /// No host lets us in.
    pub(in crate::store) async fn open(&self) -> Result<Link, sqlx::Error> {
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
            // Named before it is known, so that a caller who gives up leaves the next one farther down the list.
            self.first.store((place + 1) % self.hosts.len(), Ordering::Relaxed);
            match self.connect(&self.hosts[place]).await {
                Ok(link) => {
                    self.first.store(place, Ordering::Relaxed);
                    return Ok(link);
                }
                Err(error) if Trouble::of(&failed) == Some(Trouble::ReadOnly) => drop(error),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    /// Who shares the connections of Postgres: found out anew now and then, since a pooler can be put in between, or told another mode, at any time.
    async fn sharing(&self, host: &Host) -> Result<Sharing, sqlx::Error> {
        let mut known = self.sharing.lock().await;
        let before = known.map(|(sharing, _)| sharing);
        if let Some((sharing, at)) = *known
            && at.elapsed() < DETECT_INTERVAL
        {
            return Ok(sharing);
        }
        let detected = timeout(OPEN_LIMIT, pooler::detect(&host.options, self.connect_limit)).await;
        let now = detected.map_err(|_| Trouble::ConnectLimit)??;
        *known = Some((now, Instant::now()));
        if before != Some(now) {
            match now {
                Sharing::ByTransaction => tracing::info!(
                    "a pooler in transaction mode is in front of Postgres: statements are prepared by name, and nothing is set per session"
                ),
                Sharing::None => {}
            }
            if before.is_some() {
                self.suspicion.sharing_changed();
            }
        }
        Ok(now)
    }

    async fn connect(&self, host: &Host) -> Result<Link, sqlx::Error> {
        let sharing = self.sharing(host).await?;
        let connecting = async {
            let generation = self.suspicion.generation();
            let mut raw = PgConnection::connect_with(&host.options).await?;
            if let Some(port) = host.port {
                let kept = tcp_keepalive::set_for_peers_on(port, &self.keepalive);
                let _ = kept.inspect_err(|error| tracing::debug!(error.message = %error, "TCP keepalive could not be set"));
            }
            let greeting = match sharing {
                Sharing::None => format!("{}; {IS_READ_ONLY}", self.session),
                Sharing::ByTransaction => IS_READ_ONLY.to_owned(),
            };
            let row = sqlx::raw_sql(AssertSqlSafe(greeting)).fetch_one(&mut raw).await?;
            if row.try_get::<bool, _>(0)? {
                return Err(Trouble::ReadOnly.into());
            }
            let always_named = sharing == Sharing::ByTransaction;
            // Where sessions are shared, another process may serve each statement: of none can be said that it is at rest.
            let statement = self.suspicion.statements.of_connection(if always_named { NO_PROCESS } else { row.try_get(1)? });
            Ok(Link { raw, statement, generation, always_named, begin: if always_named { BEGIN_SHARED } else { "BEGIN" } })
        };
        timeout(self.connect_limit, connecting).await.map_err(|_| Trouble::ConnectLimit)?
    }
}

/// No process has this number.
const NO_PROCESS: i32 = 0;

/// A transaction where sessions are shared: what a session of our own is told goes into each.
const BEGIN_SHARED: &str =
    "BEGIN; SET LOCAL statement_timeout = '10s'; SET LOCAL lock_timeout = '5s'; SET LOCAL idle_in_transaction_session_timeout = '15s'";

/// The server's end of a connection is kept alive too, so that a client that was lost does not hold its locks for hours.
const SERVER_KEEPALIVE: &str = "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3";

/// What Postgres is told of each session of the pool.
///
/// A database that hangs is told to callers as one that is away. What is asked for lies in memory or on a disk without a head, where a page
/// costs about the same wherever it is: by Postgres's default of 4 it rather reads hundreds of rows in order than fifty from the index that
/// fits. Nothing reads so much that other processes should help.
fn session_settings() -> String {
    let ms = |duration: Duration| duration.as_millis();
    format!(
        "SET statement_timeout = {}; SET lock_timeout = {}; SET idle_in_transaction_session_timeout = {}; SET random_page_cost = 1.1; \
        SET max_parallel_workers_per_gather = 0; {SERVER_KEEPALIVE}",
        ms(STATEMENT_TIMEOUT),
        ms(LOCK_TIMEOUT),
        ms(IDLE_IN_TRANSACTION_TIMEOUT),
    )
}

/// Whether a connection that failed like this may succeed in a moment: the server starts, or a fail-over goes on.
fn passes_soon(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => true,
        // 57P03: it starts or stops; 53300: too many connections.
        sqlx::Error::Database(e) => e.code().is_some_and(|code| code == "57P03" || code == "53300"),
        _ => Trouble::of(error) == Some(Trouble::ReadOnly),
    }
}

impl managed::Manager for Manager {
    type Type = Link;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<Link, sqlx::Error> {
        // Beside its own limits it may wait for others who find out what it needs.
        timeout(OPEN_LIMIT * 2, self.open()).await.map_err(|_| Trouble::ConnectLimit)?
    }

    async fn recycle(&self, link: &mut Link, about: &Metrics) -> RecycleResult<sqlx::Error> {
        if link.generation != self.suspicion.generation() {
            return Err(RecycleError::message("another connection went silent"));
        }
        if about.age() > LIFETIME_LIMIT {
            return Err(RecycleError::message("it is old"));
        }
        let idle_for = about.last_used();
        if idle_for > TRUSTED_FOR || self.suspicion.doubts(idle_for) {
            match timeout(PING_LIMIT, link.raw.ping()).await {
                Ok(answered) => answered?,
                Err(_) => {
                    self.suspicion.silent();
                    return Err(RecycleError::Backend(Trouble::PingLimit.into()));
                }
            }
        }
        Ok(())
    }
}
