//! The log of deliveries: of an endpoint, of an export, one by its id; and sending one again.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::{DeliveryPath, EndpointPath, find};
use crate::api::ApiState;
use crate::api::exports::IdPath;
use crate::api::guard::Calling;
use crate::api::paging::{self, Paging};
use crate::api::problem::Problem;
use crate::api::problem_docs::problems;
use crate::api::query::Query;
use crate::domain::caller::scope::Scope;
use crate::domain::ids::DeliveryId;
use crate::domain::invalid::Invalid;
use crate::domain::webhook::delivery::{Delivery, DeliveryStatus, DeliveryView};
use crate::domain::webhook::event_type::WebhookEventType;
use crate::store::delivery_log::DeliveryFilter;

/// One page of deliveries, newest first, each with its attempts.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeliveryList {
    /// The deliveries.
    pub deliveries: Vec<DeliveryView>,
    /// Hand it back as `page_token`, with the same filters, for the next page; null on the last
    /// one.
    #[schema(required)]
    pub next_page_token: Option<String>,
}

problems! {
    /// What can go wrong.
    DeliveriesProblems: InvalidParameter, NotFound, Internal, Unavailable
}

/// List the deliveries of a webhook endpoint
///
/// Newest first, each with every attempt: when, how long, the receiver's status, what went wrong,
/// how the answer began.
#[utoipa::path(
    get,
    path = "/v1/webhook-endpoints/{id}/deliveries",
    tag = "Webhooks",
    security(("bearer" = ["webhooks:manage"])),
    params(
        ("id" = uuid::Uuid, Path, description = "The endpoint's id"),
        ("status" = Option<DeliveryStatus>, Query, nullable = false, description = "Deliveries of this status"),
        ("event_type" = Option<WebhookEventType>, Query, nullable = false, description = "Deliveries of this type of event"),
        ("page_size" = Option<i64>, Query, nullable = false, description = "How many, 50 unless said", minimum = 1, maximum = 200),
        ("page_token" = Option<String>, Query, nullable = false, description = "`next_page_token` of the page before, with the same filters", pattern = "^[A-Za-z0-9_-]{32}$"),
    ),
    responses(
        (status = 200, description = "One page", body = DeliveryList, headers(("Link" = String, description = "The next page's URL with `rel=\"next\"`; absent on the last page"))),
        DeliveriesProblems
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

/// List the webhook deliveries of an export
///
/// Those to its `callback_url` and those to endpoints, newest first, each with every attempt. They
/// outlive an export that is deleted. Without the scope `webhooks:manage` the path of an endpoint's
/// URL is left out, and so are its errors and answers.
#[utoipa::path(
    get,
    path = "/v1/exports/{id}/deliveries",
    tag = "Webhooks",
    security(("bearer" = ["exports:read"])),
    params(
        ("id" = uuid::Uuid, Path, description = "The export's id"),
        ("status" = Option<DeliveryStatus>, Query, nullable = false, description = "Deliveries of this status"),
        ("event_type" = Option<WebhookEventType>, Query, nullable = false, description = "Deliveries of this type of event"),
        ("page_size" = Option<i64>, Query, nullable = false, description = "How many, 50 unless said", minimum = 1, maximum = 200),
        ("page_token" = Option<String>, Query, nullable = false, description = "`next_page_token` of the page before, with the same filters", pattern = "^[A-Za-z0-9_-]{32}$"),
    ),
    responses(
        (status = 200, description = "One page", body = DeliveryList, headers(("Link" = String, description = "The next page's URL with `rel=\"next\"`; absent on the last page"))),
        DeliveriesProblems
    )
)]
pub async fn list_export_deliveries(
    State(state): State<ApiState>,
    IdPath(id): IdPath,
    calling: Calling,
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
        return Err(Problem::no_such_export());
    }
    let shown = if calling.0.grant.scopes().allow(Scope::WebhooksManage) {
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
        shown,
    )
    .await
}

