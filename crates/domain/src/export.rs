//! An export and the states it can be in. A state holds what is true in it and nothing else.
//!
//! ```text
//! PENDING ──accepted──▶ IN_PROGRESS ──▶ COMPLETED | FAILED (by AWS)
//! PENDING ──cancelled──▶ CANCELLED        PENDING ──refused──▶ FAILED (refused)
//! PENDING | IN_PROGRESS ──too old──▶ TIMED_OUT ──AWS did finish it──▶ COMPLETED | FAILED (by AWS)
//! ```

use serde::Serialize;
use utoipa::ToSchema;

use super::arn::ExportArn;
use super::caller::CallerName;
use super::description::{ExportDescription, Written};
use super::estimate::Estimate;
use super::ids::{ClientToken, ExportId};
use super::request::{ExportKind, ExportRequest};
use super::retry::Attempt;
use super::s3::Encryption;
use super::timestamp::Timestamp;
use super::trace::TraceParent;
use super::verification::Verification;

/// An export as this service remembers it.
#[derive(Debug, Clone, PartialEq)]
pub struct Export {
    /// Its name here.
    pub id: ExportId,
    /// Grows by one with every change: what a writer saw must still be so when it writes.
    pub version: i32,
    /// When it was accepted here.
    pub created_at: Timestamp,
    /// Who asked for it; nothing if nobody had to say who they are.
    pub created_by: Option<CallerName>,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Asked for here, or adopted.
    pub origin: Origin,
    /// What was asked for, completed by what AWS settled.
    pub request: ExportRequest,
    /// Where it stands.
    pub state: ExportState,
    /// Why it stands there, in words.
    pub status_reason: Option<String>,
    /// Its latest verification, if there was one.
    pub verification: Option<Verification>,
    /// Its place in a row of attempts.
    pub attempt: Attempt,
    /// What was expected of it when it was accepted here.
    pub estimate: Option<Estimate>,
    /// The trace that it belongs to.
    pub trace_parent: Option<TraceParent>,
}

/// How the export came to be known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Asked for here.
    Created {
        /// Stored before AWS is called, so that a start can be repeated safely.
        client_token: ClientToken,
        /// When that token was made: AWS honours it for 8 hours.
        token_made_at: Timestamp,
    },
    /// Started elsewhere and adopted.
    Imported {
        /// The token it was started with, if AWS tells.
        client_token: Option<ClientToken>,
    },
}

impl Origin {
    /// The token AWS knows the export by.
    #[must_use]
    pub fn client_token(&self) -> Option<&ClientToken> {
        match self {
            Self::Created { client_token, .. } => Some(client_token),
            Self::Imported { client_token } => client_token.as_ref(),
        }
    }

    /// When that token was made, if it was made here.
    #[must_use]
    pub fn token_made_at(&self) -> Option<Timestamp> {
        match self {
            Self::Created { token_made_at, .. } => Some(*token_made_at),
            Self::Imported { .. } => None,
        }
    }
}

/// What AWS gave when it accepted the export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The export's name at AWS.
    pub arn: ExportArn,
    /// The table's id.
    pub table_id: Option<String>,
    /// When AWS began.
    pub start_time: Option<Timestamp>,
}

/// Where an export stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExportState {
    /// Accepted here; AWS has not accepted it yet.
    Pending,
    /// AWS works on it.
    InProgress(Accepted),
    /// AWS wrote it.
    Completed(Accepted, Written),
    /// It came to nothing.
    Failed(Failed),
    /// Given up by the caller before AWS was asked.
    Cancelled,
    /// It took longer than `timeouts.create`.
    TimedOut(TimedOut),
}

/// What was known of an export at AWS when it timed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimedOut {
    /// AWS had not accepted it, and is not asked any more.
    NotStarted,
    /// A start got no answer, so AWS may run it. It is searched for (`crates/domain/src/doubt.rs`).
    InDoubt,
    /// AWS had accepted it, and may still finish it.
    Accepted(Accepted),
}

/// How an export came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failed {
    /// AWS accepted it and failed later.
    ByAws {
        /// What AWS gave at the start.
        accepted: Accepted,
        /// When AWS gave up.
        end_time: Option<Timestamp>,
        /// AWS's code.
        code: String,
        /// AWS's words.
        message: String,
    },
    /// AWS refused to start it.
    Refused {
        /// AWS's code.
        code: String,
        /// AWS's words.
        message: String,
    },
}

/// How an export came to be known here, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExportOrigin {
    /// Asked for here.
    Created,
    /// Started elsewhere, and adopted.
    Imported,
}

/// The status of an export: IN_PROGRESS, COMPLETED and FAILED mean what AWS means by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(
    missing_docs,
    reason = "each is explained at the variant of ExportState that it names"
)]
pub enum ExportStatus {
    Pending,
    InProgress,
    Completed,
    Failed,
    Cancelled,
    TimedOut,
}

impl ExportStatus {
    /// Every status, in the order of an export's life.
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::InProgress,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
        Self::TimedOut,
    ];

    /// The word callers and the database use.
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

    /// From that word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Whether callers need not wait any longer.
    #[must_use]
    pub fn is_end(self) -> bool {
        !matches!(self, Self::Pending | Self::InProgress)
    }
}

impl ExportState {
    /// The status of this state.
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

    /// What AWS gave when it accepted the export, where it did.
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
    /// Its status.
    #[must_use]
    pub fn status(&self) -> ExportStatus {
        self.state.status()
    }

    /// When `timeouts.create` ends.
    #[must_use]
    pub fn deadline(&self) -> Timestamp {
        self.created_at.plus(self.request.create_timeout.duration())
    }

    /// Whether `timeouts.create` has passed.
    #[must_use]
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        now.since(self.created_at) >= self.request.create_timeout.duration()
    }

    /// The same export one change later.
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

    /// Takes over what AWS settled: the times of an open request and the default encryption.
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
