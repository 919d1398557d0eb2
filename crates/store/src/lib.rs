//! Everything that is in Postgres; the only crate that uses sqlx.
//!
//! [`accept`] stores new exports, [`read`] finds them, [`schedule`] claims those that are due, and
//! [`outcome`] writes the outcomes of their steps. `export_row` lists the columns of `exports`.
//! [`deliveries`] claims webhook deliveries and records their attempts; [`delivery_log`] shows them
//! to callers.
//!
//! Every write of an export names the version that its writer saw. A writer that comes late gets
//! [`StoreError::Conflict`] and has changed nothing.

pub mod accept;
pub mod api_keys;
mod batching;
mod cancel;
mod database_url;
pub mod deliveries;
pub mod delivery_log;
pub mod endpoints;
mod error;
mod estimates;
mod event_row;
mod export_row;
mod health;
mod label_bloom;
mod list;
pub mod listed;
pub mod load;
mod migrate;
pub mod outcome;
pub mod page;
mod pool;
pub mod read;
mod reseal;
pub mod retention;
pub mod schedule;
pub mod signing_keys;
mod sql_parts;
mod verification_row;
pub mod verifications;
pub mod webhook_jobs;

use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Semaphore;

use tableferry_domain::public_url::PublicUrl;

pub use error::StoreError;
pub use health::DatabaseProblem;
pub use pool::ConnectionProblem;
pub use reseal::Resealed;

use health::Health;
use pool::{Manager, Pool};

/// The maximum number of connections that read lists at the same time: more would keep other
/// statements waiting and slow each other down.
const MAX_LISTS: usize = 4;

/// The database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    pool: Pool,
    /// Where migrations run.
    direct: Arc<Manager>,
    health: Arc<Health>,
    /// One permit per list that may be read at the same time.
    lists: Arc<Semaphore>,
    /// The base of links in webhooks.
    public_url: PublicUrl,
}

impl Store {
    /// Prepares connections to this database without opening one. Migrations run at `direct_url` if
    /// it is given, to bypass a pooler.
    ///
    /// Fails if a URL is malformed. The error does not contain the URL.
    pub fn connect_lazily(
        url: &SecretString,
        direct_url: Option<&SecretString>,
    ) -> Result<Self, StoreError> {
        let parse = |name, url: &SecretString| {
            database_url::parse(url.expose_secret()).map_err(|problems| StoreError::Url {
                name,
                source: problems.into(),
            })
        };
        let pooled = parse("DATABASE_URL", url)?;
        let (direct_name, direct) = match direct_url {
            Some(direct) => (
                "TABLEFERRY_DIRECT_DATABASE_URL",
                parse("TABLEFERRY_DIRECT_DATABASE_URL", direct)?,
            ),
            None => ("DATABASE_URL", pooled.clone()),
        };
        let refused = |name| {
            move |source: sqlx::Error| StoreError::Url {
                name,
                source: source.into(),
            }
        };
        Ok(Self {
            pool: Pool::new(&pooled).map_err(refused("DATABASE_URL"))?,
            direct: Arc::new(Manager::for_migrations(&direct).map_err(refused(direct_name))?),
            health: Arc::default(),
            lists: Arc::new(Semaphore::new(MAX_LISTS)),
            public_url: PublicUrl::default(),
        })
    }

    /// Sets the beginning of links in webhooks.
    #[must_use]
    pub fn with_public_url(self, public_url: PublicUrl) -> Self {
        Self { public_url, ..self }
    }

    /// Brings the schema to this version. Replicas that start at the same time take turns.
    ///
    /// Fails if the database has run a migration that is newer or was changed.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        migrate::migrate(&self.direct).await
    }

    /// Opens a connection, or takes an idle one, and returns it to the pool.
    pub async fn check_connection(&self) -> Result<(), StoreError> {
        Ok(self.pool.acquire().await.map(drop)?)
    }

    /// Checks that the database answers, accepts writes, and has this version's schema.
    pub async fn health(&self) -> Result<(), DatabaseProblem> {
        self.health.ask(&self.pool).await
    }

    /// Fails if the last health check found that the database accepts no writes: then no work
    /// should start whose result must be written.
    pub fn ensure_writable(&self) -> Result<(), StoreError> {
        Ok(self.pool.ensure_writable()?)
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