/// Get a delivery with every attempt
///
/// By the id that receivers see as `webhook-id`.
#[utoipa::path(
    get,
    path = "/v1/deliveries/{id}",
    tag = "Webhooks",
    security(("bearer" = ["webhooks:manage"])),
    params(("id" = String, Path, description = "The delivery's id, which receivers see as `webhook-id`", pattern = "^msg_[0-9a-f]{32}$", example = "msg_019a3b5c7d2e7f108a9b0c1d2e3f4a5b")),
    responses((status = 200, description = "The delivery as it stands", body = DeliveryView), DeliveriesProblems)
)]
pub async fn get_delivery(
    State(state): State<ApiState>,
    DeliveryPath(id): DeliveryPath,
    RawQuery(query): RawQuery,
) -> Result<Json<DeliveryView>, Problem> {
    Query::of(query.as_deref()).finish()?;
    Ok(Json(answer_with(&state, id).await?.1))
}

/// Send a delivery again
///
/// At once, whatever became of it, with the same `webhook-id` and the same body. If it fails it
/// gets the whole schedule again.
#[utoipa::path(
    post,
    path = "/v1/deliveries/{id}/resend",
    tag = "Webhooks",
    security(("bearer" = ["webhooks:manage"])),
    params(("id" = String, Path, description = "The delivery's id, which receivers see as `webhook-id`", pattern = "^msg_[0-9a-f]{32}$", example = "msg_019a3b5c7d2e7f108a9b0c1d2e3f4a5b")),
    responses(
        (status = 202, description = "The delivery, on its way again", body = DeliveryView, headers(("Location" = String, description = "The delivery's URL"))),
        ResendProblems
    )
)]
pub async fn resend_delivery(
    State(state): State<ApiState>,
    DeliveryPath(id): DeliveryPath,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    Query::of(query.as_deref()).finish()?;
    let known = state
        .store
        .find_delivery(id)
        .await?
        .ok_or_else(|| Problem::no_such("delivery"))?;
    if let Some(endpoint) = known.endpoint_id {
        super::find_enabled(&state, endpoint).await?;
    }
    if !state.store.resend(id).await? {
        return Err(Problem::no_such("delivery"));
    }
    state.deliveries_due.notify_one();
    let (location, view) = answer_with(&state, id).await?;
    Ok((StatusCode::ACCEPTED, [location], Json(view)).into_response())
}

problems! {
    /// What can go wrong.
    ResendProblems: InvalidParameter, NotFound, EndpointDisabled, Internal, Unavailable
}

/// A delivery as callers see it, and its place.
pub(super) async fn answer_with(
    state: &ApiState,
    id: DeliveryId,
) -> Result<((HeaderName, String), DeliveryView), Problem> {
    let delivery = state
        .store
        .find_delivery(id)
        .await?
        .ok_or_else(|| Problem::no_such("delivery"))?;
    Ok((
        (header::LOCATION, format!("/v1/deliveries/{id}")),
        DeliveryView::from(delivery),
    ))
}

fn read(raw: Option<&str>, of: DeliveryFilter) -> Result<(DeliveryFilter, Paging), Problem> {
    let mut query = Query::of(raw);
    let status = query.one("status", |text| {
        let words = DeliveryStatus::ALL.map(DeliveryStatus::as_str).join(", ");
        DeliveryStatus::parse(text).ok_or_else(|| Invalid::new(format!("must be one of {words}")))
    });
    let event_type = query.one("event_type", |text| match text {
        "ping" => Ok(WebhookEventType::Ping),
        other => WebhookEventType::parse_choice(other),
    });
    let filter = DeliveryFilter {
        status: status.map(DeliveryStatus::as_str),
        event_type: event_type.map(WebhookEventType::as_str),
        ..of
    };
    let paging = Paging::read(&mut query, &filter);
    query.finish()?;
    Ok((filter, paging))
}

fn without_endpoint(delivery: Delivery) -> DeliveryView {
    DeliveryView::from(delivery).without_endpoint()
}

async fn page(
    state: &ApiState,
    filter: &DeliveryFilter,
    paging: Paging,
    raw: Option<&str>,
    path: &str,
    shown: fn(Delivery) -> DeliveryView,
) -> Result<Response, Problem> {
    let found = state
        .store
        .list_deliveries(filter, paging.before, paging.size_and_one())
        .await?;
    let (deliveries, next_page_token) = paging.cut(found, filter);
    let list = DeliveryList {
        deliveries: deliveries.into_iter().map(shown).collect(),
        next_page_token,
    };
    Ok(paging::respond(
        &list,
        path,
        raw,
        list.next_page_token.as_deref(),
    ))
}
