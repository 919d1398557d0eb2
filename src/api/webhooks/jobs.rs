//! `POST …/recover`, `POST …/replay-missing` and `GET /v1/webhook-jobs/{id}`: sending many again.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{EndpointPath, JobPath, find_enabled};
use crate::api::ApiState;
use crate::api::body::JsonObject;
use crate::api::fields::{Errors, Fields};
use crate::api::guard::Calling;
use crate::api::problem::{Problem, ProblemType};
use crate::api::problem_docs::problems;
use crate::api::query::Query;
use crate::domain::invalid::Invalid;
use crate::domain::timestamp::Timestamp;
use crate::domain::webhook::endpoint::EndpointId;
use crate::domain::webhook::job::{Job, JobKind, JobView};

/// What is sent again.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayWindow {
    /// What happened from this time on (RFC 3339, any offset), until now.
    #[schema(format = DateTime, example = "2026-04-02T11:30:13Z")]
    pub since: String,
}

problems! {
    /// What can go wrong.
    JobProblems: MalformedJson, InvalidParameter, NotFound, EndpointDisabled, PayloadTooLarge, RequestTimeout, UnsupportedMediaType, ValidationFailed, Internal, Unavailable
}

problems! {
    /// What can go wrong.
    GetJobProblems: InvalidParameter, NotFound, Internal, Unavailable
}

/// Send again what failed
///
/// Deliveries to this endpoint that were made since a time and came to nothing (EXHAUSTED or
/// ABANDONED) get the whole schedule again. It is a job: stored, without a limit on its size; a
/// restart does not end it.
#[utoipa::path(
    post,
    path = "/v1/webhook-endpoints/{id}/recover",
    tag = "Webhooks",
    security(("bearer" = ["webhooks:manage"])),
    params(("id" = uuid::Uuid, Path, description = "The endpoint's id")),
    request_body(content = ReplayWindow),
    responses(
        (status = 202, description = "The job", body = JobView, headers(("Location" = String, description = "The job's URL")),
            links(("Job" = (operation_id = "get_webhook_job", parameters(("id" = "$response.body#/id")))))),
        JobProblems
    )
)]
pub async fn recover_deliveries(
    State(state): State<ApiState>,
    EndpointPath(id): EndpointPath,
    RawQuery(query): RawQuery,
    calling: Calling,
    JsonObject(body): JsonObject,
) -> Result<Response, Problem> {
    begin(
        &state,
        &calling,
        id,
        query.as_deref(),
        &body,
        JobKind::Recover,
    )
    .await
}

/// Send what was never sent
///
/// Events since a time that this endpoint wants by its filters and that never became a delivery to
/// it, because it did not exist, was disabled or wanted others then. Their `data` is the export as
/// it is now. It is a job, as with `recover`. An event is never sent to an endpoint under two ids,
/// however often this is asked for.
#[utoipa::path(
    post,
    path = "/v1/webhook-endpoints/{id}/replay-missing",
    tag = "Webhooks",
    security(("bearer" = ["webhooks:manage"])),
    params(("id" = uuid::Uuid, Path, description = "The endpoint's id")),
    request_body(content = ReplayWindow),
    responses(
        (status = 202, description = "The job", body = JobView, headers(("Location" = String, description = "The job's URL")),
            links(("Job" = (operation_id = "get_webhook_job", parameters(("id" = "$response.body#/id")))))),
        JobProblems
    )
)]
pub async fn replay_missing_events(
    State(state): State<ApiState>,
    EndpointPath(id): EndpointPath,
    RawQuery(query): RawQuery,
    calling: Calling,
    JsonObject(body): JsonObject,
) -> Result<Response, Problem> {
    begin(
        &state,
        &calling,
        id,
        query.as_deref(),
        &body,
        JobKind::ReplayMissing,
    )
    .await
}

/// Get a job that sends again
///
/// How far it is, and how many deliveries are sent because of it.
#[utoipa::path(
    get,
    path = "/v1/webhook-jobs/{id}",
    tag = "Webhooks",
    security(("bearer" = ["webhooks:manage"])),
    params(("id" = uuid::Uuid, Path, description = "The job's id")),
    responses((status = 200, description = "The job as it stands", body = JobView), GetJobProblems)
)]
pub async fn get_webhook_job(
    State(state): State<ApiState>,
    JobPath(id): JobPath,
    RawQuery(query): RawQuery,
) -> Result<Json<JobView>, Problem> {
    Query::of(query.as_deref()).finish()?;
    let job = state
        .store
        .find_webhook_job(id)
        .await?
        .ok_or_else(|| Problem::no_such("webhook job"))?;
    Ok(Json(JobView::from(&job)))
}

async fn begin(
    state: &ApiState,
    calling: &Calling,
    endpoint_id: EndpointId,
    query: Option<&str>,
    body: &Map<String, Value>,
    kind: JobKind,
) -> Result<Response, Problem> {
    Query::of(query).finish()?;
    let now = state.chance.now();
    let mut errors = Errors::new();
    let mut fields = Fields::of(body, "");
    let since = fields.required_text("since", &mut errors, |text| {
        let since = Timestamp::parse(text)?;
        if since > now {
            Err(Invalid::new("must not be in the future"))
        } else {
            Ok(since)
        }
    });
    fields.finish(&mut errors);
    let Some(since) = since.filter(|_| errors.is_empty()) else {
        return Err(Problem::with_errors(ProblemType::ValidationFailed, errors));
    };
    find_enabled(state, endpoint_id).await?;
    let job = Job {
        id: state.chance.ordered_id(),
        endpoint_id,
        kind,
        since,
        until: now,
        created_at: now,
        created_by: calling.name(),
        finished_at: None,
        cursor: None,
        examined: 0,
        queued: 0,
    };
    state.store.add_webhook_job(&job).await?;
    state.webhook_jobs_due.notify_one();
    tracing::info!(job.id = %job.id, endpoint.id = %endpoint_id, job.kind = kind.as_str(), caller.name = calling.logged(), "webhook job stored");
    let location = (header::LOCATION, format!("/v1/webhook-jobs/{}", job.id));
    Ok((StatusCode::ACCEPTED, [location], Json(JobView::from(&job))).into_response())
}
