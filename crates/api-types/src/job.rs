//! A job that sends webhooks again, as callers see it.

use serde::Serialize;
use tableferry_domain::timestamp::Timestamp;
use tableferry_domain::webhook::job::{Job, JobKind};
use utoipa::ToSchema;
use uuid::Uuid;

/// A job that sends webhooks again.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = WebhookJob)]
pub struct JobView {
    /// The id of the job (UUIDv7).
    pub id: Uuid,
    /// The id of the endpoint that it sends to.
    pub endpoint_id: Uuid,
    /// What the job does.
    pub kind: JobKind,
    /// The status of the job.
    pub status: JobStatus,
    /// The start of the period whose deliveries or events it sends.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// The end of that period: when the job was requested.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
    /// The job has examined everything up to this time; null before the first batch.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub covered_until: Option<Timestamp>,
    /// The number of deliveries or events that it has examined.
    pub examined: i64,
    /// The number of deliveries that it has queued for sending.
    pub queued: i64,
    /// When the job was requested.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// The caller that requested the job; null if callers need not authenticate.
    #[schema(required, example = "api_key:platform")]
    pub created_by: Option<String>,
    /// When the job finished; null while it runs.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Timestamp>,
}

/// The status of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schema(as = WebhookJobStatus)]
pub enum JobStatus {
    /// The job is working, in batches.
    Running,
    /// The job has examined everything.
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
