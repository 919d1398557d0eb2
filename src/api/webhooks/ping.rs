//! `POST /v1/webhook-endpoints/{id}/ping`.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use super::deliveries::answer_with;
use super::{EndpointPath, find_enabled};
use crate::api::ApiState;
use crate::api::problem::Problem;
use crate::api::problem_docs::problems;
use crate::api::query::Query;
use crate::domain::webhook::delivery::DeliveryView;

problems! {
    /// What can go wrong.
    PingProblems: InvalidParameter, NotFound, EndpointDisabled, Internal, Unavailable
}

/// Send a ping to a webhook endpoint
///
/// A signed event of the type `ping`, of one attempt, whatever the endpoint's filters. What became
/// of it is in the delivery.
#[utoipa::path(
    post,
    path = "/v1/webhook-endpoints/{id}/ping",
    tag = "Webhooks",
    security(("bearer" = ["webhooks:manage"])),
    params(("id" = uuid::Uuid, Path, description = "The endpoint's id")),
    responses(
        (status = 202, description = "The delivery, on its way", body = DeliveryView, headers(("Location" = String, description = "The delivery's URL")),
            links(("Delivery" = (operation_id = "get_delivery", parameters(("id" = "$response.body#/id")))))),
        PingProblems
    )
)]
pub async fn ping_endpoint(
    State(state): State<ApiState>,
    EndpointPath(id): EndpointPath,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    Query::of(query.as_deref()).finish()?;
    let endpoint = find_enabled(&state, id).await?;
    let delivery = state.chance.delivery_id();
    state
        .store
        .add_ping(&endpoint, delivery, state.chance.now())
        .await?;
    state.deliveries_due.notify_one();
    let (location, view) = answer_with(&state, delivery).await?;
    Ok((StatusCode::ACCEPTED, [location], Json(view)).into_response())
}
