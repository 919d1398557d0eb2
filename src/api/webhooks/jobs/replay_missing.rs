//! `POST /v1/webhook-endpoints/{id}/replay-missing`.

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

/// Send missing events
///
/// Sends every event from `since` on that matches the endpoint's filters and was never sent to it,
/// because the endpoint did not exist yet, was disabled, or had other filters. The `data` of each
/// webhook is the export as it is now. The work is done by a job, as with `recover`. An endpoint
/// never gets the same event under two ids, however often this is requested.
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
    _: NoQuery,
    caller: RequestCaller,
    JsonObject(body): JsonObject,
) -> Result<Response, Problem> {
    begin(&state, &caller, id, &body, JobKind::ReplayMissing).await
}
