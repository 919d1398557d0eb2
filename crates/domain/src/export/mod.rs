//! An export and its states. Each state contains only the data that is valid in it.

pub mod adopt;
pub mod attempt;
pub mod estimate;
pub mod event;
pub mod failure;
pub mod filter;
pub mod labels;
pub mod output;
pub mod request;
pub mod verification;

use serde::Serialize;

use crate::aws::arn::ExportArn;
use crate::aws::description::{DescribedStatus, ExportDescription, Written};
use crate::aws::s3::Encryption;
use crate::caller::CallerName;
use crate::export::attempt::Attempt;
use crate::export::estimate::Estimate;
use crate::export::request::{ExportKind, ExportRequest};
use crate::export::verification::Verification;
use crate::ids::{ClientToken, ExportId};
use crate::timestamp::Timestamp;
use crate::trace::TraceParent;

/// An export's record.
#[derive(Debug, Clone, PartialEq)]
pub struct Export {
    pub id: ExportId,
    /// Increases by one with every change. A write names the version it read, and fails if the
    /// record has changed since.
    pub version: i32,
    pub created_at: Timestamp,
    /// The caller who created it; `None` without authentication.
    pub created_by: Option<CallerName>,
    pub updated_at: Timestamp,
    /// Created here, or adopted.
    pub origin: Origin,
    /// The request, completed by the values that AWS chose.
    pub request: ExportRequest,
    pub state: ExportState,
    /// Explanation of the state.
    pub status_reason: Option<String>,
    /// The latest verification.
    pub verification: Option<Verification>,
    /// Its place in a sequence of attempts.
    pub attempt: Attempt,
    /// The estimate made when it was accepted here.
    pub estimate: Option<Estimate>,
    /// The trace of the request that created it.
    pub trace_parent: Option<TraceParent>,
}

/// Where the export comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Created here.
    Created {
        /// Stored before AWS is called, so that the start can be repeated.
        client_token: ClientToken,
        /// AWS recognizes the token for 8 hours after this.
        token_made_at: Timestamp,
    },
    /// Started elsewhere and adopted.
    Imported {
        /// The token it was started with, if AWS reports it.
        client_token: Option<ClientToken>,
    },
}

impl Origin {
    /// The token that identifies the export at AWS.
    #[must_use]
    pub fn client_token(&self) -> Option<&ClientToken> {
        match self {
            Self::Created { client_token, .. } => Some(client_token),
            Self::Imported { client_token } => client_token.as_ref(),
        }
    }

    /// Creation time of the token, if it was made here.
    #[must_use]
    pub fn token_made_at(&self) -> Option<Timestamp> {
        match self {
            Self::Created { token_made_at, .. } => Some(*token_made_at),
            Self::Imported { .. } => None,
        }
    }
}

/// AWS's answer when it accepted the export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    pub arn: ExportArn,
    pub table_id: Option<String>,
    pub start_time: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExportState {
    /// Accepted here; AWS has not accepted it yet.
    Pending,
    /// AWS is working on it.
    InProgress(Accepted),
    /// AWS has written it.
    Completed(Accepted, Written),
    Failed(Failed),
    /// Cancelled by the caller before AWS was asked.
    Cancelled,
    /// It took longer than `timeouts.create`.
    TimedOut(TimedOut),
}

/// What was known about an export at AWS when it timed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimedOut {
    /// AWS had not accepted it and will not be asked again.
    NotStarted,
    /// A start got no answer, so AWS may be running it. The service searches for it (see
    /// [`doubt`](crate::lifecycle::doubt)).
    InDoubt,
    /// AWS had accepted it and may still finish it.
    Accepted(Accepted),
}

/// How an export failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failed {
    /// AWS accepted it and failed later.
    ByAws {
        accepted: Accepted,
        end_time: Option<Timestamp>,
        code: String,
        message: String,
    },
    /// AWS refused to start it.
    Refused { code: String, message: String },
}

/// Whether an export was created by this service or adopted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ExportOrigin {
    /// Created here.
    Created,
    /// Started elsewhere, and adopted.
    Imported,
}

