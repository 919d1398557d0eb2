//! Failed AWS calls, classified once.

use std::fmt;

/// Why a call to AWS failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsFailure {
    /// What it means for the export.
    pub class: FailureClass,
    /// AWS's error code, or this service's code if AWS sent no answer (`TimedOut`, `NoCredentials`,
    /// …).
    pub code: String,
    /// AWS's message, or the text of the error.
    pub message: String,
}

/// What a failed call means for the export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureClass {
    /// AWS refuses this request and always will.
    Refused,
    /// Too many calls; AWS did not process this one.
    Throttled,
    /// Too many exports are running; AWS did not start this one.
    LimitExceeded,
    /// Permissions or credentials are missing. An operator can fix that.
    Denied,
    /// No export with this ARN exists.
    ExportNotFound,
    /// No answer, or a server error. What AWS did is unknown.
    Unknown,
}

impl FailureClass {
    /// The value of the metric label.
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

    /// Whether AWS may have accepted a start that failed in this way.
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
