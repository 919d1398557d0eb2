//! How a client command ends, as its exit status says it.

use std::process::ExitCode;

use super::error::ClientError;

/// The exit statuses, as `--help` shows them. docs/cli.md has the same table.
pub const EXIT_STATUSES: &str = "Exit status:
  0  done; of a wait: the export is COMPLETED
  1  the service refused the request, or something else went wrong
  2  the command line is wrong
  3  the export FAILED
  4  the export was CANCELLED
  5  the export TIMED_OUT (timeouts.create has passed)
  6  the export has not ended within the time of the wait
  7  the service cannot be reached, or is unavailable
  8  the API key is missing, wrong, or not allowed to do this
  9  there is no such export, endpoint or delivery
 10  a check failed: verify, preflight, or a downloaded file that is not what the manifest says";

/// How a command that was carried out ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// As it should.
    Done,
    /// The export FAILED.
    Failed,
    /// The export was CANCELLED.
    Cancelled,
    /// The export TIMED_OUT.
    TimedOut,
    /// The export goes on; the time of the wait is over.
    StillRunning,
    /// A check failed.
    CheckFailed,
}

impl Outcome {
    /// What an export's status is for whoever waited for its end.
    pub(super) fn of_status(status: &str) -> Self {
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

/// The exit status of a command.
pub fn code_of(ended: &Result<Outcome, ClientError>) -> ExitCode {
    ExitCode::from(match ended {
        Ok(outcome) => outcome.code(),
        Err(error) => code_of_error(error),
    })
}

fn code_of_error(error: &ClientError) -> u8 {
    match error {
        // Whoever reads has seen enough (`| head`).
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
