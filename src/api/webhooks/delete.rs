//! `DELETE /v1/webhook-endpoints/{id}`.

use axum::extract::State;
use axum::http::StatusCode;

use crate::api::ApiState;
use crate::api::caller::RequestCaller;
use crate::api::path::EndpointPath;
use crate::api::problem::Problem;
use crate::api::problem::docs::ByIdProblems;
use crate::api::query::NoQuery;

/// Delete a webhook endpoint
///
/// Nothing more is sent to the endpoint. Its deliveries stay in the log until their retention ends.
#[utoipa::path(
    delete,
    path = "/v1/webhook-endpoints/{id}",
    tag = "Webhooks",
    security(("bearer" = ["webhooks:manage"])),
    params(("id" = uuid::Uuid, Path, description = "The endpoint's id")),
    responses((status = 204, description = "Deleted"), ByIdProblems)
)]
pub async fn delete_endpoint(
    State(state): State<ApiState>,
    EndpointPath(id): EndpointPath,
    caller: RequestCaller,
    _: NoQuery,
) -> Result<StatusCode, Problem> {
    if !state.store.delete_endpoint(id).await? {
        return Err(EndpointPath::not_found());
    }
    tracing::info!(endpoint.id = %id, caller.name = caller.logged(), "webhook endpoint forgotten");
    Ok(StatusCode::NO_CONTENT)
}
