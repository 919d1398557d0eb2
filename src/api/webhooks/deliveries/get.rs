//! `GET /v1/deliveries/{id}`.

use axum::Json;
use axum::extract::State;

use super::answer_with;
use crate::api::ApiState;
use crate::api::path::DeliveryPath;
use crate::api::problem::Problem;
use crate::api::problem::docs::ByIdProblems;
use crate::api::query::NoQuery;
use crate::api_types::delivery::DeliveryView;

/// Get a delivery with every attempt
///
/// The id is the one that receivers see as `webhook-id`.
#[utoipa::path(
    get,
    path = "/v1/deliveries/{id}",
    tag = "Webhooks",
    security(("bearer" = ["webhooks:manage"])),
    params(("id" = String, Path, description = "The delivery's id, which receivers see as `webhook-id`", pattern = "^msg_[0-9a-f]{32}$", example = "msg_019a3b5c7d2e7f108a9b0c1d2e3f4a5b")),
    responses((status = 200, description = "The delivery", body = DeliveryView), ByIdProblems)
)]
pub async fn get_delivery(
    State(state): State<ApiState>,
    DeliveryPath(id): DeliveryPath,
    _: NoQuery,
) -> Result<Json<DeliveryView>, Problem> {
    Ok(Json(answer_with(&state, id).await?.1))
}
