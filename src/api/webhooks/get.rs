//! `GET /v1/webhook-endpoints/{id}`.

use axum::Json;
use axum::extract::State;

use super::find;
use crate::api::ApiState;
use crate::api::path::EndpointPath;
use crate::api::problem::Problem;
use crate::api::problem::docs::ByIdProblems;
use crate::api::query::NoQuery;
use crate::api_types::endpoint::EndpointView;

/// Get a webhook endpoint
///
/// The response shows which events the endpoint receives, and whether and why it is disabled. Its
/// secret and the values of its headers are never returned.
#[utoipa::path(
    get,
    path = "/v1/webhook-endpoints/{id}",
    tag = "Webhooks",
    security(("bearer" = ["webhooks:manage"])),
    params(("id" = uuid::Uuid, Path, description = "The endpoint's id")),
    responses((status = 200, description = "The endpoint", body = EndpointView), ByIdProblems)
)]
pub async fn get_endpoint(
    State(state): State<ApiState>,
    EndpointPath(id): EndpointPath,
    _: NoQuery,
) -> Result<Json<EndpointView>, Problem> {
    Ok(Json(EndpointView::from(&find(&state, id).await?)))
}
