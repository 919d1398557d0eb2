//! Bulk inserts, and Postgres's own statistics.

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::Failed;
use crate::stage::Stage;

/// A connection to the stage's database.
pub async fn connect(stage: &Stage) -> Result<PgConnection, Failed> {
    Ok(PgConnection::connect(stage.database_url()).await?)
}

/// Runs statements that are part of this program.
pub async fn run(connection: &mut PgConnection, statements: String) -> Result<(), Failed> {
    connection.execute(AssertSqlSafe(statements)).await?;
    Ok(())
}

/// Bytes of WAL written so far.
pub async fn wal_bytes(connection: &mut PgConnection) -> Result<f64, Failed> {
    let bytes = sqlx::query_scalar("SELECT (pg_current_wal_insert_lsn() - '0/0')::float8")
        .fetch_one(connection)
        .await?;
    Ok(bytes)
}

/// The number of exports that match a condition, which is part of this program.
pub async fn count(connection: &mut PgConnection, condition: &str) -> Result<i64, Failed> {
    let statement = format!("SELECT count(*) FROM exports WHERE {condition}");
    Ok(sqlx::query_scalar(AssertSqlSafe(statement))
        .fetch_one(connection)
        .await?)
}
