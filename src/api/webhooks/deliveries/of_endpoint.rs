//! `GET /v1/webhook-endpoints/{id}/deliveries`.

use axum::extract::{RawQuery, State};
use axum::response::Response;

use super::{DeliveryList, page, read};
use crate::api::ApiState;
use crate::api::path::EndpointPath;
use crate::api::problem::Problem;
use crate::api::problem::docs::ByIdProblems;
use crate::api::webhooks::find;
use crate::api_types::delivery::DeliveryView;
use crate::domain::webhook::delivery::DeliveryStatus;
use crate::domain::webhook::event_type::WebhookEventType;
use crate::store::delivery_log::DeliveryFilter;

/// List the deliveries of a webhook endpoint
///
/// Newest first. Each delivery has every attempt: its time and duration, the receiver's status, the
/// error, and the beginning of the response.
#[utoipa::path(
    get,
    path = "/v1/webhook-endpoints/{id}/deliveries",
    tag = "Webhooks",
    security(("bearer" = ["webhooks:manage"])),
    params(
        ("id" = uuid::Uuid, Path, description = "The endpoint's id"),
        ("status" = Option<DeliveryStatus>, Query, nullable = false, description = "Only deliveries with this status"),
        ("event_type" = Option<WebhookEventType>, Query, nullable = false, description = "Only deliveries of this type of event"),
        ("page_size" = Option<i64>, Query, nullable = false, description = "Maximum number of deliveries per page. Default: 50", minimum = 1, maximum = 200),
        ("page_token" = Option<String>, Query, nullable = false, description = "`next_page_token` of the previous page, with the same filters", pattern = "^[A-Za-z0-9_-]{32}$"),
    ),
    responses(
        (status = 200, description = "One page", body = DeliveryList, headers(("Link" = String, description = "The next page's URL with `rel=\"next\"`; absent on the last page"))),
        ByIdProblems
    )
)]
pub async fn list_endpoint_deliveries(
    State(state): State<ApiState>,
    EndpointPath(id): EndpointPath,
    RawQuery(raw): RawQuery,
) -> Result<Response, Problem> {
    let of = DeliveryFilter {
        endpoint_id: Some(id.0),
        ..DeliveryFilter::default()
    };
    let (filter, paging) = read(raw.as_deref(), of)?;
    find(&state, id).await?;
    page(
        &state,
        &filter,
        paging,
        raw.as_deref(),
        &format!("/v1/webhook-endpoints/{id}/deliveries"),
        DeliveryView::from,
    )
    .await
}
