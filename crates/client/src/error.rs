//! Errors of client commands. Their messages never contain API keys or presigned URLs.

use std::path::PathBuf;

use super::problem::ProblemDocument;

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The command line or an input file cannot be used.
    #[error("{0}")]
    Usage(String),
    /// There is no response, or one from a proxy.
    #[error("cannot reach the service at {server}: {why}\n{advice}")]
    Unreachable {
        server: String,
        why: String,
        advice: String,
    },
    /// The service answered with a problem.
    #[error("{0}")]
    Refused(Box<ProblemDocument>),
    /// The response is not from Tableferry.
    #[error(
        "the response of {server} is not from Tableferry: {what}\nCheck --server (TABLEFERRY_SERVER)."
    )]
    Foreign { server: String, what: String },
    #[error("{}: {source}", path.display())]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("cannot write the output: {0}")]
    Output(#[from] std::io::Error),
    #[error("{0}")]
    Other(String),
}

impl ClientError {
    /// Whether a retry may succeed a little later.
    pub(super) fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused(problem) => matches!(problem.status, 429 | 500 | 502..=504),
            _ => false,
        }
    }
}
