//! A connection in use. Every statement has a time limit, and the state after the last statement
//! decides what happens to the connection.
//!
//! A connection whose last statement has ended returns to the pool at once. A connection that was
//! left in the middle of a statement or a transaction (its caller's future was dropped) is first
//! brought to an end, within the same time limit. A connection that did not answer in time, or
//! whose server is read-only, is closed at once, which frees its slot in the pool.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use deadpool::managed::Object;
use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, Stream};
use futures_util::{FutureExt as _, TryStreamExt as _};
use sqlx::postgres::{PgArguments, PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{Connection as _, Describe, Either, Execute, Executor, PgConnection, Postgres, SqlStr};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::connection_problem::ConnectionProblem;
use super::limits::{ROLLBACK_LIMIT, STATEMENT_LIMIT};
use super::manager::{Link, Manager};
use super::pool_health::PoolHealth;
use super::statement_state::StatementState;

pub(crate) struct Connection {
    /// `None` only while it is dropped.
    object: Option<Object<Manager>>,
    state: State,
    in_transaction: bool,
    /// A statement of the transaction was refused, so the transaction can only be rolled back.
    has_failed: bool,
    /// Released with the connection.
    list_permit: Option<OwnedSemaphorePermit>,
    health: Arc<PoolHealth>,
}

/// The state of the connection after its last statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The statement has ended.
    Ended,
    /// The statement was sent and has not ended.
    Unfinished,
    /// The connection is unusable.
    Lost,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("state", &self.state)
            .field("in_transaction", &self.in_transaction)
            .finish_non_exhaustive()
    }
}

impl Connection {
    pub(super) fn new(object: Object<Manager>, health: Arc<PoolHealth>) -> Self {
        Self {
            object: Some(object),
            state: State::Ended,
            in_transaction: false,
            has_failed: false,
            list_permit: None,
            health,
        }
    }

    /// Keeps a permit for reading lists until the connection is free again, which may be after its
    /// user has dropped it.
    #[must_use]
    pub(crate) fn with_list_permit(mut self, permit: OwnedSemaphorePermit) -> Self {
        self.list_permit = Some(permit);
        self
    }

    pub(super) async fn begin(mut self) -> Result<Transaction, sqlx::Error> {
        let begin = self.link().begin();
        self.in_transaction = true;
        self.command(begin).await?;
        Ok(Transaction { connection: self })
    }

    /// Runs SQL without parameters.
    async fn command(&mut self, text: &'static str) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(text).execute(self).await.map(drop)
    }

    fn link(&self) -> &Link {
        self.object
            .as_deref()
            .expect("a connection that is in use is there")
    }

    /// The driver's connection, and a guard for its next statement.
    fn parts(&mut self) -> (&mut PgConnection, bool, Watch<'_>) {
        let link: &mut Link = self
            .object
            .as_deref_mut()
            .expect("a connection that is in use is there");
        let Link {
            raw,
            statement,
            is_shared,
            generation,
        } = link;
        (
            raw,
            *is_shared,
            Watch {
                state: &mut self.state,
                has_failed: &mut self.has_failed,
                statement,
                generation: *generation,
                health: &self.health,
            },
        )
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Some(object) = self.object.take() else {
            return;
        };
        if self.state == State::Lost {
            drop(Object::take(object));
        } else if self.state == State::Unfinished || self.in_transaction {
            // Without a runtime the process is ending, and Postgres notices that the connection
            // closes.
            match tokio::runtime::Handle::try_current() {
                Ok(runtime) => drop(runtime.spawn(finish(
                    object,
                    self.in_transaction,
                    self.list_permit.take(),
                    Arc::clone(&self.health),
                ))),
                Err(_) => drop(Object::take(object)),
            }
        }
    }
}

/// Waits for the end of the last statement, within its time limit, and rolls its transaction back;
/// otherwise closes the connection.
async fn finish(
    mut object: Object<Manager>,
    in_transaction: bool,
    list_permit: Option<OwnedSemaphorePermit>,
    health: Arc<PoolHealth>,
) {
    let statement = Arc::clone(&object.statement);
    let rest = STATEMENT_LIMIT.saturating_sub(statement.waits_for(Instant::now()));
    let finishing = async {
        if let Err(error) = object.raw.ping().await {
            // The answer to the statement comes before that to the ping.
            if !matches!(error, sqlx::Error::Database(_)) || PoolHealth::is_fatal(&error) {
                return Err(error);
            }
            object.raw.ping().await?;
        }
        statement.ended();
        if in_transaction {
            sqlx::raw_sql("ROLLBACK").execute(&mut object.raw).await?;
        }
        Ok::<_, sqlx::Error>(())
    };
    let finished = tokio::select! {
        finished = finishing => finished,
        () = statement.lost() => Err(ConnectionProblem::StatementLimit.into()),
        () = sleep(rest + ROLLBACK_LIMIT) => Err(ConnectionProblem::StatementLimit.into()),
    };
    if let Err(error) = finished {
        if ConnectionProblem::from_error(&error) == Some(ConnectionProblem::StatementLimit) {
            health.record_silence(object.generation);
        } else {
            health.record_error(object.generation, &error);
        }
        drop(Object::take(object));
    }
    drop(list_permit);
}

