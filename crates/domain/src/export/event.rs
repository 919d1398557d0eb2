//! Events: the history of an export, and what webhooks report.

use serde::Serialize;

use crate::caller::CallerName;
use crate::export::ExportStatus;
use crate::timestamp::Timestamp;

/// One entry of an export's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The export's version after this event: unique and increasing per export.
    pub sequence: i32,
    pub kind: EventKind,
    pub at: Timestamp,
    pub status: ExportStatus,
    pub detail: String,
    /// The caller who caused it, if callers authenticate.
    pub created_by: Option<CallerName>,
}

/// What can happen to an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = ExportEventType))]
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
    /// A call to AWS failed and will be repeated.
    #[serde(rename = "export.delayed")]
    Delayed,
    /// AWS answers again after a failed call, or a timed-out export was found at AWS.
    #[serde(rename = "export.resumed")]
    Resumed,
    /// The client token became too old to be sent and was replaced.
    #[serde(rename = "export.token_replaced")]
    TokenReplaced,
    /// Written.
    #[serde(rename = "export.completed")]
    Completed,
    /// Failed at AWS, or refused.
    #[serde(rename = "export.failed")]
    Failed,
    /// Cancelled by the caller.
    #[serde(rename = "export.cancelled")]
    Cancelled,
    /// It took longer than `timeouts.create`.
    #[serde(rename = "export.timed_out")]
    TimedOut,
    /// A timed-out export is no longer polled or searched for.
    #[serde(rename = "export.forgotten")]
    Forgotten,
    /// The files in S3 were compared with what AWS reported.
    #[serde(rename = "export.verified")]
    Verified,
}

impl EventKind {
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

    /// The event type in the API and in webhooks.
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

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}
