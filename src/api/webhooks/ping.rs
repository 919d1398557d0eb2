//! `POST /v1/webhook-endpoints/{id}/ping`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use super::deliveries::answer_with;
use super::find_enabled;
use crate::api::ApiState;
use crate::api::path::EndpointPath;
use crate::api::problem::Problem;
use crate::api::problem::docs::problems;
use crate::api::query::NoQuery;
use crate::api_types::delivery::DeliveryView;

problems!(PingProblems = BY_ID, EndpointDisabled);

/// Send a ping to a webhook endpoint
///
/// Sends a signed event of the type `ping`, whatever the endpoint's filters. It is attempted only
/// once; the delivery shows the result.
#[utoipa::path(
    post,
    path = "/v1/webhook-endpoints/{id}/ping",
    tag = "Webhooks",
    security(("bearer" = ["webhooks:manage"])),
    params(("id" = uuid::Uuid, Path, description = "The endpoint's id")),
    responses(
        (status = 202, description = "The delivery, which is being sent", body = DeliveryView, headers(("Location" = String, description = "The delivery's URL")),
            links(("Delivery" = (operation_id = "get_delivery", parameters(("id" = "$response.body#/id")))))),
        PingProblems
    )
)]
pub async fn ping_endpoint(
    State(state): State<ApiState>,
    EndpointPath(id): EndpointPath,
    _: NoQuery,
) -> Result<Response, Problem> {
    let endpoint = find_enabled(&state, id).await?;
    let delivery = state.clock.delivery_id();
    state
        .store
        .add_ping(&endpoint, delivery, state.clock.now())
        .await?;
    state.signals.delivery_due.send();
    let (location, view) = answer_with(&state, delivery).await?;
    Ok((StatusCode::ACCEPTED, [location], Json(view)).into_response())
}
