//! The exit statuses of client commands.

use std::process::ExitCode;

use super::error::ClientError;

/// Shown by `--help`. docs/cli.md has the same table.
pub const EXIT_STATUSES: &str = "Exit status:
  0  success; if the command waited: the export is COMPLETED
  1  the service rejected the request, or another error occurred
  2  the command line is not valid
  3  the export FAILED
  4  the export was CANCELLED
  5  the export TIMED_OUT (timeouts.create has passed)
  6  the time to wait is over, and the export or its verification has not ended
  7  the service cannot be reached or is unavailable
  8  the API key is missing, not valid, or does not permit this
  9  there is no such export, endpoint, delivery or job
 10  a check of verify or preflight failed, or a downloaded file does not match the manifest";

/// The result of a command without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Failed,
    Cancelled,
    TimedOut,
    /// The time to wait is over.
    StillRunning,
    CheckFailed,
}

impl Outcome {
    /// The outcome of waiting for an export with this status.
    pub(super) fn from_status(status: &str) -> Self {
        match status {
            "COMPLETED" => Self::Done,
            "FAILED" => Self::Failed,
            "CANCELLED" => Self::Cancelled,
            "TIMED_OUT" => Self::TimedOut,
            _ => Self::StillRunning,
        }
    }

    fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 3,
            Self::Cancelled => 4,
            Self::TimedOut => 5,
            Self::StillRunning => 6,
            Self::CheckFailed => 10,
        }
    }
}

pub fn code_of(ended: &Result<Outcome, ClientError>) -> ExitCode {
    ExitCode::from(match ended {
        Ok(outcome) => outcome.code(),
        Err(error) => code_of_error(error),
    })
}

fn code_of_error(error: &ClientError) -> u8 {
    match error {
        // The reader closed the pipe, as `| head` does.
        ClientError::Output(source) if source.kind() == std::io::ErrorKind::BrokenPipe => 0,
        ClientError::Usage(_) => 2,
        ClientError::Unreachable { .. } => 7,
        ClientError::Refused(problem) => match problem.status {
            401 | 403 => 8,
            404 => 9,
            502..=504 => 7,
            _ => 1,
        },
        ClientError::Output(_)
        | ClientError::File { .. }
        | ClientError::Foreign { .. }
        | ClientError::Other(_) => 1,
    }
}
