//! The health check of the database: it answers, accepts writes, and has this version's schema.
//!
//! The check has its own connection, so that a pool with hanging connections does not hide the
//! result, and its own time limit. It writes an empty logical message (`pg_logical_emit_message`),
//! which is committed like any change and leaves no data.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Row as _};
use tokio::time::{Instant, timeout};

use super::migrate::newest_version;
use super::pool::{ConnectionProblem, IS_READ_ONLY, Link, MAY_BE_WORKING, Pool};
use tableferry_domain::error_chain::in_words;

/// The time limit for reading on an open connection. The check waits neither for the pool nor for
/// locks or rows.
const READ_LIMIT: Duration = Duration::from_millis(1500);

/// The time limit for the write. A busy disk sometimes takes seconds.
const WRITE_LIMIT: Duration = Duration::from_millis(2500);

/// The time limit for opening another connection and reading on it.
const RECONNECT_LIMIT: Duration = Duration::from_millis(2500);

/// The time limit for the whole check, including the wait for a check that is running: `/readyz`
/// fails within 5 s of writes failing.
const ASK_LIMIT: Duration = Duration::from_millis(4500);

/// How long a successful write is not repeated, however many checks there are.
const WRITE_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseProblem {
    /// It does not answer, or refuses connections. The reason is for logs only: it may contain
    /// hosts and users.
    #[error("the database does not answer")]
    Away(String),
    #[error("the database is not writable: {}", ConnectionProblem::ReadOnly)]
    ReadOnly,
    #[error("the database is not writable: {}", ConnectionProblem::StandbyAway)]
    StandbyAway,
    #[error("the database's schema is older than this version's; run tableferry migrate")]
    OldSchema,
}

/// Checks the database's health, one check at a time.
#[derive(Debug, Default)]
pub(super) struct Health {
    asking: tokio::sync::Mutex<Asking>,
}

#[derive(Debug, Default)]
struct Asking {
    link: Option<Link>,
    wrote_at: Option<Instant>,
    /// When the last check began, and its result.
    last: Option<(Instant, Result<(), DatabaseProblem>)>,
}

impl DatabaseProblem {
    /// All details, for logs.
    #[must_use]
    pub fn log_text(&self) -> String {
        match self {
            Self::Away(why) => format!("{self}: {why}"),
            _ => self.to_string(),
        }
    }
}

impl Health {
    /// Checks now. Callers that arrive during a check share the next one.
    pub(super) async fn ask(&self, pool: &Pool) -> Result<(), DatabaseProblem> {
        timeout(ASK_LIMIT, self.ask_in_turn(pool))
            .await
            .unwrap_or_else(|_| Err(away_for_too_long(ASK_LIMIT)))
    }

    async fn ask_in_turn(&self, pool: &Pool) -> Result<(), DatabaseProblem> {
        let arrived = Instant::now();
        let mut asking = self.asking.lock().await;
        if let Some((began, answer)) = &asking.last
            && *began >= arrived
        {
            return answer.clone();
        }
        let began = Instant::now();
        let answer = asking.ask(pool).await;
        asking.last = Some((began, answer.clone()));
        match &answer {
            // Without an answer nothing is known about commits.
            Err(DatabaseProblem::Away(_)) => {}
            answer => pool.set_commits_blocked(*answer == Err(DatabaseProblem::StandbyAway)),
        }
        answer
    }
}

impl Asking {
    async fn ask(&mut self, pool: &Pool) -> Result<(), DatabaseProblem> {
        let Some(link) = self.link.take() else {
            return self.ask_on_new_connection(pool).await;
        };
        match self.ask_on(link, pool).await {
            Answer::Said(answer) => answer,
            // Only this connection may be broken: try a new one.
            Answer::Broken(_) => self.ask_on_new_connection(pool).await,
            Answer::Silent => {
                let answer = self.ask_on_new_connection(pool).await;
                if answer.is_ok() {
                    pool.report_silent_connection();
                }
                answer
            }
        }
    }

    async fn ask_on_new_connection(&mut self, pool: &Pool) -> Result<(), DatabaseProblem> {
        let reconnect = async {
            match pool.open().await {
                Ok(link) => match self.ask_on(link, pool).await {
                    Answer::Said(answer) => answer,
                    Answer::Broken(problem) => Err(problem),
                    Answer::Silent => Err(away_for_too_long(READ_LIMIT)),
                },
                Err(error) => Err(error.into()),
            }
        };
        timeout(RECONNECT_LIMIT, reconnect)
            .await
            .unwrap_or_else(|_| Err(away_for_too_long(RECONNECT_LIMIT)))
    }