/// A transaction; it is rolled back if it is dropped.
#[derive(Debug)]
pub(crate) struct Transaction {
    connection: Connection,
}

impl Transaction {
    /// Commits the transaction. If this fails without an answer, it is unknown whether it was
    /// committed.
    pub(crate) async fn commit(mut self) -> Result<(), sqlx::Error> {
        if self.connection.has_failed {
            // Postgres would roll back and report success.
            return Err(sqlx::Error::InvalidArgument(
                "cannot commit: a statement of this transaction failed".to_owned(),
            ));
        }
        self.connection.command("COMMIT").await?;
        self.connection.in_transaction = false;
        Ok(())
    }
}

impl std::ops::Deref for Transaction {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl std::ops::DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

impl<'c> Executor<'c> for &'c mut Connection {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let (raw, is_shared, mut watch) = self.parts();
        watch.sent();
        let rows = raw.fetch_many(Statement { query, is_shared });
        Box::pin(StatementStream {
            rows,
            watch,
            limit: Box::pin(sleep(STATEMENT_LIMIT)),
            done: false,
        })
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        // Read to the end, so that the connection is free at once. The statement is expected to
        // return one row.
        let mut rows = self.fetch(query);
        async move {
            let first = rows.try_next().await?;
            while rows.try_next().await?.is_some() {}
            Ok(first)
        }
        .boxed()
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        'c: 'e,
    {
        let (raw, _, watch) = self.parts();
        with_limit(watch, raw.prepare_with(sql, parameters)).boxed()
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, sqlx::Error>>
    where
        'c: 'e,
    {
        let (raw, _, watch) = self.parts();
        with_limit(watch, raw.describe(sql)).boxed()
    }
}

/// Follows the progress of a statement.
struct Watch<'e> {
    state: &'e mut State,
    has_failed: &'e mut bool,
    statement: &'e StatementState,
    generation: u64,
    health: &'e PoolHealth,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        // An unfinished statement is finished when the connection is dropped.
        if *self.state != State::Unfinished {
            self.statement.ended();
        }
    }
}

impl Watch<'_> {
    fn sent(&mut self) {
        *self.state = State::Unfinished;
        self.statement.sent(Instant::now());
    }

    fn ended(&mut self) {
        *self.state = State::Ended;
    }

    fn failed(&mut self, error: &sqlx::Error) {
        *self.has_failed = true;
        *self.state = if PoolHealth::is_fatal(error) {
            State::Lost
        } else if matches!(error, sqlx::Error::Database(_)) {
            State::Ended
        } else {
            State::Unfinished
        };
        self.health.record_error(self.generation, error);
    }

    fn exceeded(&mut self) -> sqlx::Error {
        *self.state = State::Lost;
        self.health.record_silence(self.generation);
        ConnectionProblem::StatementLimit.into()
    }
}

/// Runs a statement whose answer is read as a whole, within the time limit.
async fn with_limit<T>(
    mut watch: Watch<'_>,
    statement: impl Future<Output = Result<T, sqlx::Error>> + Send,
) -> Result<T, sqlx::Error> {
    watch.sent();
    match timeout(STATEMENT_LIMIT, statement).await {
        Ok(Ok(answer)) => {
            watch.ended();
            Ok(answer)
        }
        Ok(Err(error)) => {
            watch.failed(&error);
            Err(error)
        }
        Err(_) => Err(watch.exceeded()),
    }
}

/// Runs a statement whose answer is read row by row, all within the time limit.
struct StatementStream<'e> {
    rows: BoxStream<'e, Result<Either<PgQueryResult, PgRow>, sqlx::Error>>,
    watch: Watch<'e>,
    limit: Pin<Box<Sleep>>,
    done: bool,
}

impl Stream for StatementStream<'_> {
    type Item = Result<Either<PgQueryResult, PgRow>, sqlx::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.done {
            return Poll::Ready(None);
        }
        match self.rows.as_mut().poll_next(context) {
            Poll::Ready(Some(Ok(row))) => {
                self.watch.statement.progressed(Instant::now());
                Poll::Ready(Some(Ok(row)))
            }
            Poll::Ready(Some(Err(error))) => {
                self.done = true;
                self.watch.failed(&error);
                Poll::Ready(Some(Err(error)))
            }
            Poll::Ready(None) => {
                self.done = true;
                self.watch.ended();
                Poll::Ready(None)
            }
            Poll::Pending => {
                if !self.watch.statement.is_lost(context.waker()) {
                    ready!(self.limit.as_mut().poll(context));
                }
                self.done = true;
                Poll::Ready(Some(Err(self.watch.exceeded())))
            }
        }
    }
}

/// The statement, but prepared by name where a pooler needs it (see [`super::pooler`]).
struct Statement<E> {
    query: E,
    is_shared: bool,
}

impl<'q, E: Execute<'q, Postgres>> Execute<'q, Postgres> for Statement<E> {
    fn sql(self) -> SqlStr {
        self.query.sql()
    }

    fn statement(&self) -> Option<&PgStatement> {
        self.query.statement()
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, sqlx::error::BoxDynError> {
        self.query.take_arguments()
    }

    fn persistent(&self) -> bool {
        self.is_shared || self.query.persistent()
    }
}
