//! An AWS call that gave no answer of use, classified once.

use std::fmt;

/// Why a call to AWS failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsFailure {
    /// What it means for the export.
    pub class: FailureClass,
    /// AWS's error code, or a word of ours for what never reached AWS (`TimedOut`, `NoCredentials`,
    /// …).
    pub code: String,
    /// AWS's words, or the error's.
    pub message: String,
}

/// What a failed call means for the export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureClass {
    /// AWS refuses this request and always will.
    Refused,
    /// Too many calls: AWS did not look at this one.
    Throttled,
    /// Too many exports run: AWS did not start this one.
    LimitExceeded,
    /// Rights or credentials are missing: an operator can mend that.
    Denied,
    /// AWS knows no export of this ARN.
    ExportNotFound,
    /// No answer, or a server's error: what AWS did is not known.
    Unknown,
}

impl FailureClass {
    /// A word for metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Throttled => "throttled",
            Self::LimitExceeded => "limit_exceeded",
            Self::Denied => "denied",
            Self::ExportNotFound => "export_not_found",
            Self::Unknown => "unknown",
        }
    }

    /// Whether a start that failed so may nevertheless have been accepted by AWS.
    #[must_use]
    pub fn leaves_doubt(self) -> bool {
        self == Self::Unknown
    }
}

impl fmt::Display for AwsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for AwsFailure {}
