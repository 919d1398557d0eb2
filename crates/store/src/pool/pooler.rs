//! Detects a pooler in transaction mode in front of Postgres, and whether it keeps the prepared
//! statements of its clients apart.
//!
//! In that mode each transaction of a connection may run on a different connection of Postgres.
//! Then nothing may depend on the session, and every statement must be prepared by name: the driver
//! sends a statement and its values in two round trips, and in between the unnamed statement of
//! another client may replace it, and the driver would read its rows. PgBouncer from 1.21 on
//! prepares named statements again on each connection of Postgres; older versions mix those up too.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection, Row as _};
use tokio::time::{Instant, timeout};

use super::connection_problem::ConnectionProblem;
use super::pool_health::PoolHealth;
use tableferry_domain::error_chain::in_words;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sharing {
    /// Not shared: there is no pooler, or one in session mode.
    None,
    /// Shared per transaction.
    ByTransaction,
    /// Shared per transaction, and statements of the same name are mixed up.
    Unsafe,
}

/// The result of the check for one host.
#[derive(Debug, Default)]
pub(super) struct PoolerDetection {
    known: Mutex<Option<(Sharing, Instant)>>,
    /// Held during a check.
    finding: tokio::sync::Mutex<()>,
}

/// How long the result is cached. A pooler may be added, or switched to another mode, at any time.
const RECHECK_INTERVAL: Duration = Duration::from_secs(60);

/// How many times connections are compared. On a quiet pooler once is enough. On a busy one, a
/// comparison may see the same pair by chance, so many are needed to conclude that a pooler is
/// gone.
const COMPARISONS: usize = 4;
const COMPARISONS_TO_CLEAR: usize = 40;

/// The time limit of one answer, after which the pooler counts as exhausted.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);

impl PoolerDetection {
    /// Whether the connections of this host are shared per transaction. The first call checks it;
    /// later the check is repeated in the background. Fails if a pooler mixes up statements.
    pub(super) async fn is_shared(
        self: &Arc<Self>,
        options: &PgConnectOptions,
        connect_limit: Duration,
        health: &Arc<PoolHealth>,
    ) -> Result<bool, sqlx::Error> {
        let sharing = match self.known() {
            Some((sharing, at)) => {
                let is_suspect = health.take_pooler_suspicion();
                if is_suspect {
                    self.expire();
                }
                if is_suspect || at.elapsed() > RECHECK_INTERVAL {
                    let (this, options, health) =
                        (Arc::clone(self), options.clone(), Arc::clone(health));
                    tokio::spawn(
                        async move { this.recheck(&options, connect_limit, &health).await },
                    );
                }
                sharing
            }
            None => {
                // In a separate task, so that the result is kept even if the caller gives up.
                let (this, options) = (Arc::clone(self), options.clone());
                let first =
                    tokio::spawn(async move { this.first_check(&options, connect_limit).await });
                first.await.map_err(|_| sqlx::Error::WorkerCrashed)??
            }
        };
        match sharing {
            Sharing::None => Ok(false),
            Sharing::ByTransaction => Ok(true),
            Sharing::Unsafe => Err(ConnectionProblem::Pooler.into()),
        }
    }

    async fn first_check(
        &self,
        options: &PgConnectOptions,
        connect_limit: Duration,
    ) -> Result<Sharing, sqlx::Error> {
        let _turn = self.finding.lock().await;
        match self.known() {
            Some((sharing, _)) => Ok(sharing),
            None => Ok(self.store(compare(options, connect_limit, COMPARISONS).await?)),
        }
    }