    /// Keeps the connection only if it answers.
    async fn ask_on(&mut self, mut link: Link, pool: &Pool) -> Answer {
        let overdue_pids = pool.overdue_pids();
        match timeout(READ_LIMIT, read(&mut link, &overdue_pids, pool)).await {
            Ok(Ok(())) => {}
            Ok(Err(problem)) => {
                match &problem {
                    DatabaseProblem::Away(_) => return Answer::Broken(problem),
                    DatabaseProblem::ReadOnly => {
                        self.wrote_at = None;
                        pool.report_read_only_server();
                    }
                    _ => self.link = Some(link),
                }
                return Answer::Said(Err(problem));
            }
            Err(_) => return Answer::Silent,
        }
        if self.wrote_at.is_none_or(|at| at.elapsed() > WRITE_INTERVAL) {
            let write = "SELECT pg_logical_emit_message(true, 'tableferry', '')";
            match timeout(WRITE_LIMIT, sqlx::raw_sql(write).execute(&mut link.raw)).await {
                Ok(Ok(_)) => self.wrote_at = Some(Instant::now()),
                Ok(Err(error)) => return Answer::Broken(error.into()),
                // Reading has just worked: the disk or a standby is slow, not the connection.
                Err(_) => return Answer::Said(Err(away_for_too_long(WRITE_LIMIT))),
            }
        }
        self.link = Some(link);
        Answer::Said(Ok(()))
    }
}

/// The result of the check on one connection.
enum Answer {
    Said(Result<(), DatabaseProblem>),
    /// The connection failed.
    Broken(DatabaseProblem),
    /// No answer within the time limit.
    Silent,
}

/// The part of the check that does not write.
async fn read(link: &mut Link, overdue_pids: &[i32], pool: &Pool) -> Result<(), DatabaseProblem> {
    if !overdue_pids.is_empty() {
        pool.abandon(&not_running(link, overdue_pids).await?);
    }
    // A commit that waits is enough evidence: another one would only wait too, and keep its
    // connection at Postgres busy.
    let text = format!(
        "SELECT {IS_READ_ONLY},
            EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND usename = current_user
                AND wait_event = 'SyncRep' AND clock_timestamp() - state_change > interval '2 seconds'),
            to_regclass('_sqlx_migrations') IS NOT NULL"
    );
    let row = sqlx::raw_sql(AssertSqlSafe(text))
        .fetch_one(&mut link.raw)
        .await?;
    if row.try_get(0)? {
        return Err(DatabaseProblem::ReadOnly);
    }
    if row.try_get(1)? {
        return Err(DatabaseProblem::StandbyAway);
    }
    let has_schema: bool = row.try_get(2)?;
    let version: Option<i64> = match has_schema {
        true => sqlx::raw_sql("SELECT max(version) FROM _sqlx_migrations WHERE success")
            .fetch_one(&mut link.raw)
            .await?
            .try_get(0)?,
        false => None,
    };
    if version.is_none_or(|version| version < newest_version()) {
        return Err(DatabaseProblem::OldSchema);
    }
    Ok(())
}

/// Which of these Postgres processes are idle or have ended.
async fn not_running(link: &mut Link, overdue_pids: &[i32]) -> Result<Vec<i32>, sqlx::Error> {
    let text = format!("SELECT pid FROM pg_stat_activity WHERE {MAY_BE_WORKING}");
    let rows = sqlx::raw_sql(AssertSqlSafe(text))
        .fetch_all(&mut link.raw)
        .await?;
    let busy = rows
        .iter()
        .map(|row| row.try_get::<i32, _>(0))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(overdue_pids
        .iter()
        .copied()
        .filter(|pid| !busy.contains(pid))
        .collect())
}

impl From<sqlx::Error> for DatabaseProblem {
    fn from(error: sqlx::Error) -> Self {
        match ConnectionProblem::from_error(&error) {
            Some(ConnectionProblem::ReadOnly) => Self::ReadOnly,
            _ => Self::Away(in_words(&error)),
        }
    }
}

fn away_for_too_long(limit: Duration) -> DatabaseProblem {
    DatabaseProblem::Away(format!("no answer within {} s", limit.as_secs_f64()))
}
