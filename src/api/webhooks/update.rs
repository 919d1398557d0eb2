//! `PATCH /v1/webhook-endpoints/{id}`.

use axum::Json;
use axum::extract::State;

use super::request::{self, UpdateEndpoint};
use crate::api::ApiState;
use crate::api::body::JsonObject;
use crate::api::path::EndpointPath;
use crate::api::problem::Problem;
use crate::api::problem::docs::BodyByIdProblems;
use crate::api::query::NoQuery;
use crate::api_types::endpoint::EndpointView;

/// Change a webhook endpoint
///
/// Fields that are left out keep their value. Enabling a disabled endpoint clears its failures.
/// Use `recover` to send the deliveries that failed before, and `replay-missing` to send the events
/// that it never got.
#[utoipa::path(
    patch,
    path = "/v1/webhook-endpoints/{id}",
    tag = "Webhooks",
    security(("bearer" = ["webhooks:manage"])),
    params(("id" = uuid::Uuid, Path, description = "The endpoint's id")),
    request_body(content = UpdateEndpoint),
    responses((status = 200, description = "The changed endpoint", body = EndpointView), BodyByIdProblems)
)]
pub async fn update_endpoint(
    State(state): State<ApiState>,
    EndpointPath(id): EndpointPath,
    _: NoQuery,
    JsonObject(body): JsonObject,
) -> Result<Json<EndpointView>, Problem> {
    let patch = request::read_patch(&body, &state.callbacks, &state.vault)?;
    if let Some(url) = &patch.url {
        state.vet("/url", url).await?;
    }
    let now = state.clock.now();
    let changed = state
        .store
        .change_endpoint(id, |endpoint| patch.apply(endpoint, now))
        .await?;
    let endpoint = changed.ok_or_else(EndpointPath::not_found)?;
    tracing::info!(endpoint.id = %id, endpoint.disabled = endpoint.disabled.is_some(), "webhook endpoint changed");
    Ok(Json(EndpointView::from(&endpoint)))
}
