//! Jobs that send again: stored, so that they go on after a restart, whatever their size.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::endpoint::EndpointId;
use crate::caller::CallerName;
use crate::timestamp::Timestamp;

/// A job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its name (UUIDv7).
    pub id: Uuid,
    /// Whose deliveries it sends again.
    pub endpoint_id: EndpointId,
    /// What it does.
    pub kind: JobKind,
    /// From when on.
    pub since: Timestamp,
    /// Until when: when it was asked for.
    pub until: Timestamp,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Who asked for it; nothing if nobody had to say who they are.
    pub created_by: Option<CallerName>,
    /// When it was done.
    pub finished_at: Option<Timestamp>,
    /// How far it has come.
    pub cursor: Option<Cursor>,
    /// How many deliveries or events it has looked at.
    pub examined: i64,
    /// How many deliveries are sent because of it.
    pub queued: i64,
}

/// The last thing that a job has looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// When that happened.
    pub at: Timestamp,
    /// A delivery, or the export of an event.
    pub id: Uuid,
    /// The event's place in the export's history; 0 for a delivery.
    pub sequence: i32,
}

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schema(as = WebhookJobKind)]
pub enum JobKind {
    /// Deliveries that failed are tried again.
    Recover,
    /// Events that never became a delivery become one.
    ReplayMissing,
}

impl JobKind {
    /// The kind as callers and the database see it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recover => "RECOVER",
            Self::ReplayMissing => "REPLAY_MISSING",
        }
    }

    /// From that word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Recover, Self::ReplayMissing]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }
}

/// A job as callers see it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = WebhookJob)]
pub struct JobView {
    /// Its name (UUIDv7).
    pub id: Uuid,
    /// Whose deliveries it sends again.
    pub endpoint_id: Uuid,
    /// What it does.
    pub kind: JobKind,
    /// Where it stands.
    pub status: JobStatus,
    /// From when on.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// Until when: when it was asked for.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
    /// What happened up to here has been looked at; null before the first batch.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub covered_until: Option<Timestamp>,
    /// How many deliveries or events it has looked at.
    pub examined: i64,
    /// How many deliveries are sent because of it.
    pub queued: i64,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Who asked for it; null if nobody had to say who they are.
    #[schema(required, example = "api_key:platform")]
    pub created_by: Option<String>,
    /// When it was done.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Timestamp>,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schema(as = WebhookJobStatus)]
pub enum JobStatus {
    /// It goes on, in batches.
    Running,
    /// Everything was looked at.
    Completed,
}

impl From<&Job> for JobView {
    fn from(job: &Job) -> Self {
        Self {
            id: job.id,
            endpoint_id: job.endpoint_id.0,
            kind: job.kind,
            status: if job.finished_at.is_some() {
                JobStatus::Completed
            } else {
                JobStatus::Running
            },
            since: job.since,
            until: job.until,
            covered_until: job
                .finished_at
                .map(|_| job.until)
                .or(job.cursor.map(|cursor| cursor.at)),
            examined: job.examined,
            queued: job.queued,
            created_at: job.created_at,
            created_by: job.created_by.as_ref().map(|name| name.as_str().to_owned()),
            finished_at: job.finished_at,
        }
    }
}
