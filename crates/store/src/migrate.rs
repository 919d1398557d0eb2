//! Runs migrations: one process at a time, on connections of its own.
//!
//! A migration may take longer than any statement of the service, so it has no fixed time limit.
//! Instead another connection checks whether Postgres is still working on it. If the connection is
//! silent, the attempt ends, and the next attempt continues where it stopped.
//!
//! The lock is a transaction-level advisory lock, which also works through a pooler in transaction
//! mode. Its key is the one that sqlx uses, so that versions which let sqlx lock wait for it too.

use std::sync::LazyLock;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use tokio::time::{sleep, timeout};

use super::StoreError;
use super::pool::{ConnectionProblem, Link, MAY_BE_WORKING, MIGRATION_NAME, Manager};

static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrations = sqlx::migrate!("../../migrations");
    migrations.set_locking(false);
    migrations
});

/// How often a waiting process tries to get the lock.
const LOCK_INTERVAL: Duration = Duration::from_secs(1);

/// How often Postgres is asked whether it is still working.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// The number of consecutive checks that must find Postgres idle before the connection counts as
/// silent: Postgres is also idle between two statements.
const MAX_IDLE_CHECKS: u32 = 3;

/// The maximum number of consecutive checks that fail.
const MAX_FAILED_CHECKS: u32 = 15;

/// The time limit of every statement that is not a migration.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// The version of the schema after all migrations.
pub(super) fn newest_version() -> i64 {
    MIGRATIONS
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or(0)
}

/// Waits for the lock and runs the migrations that are missing.
pub(super) async fn migrate(manager: &Manager) -> Result<(), StoreError> {
    // Kept until the end: the lock is released with its transaction.
    let _turn = lock(manager).await?;
    let mut link = manager.open().await?;
    tokio::select! {
        // `run` takes an `Acquire`; the compiler cannot see here that its future is `Send`. sqlx
        // provides this wrapper for that.
        migrated = MIGRATIONS.run_direct(None, &mut link.raw, false) => migrated.map_err(StoreError::Migrate),
        silent = until_silent(manager) => Err(StoreError::Migrate(MigrateError::Execute(silent.into()))),
    }
}

/// Waits for the lock. Returns the connection whose transaction holds it.
async fn lock(manager: &Manager) -> Result<Link, StoreError> {
    let mut link = manager.open().await?;
    let mut logged = false;
    loop {
        if answered(try_lock(&mut link.raw)).await? {
            return Ok(link);
        }
        if !logged {
            tracing::info!("another process is migrating the database; waiting for it to finish");
            logged = true;
        }
        sleep(LOCK_INTERVAL).await;
    }
}

async fn try_lock(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
    let begin =
        "BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0; SELECT current_database()::text";
    let database: String = sqlx::raw_sql(begin)
        .fetch_one(&mut *connection)
        .await?
        .try_get(0)?;
    // The same computation as in sqlx-postgres (src/migrate.rs, generate_lock_id).
    let key = 0x3d32_ad9e * i64::from(CRC.checksum(database.as_bytes()));
    let text = format!("SELECT pg_try_advisory_xact_lock({key})");
    let locked: bool = sqlx::raw_sql(AssertSqlSafe(text))
        .fetch_one(&mut *connection)
        .await?
        .try_get(0)?;
    if !locked {
        sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await?;
    }
    Ok(locked)
}

/// Returns when Postgres is no longer working on a migration although no answer has arrived, or has
/// been unreachable for too long.
async fn until_silent(manager: &Manager) -> ConnectionProblem {
    let (mut idle_checks, mut failed_checks) = (0, 0);
    while idle_checks < MAX_IDLE_CHECKS && failed_checks < MAX_FAILED_CHECKS {
        sleep(CHECK_INTERVAL).await;
        match answered(is_working(manager)).await {
            Ok(true) => (idle_checks, failed_checks) = (0, 0),
            Ok(false) => idle_checks += 1,
            // It may only be impossible to open another connection.
            Err(_) => failed_checks += 1,
        }
    }
    ConnectionProblem::StatementLimit
}

async fn is_working(manager: &Manager) -> Result<bool, sqlx::Error> {
    let text = format!(
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = '{MIGRATION_NAME}'
            AND {MAY_BE_WORKING} AND pid <> pg_backend_pid())"
    );
    let mut link = manager.open().await?;
    sqlx::raw_sql(AssertSqlSafe(text))
        .fetch_one(&mut link.raw)
        .await?
        .try_get(0)
}

async fn answered<T>(
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    timeout(ANSWER_LIMIT, answer)
        .await
        .map_err(|_| ConnectionProblem::StatementLimit)?
}
