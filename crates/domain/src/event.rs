//! Events: what happened to an export, for its history and for webhooks.

use serde::Serialize;
use utoipa::ToSchema;

use super::caller::CallerName;
use super::export::ExportStatus;
use super::timestamp::Timestamp;

/// One line of an export's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The export's version that this event led to: unique and growing within an export.
    pub sequence: i32,
    /// What happened.
    pub kind: EventKind,
    /// When.
    pub at: Timestamp,
    /// The status after it.
    pub status: ExportStatus,
    /// What happened, in words.
    pub detail: String,
    /// Who made it happen, if it was a caller who had to say who they are.
    pub created_by: Option<CallerName>,
}

/// What can happen to an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ExportEventType)]
pub enum EventKind {
    /// Accepted by this service.
    #[serde(rename = "export.created")]
    Created,
    /// Adopted by this service.
    #[serde(rename = "export.imported")]
    Imported,
    /// Accepted by AWS.
    #[serde(rename = "export.started")]
    Started,
    /// A call to AWS failed and will be made again.
    #[serde(rename = "export.delayed")]
    Delayed,
    /// AWS answers again after a failed call, or a timed-out export was found at AWS.
    #[serde(rename = "export.resumed")]
    Resumed,
    /// The client token grew too old to be sent and was replaced.
    #[serde(rename = "export.token_replaced")]
    TokenReplaced,
    /// Written.
    #[serde(rename = "export.completed")]
    Completed,
    /// Failed at AWS, or refused.
    #[serde(rename = "export.failed")]
    Failed,
    /// Given up by the caller.
    #[serde(rename = "export.cancelled")]
    Cancelled,
    /// It took longer than `timeouts.create`.
    #[serde(rename = "export.timed_out")]
    TimedOut,
    /// A timed-out export is no longer followed or searched for.
    #[serde(rename = "export.forgotten")]
    Forgotten,
    /// What lies in S3 was compared with what AWS says it wrote.
    #[serde(rename = "export.verified")]
    Verified,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 12] = [
        Self::Created,
        Self::Imported,
        Self::Started,
        Self::Delayed,
        Self::Resumed,
        Self::TokenReplaced,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
        Self::TimedOut,
        Self::Forgotten,
        Self::Verified,
    ];

    /// The event's type as callers and receivers see it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "export.created",
            Self::Imported => "export.imported",
            Self::Started => "export.started",
            Self::Delayed => "export.delayed",
            Self::Resumed => "export.resumed",
            Self::TokenReplaced => "export.token_replaced",
            Self::Completed => "export.completed",
            Self::Failed => "export.failed",
            Self::Cancelled => "export.cancelled",
            Self::TimedOut => "export.timed_out",
            Self::Forgotten => "export.forgotten",
            Self::Verified => "export.verified",
        }
    }

    /// From that type.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}
