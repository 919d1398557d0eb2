//! Postgres: the only room that names sqlx.
//!
//! One file a concern: [`accept`] stores new exports, [`accept_queue`] many of them at once,
//! [`read`] finds them, [`schedule`] claims due ones, [`record`] writes what a step led to,
//! [`together`] lets much be written at once, [`api_keys`] knows who may call, [`deliveries`] keeps
//! the webhooks at work and [`delivery_log`] shows them, [`verifications`] keeps what is verified.
//! Every write of an export repeats the version that its writer saw; a writer that comes late gets
//! [`StoreError::Stale`] and has changed nothing.

pub mod accept;
pub mod accept_queue;
pub mod api_keys;
mod cancel;
mod columns;
mod database_url;
pub mod deliveries;
pub mod delivery_log;
pub mod endpoints;
mod error;
mod estimates;
mod health;
mod insert;
mod list;
pub mod listed;
pub mod load;
mod marks;
mod migrate;
pub mod page;
mod pool;
pub mod read;
pub mod record;
mod reseal;
pub mod retention;
mod rows;
pub mod schedule;
pub mod signing_keys;
mod steps;
mod together;
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

/// How many connections read lists at once: many that read long pages would keep all others
/// waiting, and make each other slower.
const MOST_LISTS: usize = 4;

/// The database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    pool: Pool,
    /// Where migrations run.
    direct: Arc<Manager>,
    health: Arc<Health>,
    /// A place for each list that may be read.
    lists: Arc<Semaphore>,
    /// The base of links in webhooks.
    public_url: PublicUrl,
}

impl Store {
    /// Prepares connections to the database of this URL without opening one. Migrations run at
    /// `direct_url`, if there is one, which bypasses a pooler.
    ///
    /// # Errors
    /// A URL is malformed. The error does not repeat it.
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
            lists: Arc::new(Semaphore::new(MOST_LISTS)),
            public_url: PublicUrl::default(),
        })
    }

    /// The same, but webhooks that it writes hold links that begin with this URL.
    #[must_use]
    pub fn with_public_url(self, public_url: PublicUrl) -> Self {
        Self { public_url, ..self }
    }

    /// Brings the schema to this version's. Replicas that start together take turns.
    ///
    /// # Errors
    /// The database cannot be reached, or holds a newer or changed migration.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        migrate::migrate(&self.direct).await
    }

    /// Opens a connection and gives it back: whether the database lets us in.
    ///
    /// # Errors
    /// It cannot be reached, or a pooler stands before it that mixes up statements.
    pub async fn check_connection(&self) -> Result<(), StoreError> {
        Ok(self.pool.acquire().await.map(drop)?)
    }

    /// Asks the database whether it answers, takes writes, and has this version's schema.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn health(&self) -> Result<(), DatabaseProblem> {
        self.health.ask(&self.pool).await
    }

    /// Fails if the last health check found that the database takes no writes: then nothing should
    /// be begun that must be written.
    ///
    /// # Errors
    /// Why it takes none.
    pub fn ensure_writable(&self) -> Result<(), StoreError> {
        Ok(self.pool.ensure_writable()?)
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
