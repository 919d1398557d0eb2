//! Finds out whether a pooler in transaction mode stands before Postgres, and whether it keeps prepared statements apart.
//!
//! In that mode each transaction of a connection may run on another connection of Postgres. Then nothing may rest on the session, and
//! every statement must be prepared by name: the driver sends a statement and its values in two round trips, and between the two the
//! unnamed statement of another client may take its place, whose answer looks like ours. Poolers that know the mode (PgBouncer from 1.21
//! on) follow named statements from one connection of Postgres to the next; older ones mix those up too.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection, Row as _};
use tokio::time::timeout;

use super::trouble::Trouble;

/// Who else uses the connections of Postgres on which our sessions run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sharing {
    /// Nobody while a connection is open: there is no pooler, or one in session mode.
    None,
    /// Everybody, transaction by transaction.
    ByTransaction,
}

/// How often the connections are compared. On a quiet pooler once is enough; on a busy one each look may meet another pair by chance.
const LOOKS: usize = 4;

/// How long one answer may take before the pooler counts as one that has no connection to give.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);

/// Compares two connections.
///
/// # Errors
/// They cannot be opened, or the pooler mixes up prepared statements.
pub(super) async fn detect(options: &PgConnectOptions, connect_limit: Duration) -> Result<Sharing, sqlx::Error> {
    let open = || async { timeout(connect_limit, PgConnection::connect_with(options)).await.map_err(|_| Trouble::ConnectLimit)? };
    let (mut a, mut b) = (open().await?, open().await?);
    let sharing = compare(&mut a, &mut b).await?;
    // What does not close in time is dropped, which closes it too.
    let _ = timeout(ANSWER_LIMIT, a.close()).await;
    let _ = timeout(ANSWER_LIMIT, b.close()).await;
    Ok(sharing)
}

async fn compare(a: &mut PgConnection, b: &mut PgConnection) -> Result<Sharing, sqlx::Error> {
    for _ in 0..LOOKS {
        let before = timeout(ANSWER_LIMIT, backend(a)).await.map_err(|_| Trouble::PoolerFull)??;
        let held = timeout(ANSWER_LIMIT, hold(b)).await.map_err(|_| Trouble::PoolerFull)??;
        // While `b` holds what it was given, `a` is given another one, or none at all.
        let after = timeout(ANSWER_LIMIT, backend(a)).await;
        sqlx::raw_sql("ROLLBACK").execute(&mut *b).await?;
        let Ok(after) = after else {
            return Err(Trouble::PoolerFull.into());
        };
        if before == held || after? != before {
            return match keeps_statements_apart(a, b).await {
                Ok(true) => Ok(Sharing::ByTransaction),
                Err(error) if !matches!(error, sqlx::Error::Database(_) | sqlx::Error::Protocol(_)) => Err(error),
                Ok(false) | Err(_) => Err(Trouble::Pooler.into()),
            };
        }
    }
    Ok(Sharing::None)
}

/// The process of Postgres that answers.
async fn backend(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    sqlx::raw_sql("SELECT pg_backend_pid()").fetch_one(connection).await?.try_get(0)
}

/// The same, held by a transaction.
async fn hold(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    sqlx::raw_sql("BEGIN").execute(&mut *connection).await?;
    backend(connection).await
}

/// Whether statements of the same name, which the driver gives to the first of each connection, are kept apart and follow their connection.
async fn keeps_statements_apart(a: &mut PgConnection, b: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let number = |value: i32| sqlx::query_scalar::<_, i32>("SELECT $1::int4 + 1").bind(value);
    let text = |value: &'static str| sqlx::query_scalar::<_, String>("SELECT $1::text || 'b'").bind(value);
    let mut right = number(1).fetch_one(&mut *a).await? == 2;
    right &= text("a").fetch_one(&mut *b).await? == "ab";
    sqlx::raw_sql("BEGIN").execute(&mut *b).await?;
    right &= text("c").fetch_one(&mut *b).await? == "cb";
    right &= number(2).fetch_one(&mut *a).await? == 3;
    sqlx::raw_sql("ROLLBACK").execute(&mut *b).await?;
    right &= number(3).fetch_one(&mut *a).await? == 4;
    right &= text("d").fetch_one(&mut *b).await? == "db";
    Ok(right)
}
