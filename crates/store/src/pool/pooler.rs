//! Finds out whether a pooler in transaction mode stands before Postgres, and whether it keeps
//! prepared statements apart.
//!
//! In that mode each transaction of a connection may run on another connection of Postgres. Then
//! nothing may rest on the session, and every statement must be prepared by name: the driver sends
//! a statement and its values in two round trips, and between the two the unnamed statement of
//! another client may take its place, whose answer looks like ours. Poolers that know the mode
//! (PgBouncer from 1.21 on) follow named statements from one connection of Postgres to the next;
//! older ones mix those up too.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection, Row as _};
use tokio::time::{Instant, timeout};

use super::connection_problem::ConnectionProblem;
use super::pool_health::PoolHealth;
use tableferry_telemetry::error_chain::in_words;

/// How a pooler shares server connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sharing {
    /// Not at all while a session lasts: there is no pooler, or one in session mode.
    None,
    /// Transaction by transaction.
    ByTransaction,
    /// The same, and statements of the same name are mixed up.
    Unsafe,
}

/// What is known of one host.
#[derive(Debug, Default)]
pub(super) struct PoolerDetection {
    known: Mutex<Option<(Sharing, Instant)>>,
    /// Held by whoever finds it out.
    finding: tokio::sync::Mutex<()>,
}

/// For how long the result is cached. A pooler can be put before Postgres, or switched to another
/// mode, at any time.
const RECHECK_INTERVAL: Duration = Duration::from_secs(60);

/// How often connections are compared. On a quiet pooler once is enough; on a busy one each look
/// may meet the same pair by chance, so it takes many to forget a pooler.
const COMPARISONS: usize = 4;
const COMPARISONS_TO_CLEAR: usize = 40;

/// How long one answer may take before the pooler counts as exhausted.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);

impl PoolerDetection {
    /// Whether the connections of this host are shared, transaction by transaction. The first who
    /// asks finds it out; later it is found out anew in the background.
    ///
    /// # Errors
    /// The host cannot be reached, or a pooler mixes up statements.
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
                // In a task of its own: the result is kept although a caller's time may be up
                // before it is there.
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

    /// If it cannot be checked now, the last result stays.
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

    /// The result is to be checked again at once.
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

/// Compares two connections.
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
    // What does not close in time is dropped, which closes it too.
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
        // While `b` holds what it was given, `a` is given another one, or none at all.
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

/// The process of Postgres that answers.
async fn backend(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    sqlx::raw_sql("SELECT pg_backend_pid()")
        .fetch_one(connection)
        .await?
        .try_get(0)
}

/// The same, held by a transaction.
async fn hold(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    sqlx::raw_sql("BEGIN").execute(&mut *connection).await?;
    backend(connection).await
}

/// Whether statements of the same name, which the driver gives to the first of each connection, are
/// kept apart and follow their connection.
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
