//! Problems of a connection that the driver does not have. They are wrapped in the driver's error
//! type, so that callers handle one type.

use std::io;

use super::limits::PING_LIMIT;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionProblem {
    #[error("Postgres did not answer a statement in time; the connection was closed")]
    StatementLimit,
    #[error("an idle connection did not answer within {} s and was closed", PING_LIMIT.as_secs())]
    PingLimit,
    #[error("connecting took longer than connect_timeout")]
    ConnectLimit,
    #[error("the server is read-only (it is a standby, or default_transaction_read_only is on)")]
    ReadOnly,
    #[error("commits wait for a synchronous standby that does not respond")]
    StandbyAway,
    #[error(
        "DATABASE_URL points to a pooler in transaction mode without support for prepared statements. Use PgBouncer 1.21 or newer with max_prepared_statements above 0, use session mode, or connect to Postgres directly. For migrations alone, set TABLEFERRY_DIRECT_DATABASE_URL"
    )]
    Pooler,
    #[error("the pooler did not provide a second connection in time; increase its pool size")]
    PoolerFull,
}

impl ConnectionProblem {
    /// Whether only a change of the settings helps, so that a process that gets it at its start
    /// should end.
    #[must_use]
    pub fn is_permanent(self) -> bool {
        self == Self::Pooler
    }

    /// The text for callers.
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

    /// The problem wrapped in an error of the driver.
    pub(crate) fn from_error(error: &sqlx::Error) -> Option<Self> {
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
