//! `GET /v1/webhook-jobs/{id}`.

use axum::Json;
use axum::extract::State;

use crate::api::ApiState;
use crate::api::path::JobPath;
use crate::api::problem::Problem;
use crate::api::problem::docs::ByIdProblems;
use crate::api::query::NoQuery;
use crate::api_types::job::JobView;

/// Get a webhook job
///
/// The response shows the progress of the job and the number of deliveries that it has queued.
#[utoipa::path(
    get,
    path = "/v1/webhook-jobs/{id}",
    tag = "Webhooks",
    security(("bearer" = ["webhooks:manage"])),
    params(("id" = uuid::Uuid, Path, description = "The job's id")),
    responses((status = 200, description = "The job", body = JobView), ByIdProblems)
)]
pub async fn get_webhook_job(
    State(state): State<ApiState>,
    JobPath(id): JobPath,
    _: NoQuery,
) -> Result<Json<JobView>, Problem> {
    let job = state
        .store
        .find_webhook_job(id)
        .await?
        .ok_or_else(JobPath::not_found)?;
    Ok(Json(JobView::from(&job)))
}
