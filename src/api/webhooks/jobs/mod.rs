//! Jobs that send many webhooks again: what both kinds share.

pub mod get;
pub mod recover;
pub mod replay_missing;

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value};

use super::find_enabled;
use crate::api::ApiState;
use crate::api::caller::RequestCaller;
use crate::api::fields::{self, body};
use crate::api::problem::Problem;
use crate::api::problem::docs::problems;
use crate::api_types::job::JobView;
use crate::domain::invalid::Invalid;
use crate::domain::timestamp::Timestamp;
use crate::domain::webhook::endpoint::EndpointId;
use crate::domain::webhook::job::{Job, JobKind};

body! {
    /// The period whose deliveries or events are sent again.
    pub struct ReplayWindow, read as ReplayWindowFields {
        /// The start of the period (RFC 3339, any offset). It ends now.
        #[schema(format = DateTime, example = "2026-04-02T11:30:13Z")]
        pub since: String,
    }
}

problems!(JobProblems = BODY_BY_ID, EndpointDisabled);

/// Stores a job and answers with it.
async fn begin(
    state: &ApiState,
    caller: &RequestCaller,
    endpoint_id: EndpointId,
    body: &Map<String, Value>,
    kind: JobKind,
) -> Result<Response, Problem> {
    let now = state.clock.now();
    let since = fields::read::<ReplayWindow, _>(body, |body| {
        body.since.text(|text| {
            let since = Timestamp::parse(text)?;
            if since > now {
                Err(Invalid::new("must not be in the future"))
            } else {
                Ok(since)
            }
        })
    })?;
    find_enabled(state, endpoint_id).await?;
    let job = Job {
        id: state.clock.ordered_id(),
        endpoint_id,
        kind,
        since,
        until: now,
        created_at: now,
        created_by: caller.name(),
        finished_at: None,
        cursor: None,
        examined: 0,
        queued: 0,
    };
    state.store.add_webhook_job(&job).await?;
    state.signals.job_due.send();
    tracing::info!(job.id = %job.id, endpoint.id = %endpoint_id, job.kind = kind.as_str(), caller.name = caller.logged(), "webhook job stored");
    let location = (header::LOCATION, format!("/v1/webhook-jobs/{}", job.id));
    Ok((StatusCode::ACCEPTED, [location], Json(JobView::from(&job))).into_response())
}
