//! Errors of the store.

use std::borrow::Cow;
use std::sync::Arc;

use super::health::DatabaseProblem;
use super::pool::ConnectionProblem;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A database URL is malformed. The URL may contain a password and is not repeated.
    #[error("{name} cannot be used")]
    Url {
        /// The name of the setting.
        name: &'static str,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the database's schema could not be migrated")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// The database cannot be reached, is starting, stopping or overloaded. The same call can
    /// succeed later.
    #[error("the database is not available")]
    Unavailable(#[source] sqlx::Error),
    #[error(transparent)]
    Unhealthy(DatabaseProblem),
    /// The database refused a statement, which is a bug of this service.
    #[error("the database refused a statement")]
    Database(#[source] sqlx::Error),
    /// A row contains what this version never writes.
    #[error("row {id} of {table} is inconsistent: {what}")]
    InconsistentRow {
        table: &'static str,
        /// The row's key.
        id: uuid::Uuid,
        what: Cow<'static, str>,
    },
    /// A statement for many callers failed; each of them gets its error.
    #[error(transparent)]
    Shared(Arc<StoreError>),
    /// Too many items wait to be written; this one was not written.
    #[error("too many requests wait to be stored")]
    QueueFull,
    /// The row has changed, or another worker has claimed it, since the writer read it; nothing was
    /// written.
    #[error("the export changed in the meantime; nothing was written")]
    Conflict,
}

impl StoreError {
    /// Whether the same call can succeed later without a change of code or data.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::Unhealthy(_) => true,
            Self::Migrate(
                sqlx::migrate::MigrateError::Execute(e)
                | sqlx::migrate::MigrateError::ExecuteMigration(e, _),
            ) => is_unavailable(e),
            Self::Shared(error) => error.is_unavailable(),
            _ => false,
        }
    }

    /// Whether only a change of the settings helps. A process that gets this error at its start
    /// should end.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Unavailable(error) => {
                ConnectionProblem::from_error(error).is_some_and(ConnectionProblem::is_permanent)
            }
            error => !error.is_unavailable(),
        }
    }

    /// Why the database cannot be used, in words for callers: without hosts and users.
    #[must_use]
    pub fn unavailable_because(&self) -> &'static str {
        match self {
            Self::Shared(error) => error.unavailable_because(),
            Self::Unavailable(error) => ConnectionProblem::from_error(error).map_or(
                "the database does not answer",
                ConnectionProblem::for_callers,
            ),
            _ => "the database does not answer",
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        if is_unavailable(&error) {
            Self::Unavailable(error)
        } else {
            Self::Database(error)
        }
    }
}

fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        // A server that stops in the middle of a message.
        sqlx::Error::Protocol(_) => true,
        // Classes 08: connection; 53: resources; 57P: shutdown and start-up; 28 and 3D: no access
        // (yet); 40: serialisation and deadlock. Codes 25006: a read-only standby; 42P01: the
        // schema does not exist yet; 55000: the database accepts no connections; 55P03 and 57014: a
        // lock or a statement took too long; 26000 and 42P05: a pooler mixes up prepared
        // statements.
        sqlx::Error::Database(e) => e.code().is_some_and(|code| {
            [
                "08", "53", "57P", "25006", "28", "3D", "40", "42P01", "55000", "55P03", "57014",
                "26000", "42P05",
            ]
            .iter()
            .any(|class| code.starts_with(class))
        }),
        _ => false,
    }
}