// Each is explained at the variant of `ExportState` that it names.
/// The status of an export: IN_PROGRESS, COMPLETED and FAILED mean what AWS means by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ExportStatus {
    Pending,
    InProgress,
    Completed,
    Failed,
    Cancelled,
    TimedOut,
}

impl ExportStatus {
    /// In the order of an export's life.
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::InProgress,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
        Self::TimedOut,
    ];

    /// The value in the API and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::InProgress => "IN_PROGRESS",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
            Self::TimedOut => "TIMED_OUT",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Whether callers can stop waiting.
    #[must_use]
    pub fn is_end(self) -> bool {
        !matches!(self, Self::Pending | Self::InProgress)
    }
}

impl ExportState {
    /// The state of an export that AWS accepted.
    #[must_use]
    pub fn from_description(description: &ExportDescription) -> Self {
        let accepted = Accepted {
            arn: description.arn.clone(),
            table_id: description.table_id.clone(),
            start_time: description.start_time,
        };
        match &description.status {
            DescribedStatus::InProgress => Self::InProgress(accepted),
            DescribedStatus::Completed(written) => Self::Completed(accepted, written.clone()),
            DescribedStatus::Failed {
                end_time,
                code,
                message,
            } => Self::Failed(Failed::ByAws {
                accepted,
                end_time: *end_time,
                code: code.clone(),
                message: message.clone(),
            }),
        }
    }

    #[must_use]
    pub fn status(&self) -> ExportStatus {
        match self {
            Self::Pending => ExportStatus::Pending,
            Self::InProgress(_) => ExportStatus::InProgress,
            Self::Completed(..) => ExportStatus::Completed,
            Self::Failed(_) => ExportStatus::Failed,
            Self::Cancelled => ExportStatus::Cancelled,
            Self::TimedOut(_) => ExportStatus::TimedOut,
        }
    }

    /// AWS's answer when it accepted the export, if it did.
    #[must_use]
    pub fn accepted(&self) -> Option<&Accepted> {
        match self {
            Self::InProgress(accepted)
            | Self::Completed(accepted, _)
            | Self::Failed(Failed::ByAws { accepted, .. }) => Some(accepted),
            Self::TimedOut(TimedOut::Accepted(accepted)) => Some(accepted),
            Self::Pending
            | Self::Cancelled
            | Self::Failed(Failed::Refused { .. })
            | Self::TimedOut(TimedOut::NotStarted | TimedOut::InDoubt) => None,
        }
    }
}

impl Export {
    #[must_use]
    pub fn status(&self) -> ExportStatus {
        self.state.status()
    }

    /// The end of `timeouts.create`.
    #[must_use]
    pub fn deadline(&self) -> Timestamp {
        self.created_at.plus(self.request.create_timeout.duration())
    }

    #[must_use]
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        now.since(self.created_at) >= self.request.create_timeout.duration()
    }

    /// The export after a change.
    #[must_use]
    pub fn changed(
        &self,
        state: ExportState,
        status_reason: Option<String>,
        now: Timestamp,
    ) -> Self {
        Self {
            version: self.version + 1,
            updated_at: now,
            state,
            status_reason,
            ..self.clone()
        }
    }

    /// Takes over the values that AWS chose: open times and the default encryption.
    pub fn settle(&mut self, description: &ExportDescription) {
        match &mut self.request.kind {
            ExportKind::Full { export_time } => {
                *export_time = description.export_time.or(*export_time)
            }
            ExportKind::Incremental { from, to, view } => {
                *from = description.export_from_time.unwrap_or(*from);
                *to = description.export_to_time.or(*to);
                *view = description.export_view_type.unwrap_or(*view);
            }
        }
        let encryption = &mut self.request.destination.encryption;
        if encryption.is_none() {
            *encryption = match description.s3_sse_algorithm.as_deref() {
                Some("AES256") => Some(Encryption::Aes256),
                Some("KMS") => Some(Encryption::Kms { key_id: None }),
                _ => None,
            };
        }
    }
}
