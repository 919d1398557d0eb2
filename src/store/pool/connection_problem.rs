//! What can be wrong with a connection beside what the driver tells. Travels as the driver's own error, so that callers handle one kind.

use std::io;

use super::limits::{CONNECT_LIMIT, PING_LIMIT, STATEMENT_LIMIT};

/// Why a connection cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionProblem {
    /// A statement was not answered in time.
    #[error("Postgres did not answer a statement within {} s; the connection was closed", STATEMENT_LIMIT.as_secs())]
    StatementLimit,
    /// An idle connection did not answer in time.
    #[error("an idle connection did not answer within {} s and was closed", PING_LIMIT.as_secs())]
    PingLimit,
    /// A host did not let us in within the time of `connect_timeout`.
    #[error("connecting took longer than connect_timeout ({} s unless DATABASE_URL says otherwise)", CONNECT_LIMIT.as_secs())]
    ConnectLimit,
    /// The server takes no writes.
    #[error("the server is read-only: a standby, or default_transaction_read_only is on")]
    ReadOnly,
    /// Commits wait for a synchronous standby.
    #[error("commits wait for a synchronous standby that does not answer")]
    StandbyAway,
    /// A pooler hands each transaction another connection of Postgres, and mixes up prepared statements.
    #[error(
        "DATABASE_URL leads to a pooler in transaction mode that does not keep prepared statements apart; use PgBouncer 1.21 or newer with max_prepared_statements above 0, session mode, or connect to Postgres directly (tableferry migrate does with TABLEFERRY_DIRECT_DATABASE_URL)"
    )]
    Pooler,
    /// A pooler has no second connection to give.
    #[error("the pooler before Postgres has no second connection to give; raise its pool size")]
    PoolerFull,
}

impl ConnectionProblem {
    /// Whether the same call can succeed later without a change of the settings.
    #[must_use]
    pub fn is_passing(self) -> bool {
        self != Self::Pooler
    }

    /// The same in words for callers.
    #[must_use]
    pub(in crate::store) fn for_callers(self) -> &'static str {
        match self {
            Self::StatementLimit => "the database did not answer in time",
            Self::ReadOnly => "the database takes no writes at the moment",
            Self::StandbyAway => "the database's commits wait for a standby that does not answer",
            Self::PingLimit | Self::ConnectLimit | Self::Pooler | Self::PoolerFull => "the database does not answer",
        }
    }

    /// The trouble that an error of the driver carries.
    pub(in crate::store) fn of(error: &sqlx::Error) -> Option<Self> {
        match error {
            sqlx::Error::Io(error) => error.get_ref()?.downcast_ref().copied(),
            _ => None,
        }
    }
}

impl From<ConnectionProblem> for sqlx::Error {
    fn from(problem: ConnectionProblem) -> Self {
        let kind = match problem {
            ConnectionProblem::StatementLimit | ConnectionProblem::PingLimit | ConnectionProblem::ConnectLimit => io::ErrorKind::TimedOut,
            _ => io::ErrorKind::Other,
        };
        Self::Io(io::Error::new(kind, problem))
    }
}
