//! Why a client command could not be carried out, in words for people. API keys and presigned URLs
//! are never part of it.

use std::path::PathBuf;

use super::problem::ProblemDocument;

/// Why a command could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// What was given on the command line or in a file cannot be used.
    #[error("{0}")]
    Usage(String),
    /// Nobody answers.
    #[error("cannot reach the service at {server}: {why}\n{advice}")]
    Unreachable {
        /// Where it should be.
        server: String,
        /// The cause.
        why: String,
        /// What can be done.
        advice: String,
    },
    /// The service says no.
    #[error("{0}")]
    Refused(Box<ProblemDocument>),
    /// Somebody answers who is not this service.
    #[error(
        "{server} does not answer as Tableferry does: {what}\nIs --server (TABLEFERRY_SERVER) right?"
    )]
    Foreign {
        /// Who was asked.
        server: String,
        /// What came.
        what: String,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The result cannot be written.
    #[error("the result cannot be written: {0}")]
    Output(#[from] std::io::Error),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl ClientError {
    /// Whether the same may succeed a little later: for those who wait.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused(problem) => matches!(problem.status, 429 | 500 | 502..=504),
            _ => false,
        }
    }
}
