//! Postgres: the only room that names sqlx.
//!
//! One file a concern: [`accept`] stores new exports, [`accept_queue`] many of them at once, [`read`] finds them, [`schedule`] claims due ones, [`record`]
//! writes what a step led to, [`together`] lets much be written at once, [`api_keys`] knows who may call, [`deliveries`] keeps the webhooks at work and [`delivery_log`] shows them, [`verifications`] keeps what is
//! verified. Every write of an export repeats the version that its
//! writer saw; a writer that comes late gets [`StoreError::Stale`] and has changed nothing.

pub mod accept;
pub mod accept_queue;
pub mod api_keys;
mod cancel;
mod columns;
pub mod deliveries;
pub mod delivery_log;
pub mod endpoints;
mod error;
mod estimates;
mod insert;
mod list;
pub mod load;
mod marks;
pub mod page;
pub mod read;
pub mod record;
mod reseal;
pub mod retention;
mod rows;
pub mod schedule;
pub mod signing_keys;
mod steps;
mod together;
mod trust;
pub mod verifications;
pub mod webhook_jobs;

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use tokio::sync::Semaphore;

pub use error::StoreError;
pub use reseal::Resealed;

/// Every migration, in order.
static MIGRATIONS: Migrator = sqlx::migrate!();

/// How many connections one process opens. More make a small machine slower, not faster.
const MOST_CONNECTIONS: u32 = 12;

/// How many of these read lists at once: many that read long pages would keep all others waiting, and make each other slower.
const MOST_LISTS: usize = 4;

/// How long a caller waits for a connection before it is told that the database is not there.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// The database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    pool: PgPool,
    options: Arc<PgConnectOptions>,
    /// A place for each list that may be read.
    lists: Arc<Semaphore>,
}

impl Store {
    /// Prepares connections to the database of this URL without opening one.
    ///
    /// # Errors
    /// The URL is malformed. The error does not repeat it.
    pub fn connect_lazily(url: &SecretString) -> Result<Self, StoreError> {
        let text = url.expose_secret();
        if !(text.starts_with("postgres://") || text.starts_with("postgresql://")) {
            return Err(StoreError::Url(sqlx::Error::Configuration("it does not begin with postgres://".into())));
        }
        let options = PgConnectOptions::from_str(text).map_err(StoreError::Url)?.application_name("tableferry");
        let pool = PgPoolOptions::new()
            .max_connections(MOST_CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(|connection, about| Box::pin(trust::ask(connection, about)))
            .after_connect(|connection, _| {
                Box::pin(async move {
                    // A database that hangs is told to callers as one that is away. What is asked for lies in memory or on a disk without a
                    // head, where a page costs about the same wherever it is: by Postgres's default of 4 it rather reads hundreds of rows in
                    // order than fifty from the index that fits. Nothing reads so much that other processes should help.
                    let settings = "SET statement_timeout = '10s'; SET lock_timeout = '5s'; SET random_page_cost = 1.1; SET max_parallel_workers_per_gather = 0";
                    sqlx::raw_sql(settings).execute(connection).await.map(drop)
                })
            })
            .connect_lazy_with(options.clone());
        Ok(Self { pool, options: Arc::new(options), lists: Arc::new(Semaphore::new(MOST_LISTS)) })
    }

    /// Brings the schema to this version's. Replicas that start together take turns.
    ///
    /// # Errors
    /// The database cannot be reached, or holds a newer or changed migration.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        // On a connection of its own: a migration may take longer than a statement otherwise may.
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(PgConnectOptions::clone(&self.options));
        let migrated = MIGRATIONS.run(&pool).await.map_err(StoreError::Migrate);
        pool.close().await;
        migrated
    }

    /// Whether the database answers and has this version's schema.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn schema_is_current(&self) -> Result<bool, StoreError> {
        let newest = MIGRATIONS.iter().map(|m| m.version).max().unwrap_or(0);
        let applied =
            sqlx::query_scalar::<_, Option<i64>>("SELECT max(version) FROM _sqlx_migrations WHERE success").fetch_one(&self.pool).await;
        match applied {
            Ok(version) => Ok(version.is_some_and(|version| version >= newest)),
            // No migration ran yet: 42P01 is undefined_table.
            Err(sqlx::Error::Database(e)) if e.code().as_deref() == Some("42P01") => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