    /// If the check fails, the last result stays.
    async fn recheck(
        &self,
        options: &PgConnectOptions,
        connect_limit: Duration,
        health: &PoolHealth,
    ) {
        let Ok(_turn) = self.finding.try_lock() else {
            return;
        };
        let Some((before, at)) = self.known() else {
            return;
        };
        if at.elapsed() <= RECHECK_INTERVAL {
            return;
        }
        let comparisons = if before == Sharing::None {
            COMPARISONS
        } else {
            COMPARISONS_TO_CLEAR
        };
        match compare(options, connect_limit, comparisons).await {
            Ok(now) if self.store(now) != before => health.record_pooler_change(),
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(
                    error.message = in_words(&error),
                    "could not check again for a pooler"
                );
                self.store(before);
            }
        }
    }

    /// Makes the next call check again.
    fn expire(&self) {
        if let Some((_, at)) = self
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_mut()
        {
            *at = at.checked_sub(RECHECK_INTERVAL * 2).unwrap_or(*at);
        }
    }

    fn known(&self) -> Option<(Sharing, Instant)> {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store(&self, sharing: Sharing) -> Sharing {
        let before = self
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace((sharing, Instant::now()));
        if before.map(|(before, _)| before) != Some(sharing) && sharing == Sharing::ByTransaction {
            tracing::info!(
                "a pooler in transaction mode was detected: using named prepared statements and no session settings"
            );
        }
        sharing
    }
}

/// Opens two connections and compares them.
async fn compare(
    options: &PgConnectOptions,
    connect_limit: Duration,
    comparisons: usize,
) -> Result<Sharing, sqlx::Error> {
    let open = || async {
        timeout(connect_limit, PgConnection::connect_with(options))
            .await
            .map_err(|_| ConnectionProblem::ConnectLimit)?
    };
    let (mut a, mut b) = (open().await?, open().await?);
    let sharing = compare_both(&mut a, &mut b, comparisons).await?;
    // A connection that does not close in time is dropped, which also closes it.
    let _ = timeout(ANSWER_LIMIT, a.close()).await;
    let _ = timeout(ANSWER_LIMIT, b.close()).await;
    Ok(sharing)
}

async fn compare_both(
    a: &mut PgConnection,
    b: &mut PgConnection,
    comparisons: usize,
) -> Result<Sharing, sqlx::Error> {
    for _ in 0..comparisons {
        let before = answered(backend(a)).await?;
        let held = answered(hold(b)).await?;
        // While `b` holds its connection of Postgres, `a` gets a different one, or none.
        let after = answered(backend(a)).await;
        answered(async { sqlx::raw_sql("ROLLBACK").execute(&mut *b).await }).await?;
        if before == held || after? != before {
            let apart = timeout(ANSWER_LIMIT * 6, keeps_statements_apart(a, b))
                .await
                .map_err(|_| ConnectionProblem::PoolerFull)?;
            return match apart {
                Ok(true) => Ok(Sharing::ByTransaction),
                Ok(false) | Err(sqlx::Error::Database(_) | sqlx::Error::Protocol(_)) => {
                    Ok(Sharing::Unsafe)
                }
                Err(error) => Err(error),
            };
        }
    }
    Ok(Sharing::None)
}

async fn answered<T>(
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    timeout(ANSWER_LIMIT, answer)
        .await
        .map_err(|_| ConnectionProblem::PoolerFull)?
}

/// The Postgres process that answers.
async fn backend(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    sqlx::raw_sql("SELECT pg_backend_pid()")
        .fetch_one(connection)
        .await?
        .try_get(0)
}

/// The Postgres process that answers, kept by a transaction.
async fn hold(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    sqlx::raw_sql("BEGIN").execute(&mut *connection).await?;
    backend(connection).await
}

/// Whether statements of the same name (the driver uses the same names on each connection) are kept
/// apart and stay with their connection.
async fn keeps_statements_apart(
    a: &mut PgConnection,
    b: &mut PgConnection,
) -> Result<bool, sqlx::Error> {
    let number = |value: i32| sqlx::query_scalar::<_, i32>("SELECT $1::int4 + 1").bind(value);
    let text =
        |value: &'static str| sqlx::query_scalar::<_, String>("SELECT $1::text || 'b'").bind(value);
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
