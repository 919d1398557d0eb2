//! `POST /v1/deliveries/{id}/resend`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use super::{answer_with, find};
use crate::api::ApiState;
use crate::api::path::DeliveryPath;
use crate::api::problem::Problem;
use crate::api::problem::docs::problems;
use crate::api::query::NoQuery;
use crate::api::webhooks::find_enabled;
use crate::api_types::delivery::DeliveryView;

problems!(ResendProblems = BY_ID, EndpointDisabled);

/// Send a delivery again
///
/// Sends the delivery at once, whatever its status, with the same `webhook-id` and body. If the
/// attempt fails, the delivery gets a fresh retry schedule.
#[utoipa::path(
    post,
    path = "/v1/deliveries/{id}/resend",
    tag = "Webhooks",
    security(("bearer" = ["webhooks:manage"])),
    params(("id" = String, Path, description = "The delivery's id, which receivers see as `webhook-id`", pattern = "^msg_[0-9a-f]{32}$", example = "msg_019a3b5c7d2e7f108a9b0c1d2e3f4a5b")),
    responses(
        (status = 202, description = "The delivery, which is being sent again", body = DeliveryView, headers(("Location" = String, description = "The delivery's URL"))),
        ResendProblems
    )
)]
pub async fn resend_delivery(
    State(state): State<ApiState>,
    DeliveryPath(id): DeliveryPath,
    _: NoQuery,
) -> Result<Response, Problem> {
    let delivery = find(&state, id).await?;
    if let Some(endpoint) = delivery.endpoint_id {
        find_enabled(&state, endpoint).await?;
    }
    if !state.store.resend(id).await? {
        return Err(DeliveryPath::not_found());
    }
    state.signals.delivery_due.send();
    let (location, view) = answer_with(&state, id).await?;
    Ok((StatusCode::ACCEPTED, [location], Json(view)).into_response())
}
