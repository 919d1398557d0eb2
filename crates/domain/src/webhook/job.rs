//! Webhook jobs: they send events or deliveries again. They are stored, so that they continue after
//! a restart, whatever their size.

use serde::Serialize;
use uuid::Uuid;

use super::endpoint::EndpointId;
use crate::caller::CallerName;
use crate::timestamp::Timestamp;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// A UUIDv7.
    pub id: Uuid,
    /// The endpoint that receives the deliveries.
    pub endpoint_id: EndpointId,
    pub kind: JobKind,
    pub since: Timestamp,
    /// The end of the period: when the job was created.
    pub until: Timestamp,
    pub created_at: Timestamp,
    /// The caller who created it; `None` without authentication.
    pub created_by: Option<CallerName>,
    pub finished_at: Option<Timestamp>,
    pub cursor: Option<Cursor>,
    /// Deliveries or events processed so far.
    pub examined: i64,
    /// Deliveries sent because of the job.
    pub queued: i64,
}

/// The last delivery or event that a job processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    pub at: Timestamp,
    /// The delivery's id, or the id of the event's export.
    pub id: Uuid,
    /// The event's position in the export's history; 0 for a delivery.
    pub sequence: i32,
}

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[cfg_attr(feature = "openapi", schema(as = WebhookJobKind))]
pub enum JobKind {
    /// Deliveries that failed are tried again.
    Recover,
    /// Events that never became a delivery become one.
    ReplayMissing,
}

impl JobKind {
    /// The value in the API and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recover => "RECOVER",
            Self::ReplayMissing => "REPLAY_MISSING",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Recover, Self::ReplayMissing]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }
}
