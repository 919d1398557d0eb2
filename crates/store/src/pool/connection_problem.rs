//! Problems of a connection that the driver does not know. They are carried by the driver's own
//! error type, so that callers handle one type.

use std::io;

use super::limits::PING_LIMIT;

/// Why a connection cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionProblem {
    /// A statement was not answered in time.
    #[error("Postgres did not answer a statement in time; the connection was closed")]
    StatementLimit,
    /// An idle connection did not answer in time.
    #[error("an idle connection did not answer within {} s and was closed", PING_LIMIT.as_secs())]
    PingLimit,
    /// A host did not accept the connection within the time of `connect_timeout`.
    #[error("connecting took longer than connect_timeout")]
    ConnectLimit,
    /// The server takes no writes.
    #[error("the server is read-only (it is a standby, or default_transaction_read_only is on)")]
    ReadOnly,
    /// Commits wait for a synchronous standby.
    #[error("commits wait for a synchronous standby that does not respond")]
    StandbyAway,
    /// A pooler assigns a server connection per transaction, and mixes up prepared statements.
    #[error(
        "DATABASE_URL points to a pooler in transaction mode without support for prepared statements. Use PgBouncer 1.21 or newer with max_prepared_statements above 0, use session mode, or connect to Postgres directly. For migrations alone, set TABLEFERRY_DIRECT_DATABASE_URL"
    )]
    Pooler,
    /// A pooler did not provide a second connection.
    #[error("the pooler did not provide a second connection in time; increase its pool size")]
    PoolerFull,
}

impl ConnectionProblem {
    /// Whether a process that meets it at its start should end: only a change of the settings
    /// helps.
    #[must_use]
    pub fn is_permanent(self) -> bool {
        self == Self::Pooler
    }

    /// The same in words for callers.
    #[must_use]
    pub(crate) fn for_callers(self) -> &'static str {
        match self {
            Self::StatementLimit => "the database did not answer in time",
            Self::ReadOnly => "the database is read-only at the moment",
            Self::StandbyAway => {
                "the database cannot commit: its synchronous standby does not respond"
            }
            Self::PingLimit | Self::ConnectLimit | Self::Pooler | Self::PoolerFull => {
                "the database does not answer"
            }
        }
    }

    /// The problem that an error of the driver carries.
    pub(crate) fn of(error: &sqlx::Error) -> Option<Self> {
        match error {
            sqlx::Error::Io(error) => error.get_ref()?.downcast_ref().copied(),
            _ => None,
        }
    }
}

impl From<ConnectionProblem> for sqlx::Error {
    fn from(problem: ConnectionProblem) -> Self {
        let kind = match problem {
            ConnectionProblem::StatementLimit
            | ConnectionProblem::PingLimit
            | ConnectionProblem::ConnectLimit => io::ErrorKind::TimedOut,
            _ => io::ErrorKind::Other,
        };
        Self::Io(io::Error::new(kind, problem))
    }
}
