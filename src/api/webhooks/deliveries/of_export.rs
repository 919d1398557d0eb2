//! `GET /v1/exports/{id}/deliveries`.

use axum::extract::{RawQuery, State};
use axum::response::Response;

use super::{DeliveryList, page, read};
use crate::api::ApiState;
use crate::api::caller::RequestCaller;
use crate::api::path::ExportPath;
use crate::api::problem::Problem;
use crate::api::problem::docs::ByIdProblems;
use crate::api_types::delivery::DeliveryView;
use crate::domain::caller::scope::Scope;
use crate::domain::webhook::delivery::{Delivery, DeliveryStatus};
use crate::domain::webhook::event_type::WebhookEventType;
use crate::store::delivery_log::DeliveryFilter;

/// List the webhook deliveries of an export
///
/// Deliveries to the export's `callback_url` and to endpoints, newest first, each with every
/// attempt. They remain after the export is deleted. For callers without the scope
/// `webhooks:manage`, the path of an endpoint's URL, its errors and its responses are left out.
#[utoipa::path(
    get,
    path = "/v1/exports/{id}/deliveries",
    tag = "Webhooks",
    security(("bearer" = ["exports:read"])),
    params(
        ("id" = uuid::Uuid, Path, description = "The export's id"),
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
pub async fn list_export_deliveries(
    State(state): State<ApiState>,
    ExportPath(id): ExportPath,
    caller: RequestCaller,
    RawQuery(raw): RawQuery,
) -> Result<Response, Problem> {
    let of = DeliveryFilter {
        export_id: Some(id.0),
        ..DeliveryFilter::default()
    };
    let (filter, paging) = read(raw.as_deref(), of.clone())?;
    if state.store.find(id).await?.is_none()
        && state.store.list_deliveries(&of, None, 1).await?.is_empty()
    {
        return Err(ExportPath::not_found());
    }
    let view = if caller.has_scope(Scope::WebhooksManage) {
        DeliveryView::from
    } else {
        without_endpoint
    };
    page(
        &state,
        &filter,
        paging,
        raw.as_deref(),
        &format!("/v1/exports/{id}/deliveries"),
        view,
    )
    .await
}

fn without_endpoint(delivery: Delivery) -> DeliveryView {
    DeliveryView::from(delivery).without_endpoint()
}
