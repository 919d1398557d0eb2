//! `POST /v1/webhook-endpoints/{id}/recover`.

use axum::extract::State;
use axum::response::Response;

use super::{JobProblems, ReplayWindow, begin};
use crate::api::ApiState;
use crate::api::body::JsonObject;
use crate::api::caller::RequestCaller;
use crate::api::path::EndpointPath;
use crate::api::problem::Problem;
use crate::api::query::NoQuery;
use crate::api_types::job::JobView;
use crate::domain::webhook::job::JobKind;

/// Retry failed deliveries
///
/// Retries every delivery to this endpoint that was created at or after `since` and ended as
/// EXHAUSTED or ABANDONED. Each gets a fresh retry schedule. The work is done by a job, which has
/// no limit on the number of deliveries and survives a restart.
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
    _: NoQuery,
    caller: RequestCaller,
    JsonObject(body): JsonObject,
) -> Result<Response, Problem> {
    begin(&state, &caller, id, &body, JobKind::Recover).await
}
