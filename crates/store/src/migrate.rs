//! Brings the schema to this version's: one process at a time, on connections of its own.
//!
//! A migration may take longer than any statement of the service, so it has no fixed limit. Instead
//! another connection checks whether Postgres still works on it: a connection that went silent ends
//! the attempt, and the next one continues where it stopped.
//!
//! The lock is of the transaction kind, which a pooler in transaction mode carries too. Its key is
//! the one that sqlx takes by itself, so that versions which let sqlx lock wait for it as well.

use std::sync::LazyLock;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use tokio::time::{sleep, timeout};

use super::StoreError;
use super::pool::{ConnectionProblem, Link, MAY_BE_WORKING, MIGRATION_NAME, Manager};

/// Every migration, in order.
static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrations = sqlx::migrate!("../../migrations");
    migrations.set_locking(false);
    migrations
});

/// How often a process that waits for its turn asks for it.
const LOCK_INTERVAL: Duration = Duration::from_secs(1);

/// How often Postgres is asked whether it still works.
const CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// How many checks in a row may find Postgres idle before the connection counts as silent: it is
/// idle between two statements.
const MAX_IDLE_CHECKS: u32 = 3;

/// How many checks in a row may fail.
const MAX_FAILED_CHECKS: u32 = 15;

/// How long an answer to anything but a migration may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// The version that the schema has after every migration.
pub(super) fn newest_version() -> i64 {
    MIGRATIONS
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or(0)
}

/// Runs the migrations that are missing, when it is this process's turn.
///
/// # Errors
/// The database cannot be reached, or holds a newer or changed migration.
pub(super) async fn migrate(manager: &Manager) -> Result<(), StoreError> {
    // Held until the end: the lock goes with its transaction.
    let _turn = lock(manager).await?;
    let mut link = manager.open().await?;
    tokio::select! {
        // `run` asks for an `Acquire`, of which the compiler cannot tell here that its future may
        // move to another thread; sqlx has this for that.
        migrated = MIGRATIONS.run_direct(None, &mut link.raw, false) => migrated.map_err(StoreError::Migrate),
        silent = until_silent(manager) => Err(StoreError::Migrate(MigrateError::Execute(silent.into()))),
    }
}

/// Waits for this process's turn. The connection whose transaction holds the lock.
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
    // As sqlx-postgres computes it (src/migrate.rs, generate_lock_id).
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

/// Returns when Postgres no longer works on a migration although no answer arrived, or has not been
/// reachable for long.
async fn until_silent(manager: &Manager) -> ConnectionProblem {
    let (mut idle_checks, mut failed_checks) = (0, 0);
    while idle_checks < MAX_IDLE_CHECKS && failed_checks < MAX_FAILED_CHECKS {
        sleep(CHECK_INTERVAL).await;
        match answered(is_working(manager)).await {
            Ok(true) => (idle_checks, failed_checks) = (0, 0),
            Ok(false) => idle_checks += 1,
            // Perhaps only no further connection can be opened.
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
