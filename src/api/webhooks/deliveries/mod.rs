//! The log of webhook deliveries: what its operations share.

pub mod get;
pub mod of_endpoint;
pub mod of_export;
pub mod resend;

use axum::http::{HeaderName, header};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::ApiState;
use crate::api::paging::{self, Paging};
use crate::api::path::DeliveryPath;
use crate::api::problem::Problem;
use crate::api::query::Query;
use crate::api_types::delivery::DeliveryView;
use crate::domain::ids::DeliveryId;
use crate::domain::invalid::Invalid;
use crate::domain::webhook::delivery::{Delivery, DeliveryStatus};
use crate::domain::webhook::event_type::WebhookEventType;
use crate::store::delivery_log::DeliveryFilter;

/// One page of deliveries, newest first, each with its attempts.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeliveryList {
    /// The deliveries of this page.
    pub deliveries: Vec<DeliveryView>,
    /// Send it as `page_token`, with the same filters, to get the next page; null on the last page.
    #[schema(required)]
    pub next_page_token: Option<String>,
}

/// The delivery of this id, and its URL.
pub(super) async fn answer_with(
    state: &ApiState,
    id: DeliveryId,
) -> Result<((HeaderName, String), DeliveryView), Problem> {
    let delivery = find(state, id).await?;
    Ok((
        (header::LOCATION, format!("/v1/deliveries/{id}")),
        DeliveryView::from(delivery),
    ))
}

async fn find(state: &ApiState, id: DeliveryId) -> Result<Delivery, Problem> {
    state
        .store
        .find_delivery(id)
        .await?
        .ok_or_else(DeliveryPath::not_found)
}

/// Reads the query of a list; `of` is the endpoint or export.
fn read(raw: Option<&str>, of: DeliveryFilter) -> Result<(DeliveryFilter, Paging), Problem> {
    let mut query = Query::from_raw(raw);
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

/// Answers with a page of the list at `path`, whose query was `raw`.
async fn page(
    state: &ApiState,
    filter: &DeliveryFilter,
    paging: Paging,
    raw: Option<&str>,
    path: &str,
    view: fn(Delivery) -> DeliveryView,
) -> Result<Response, Problem> {
    let found = state
        .store
        .list_deliveries(filter, paging.before, paging.size_and_one())
        .await?;
    let (deliveries, next_page_token) = paging.cut(found, filter);
    let list = DeliveryList {
        deliveries: deliveries.into_iter().map(view).collect(),
        next_page_token,
    };
    Ok(paging::respond(
        &list,
        path,
        raw,
        list.next_page_token.as_deref(),
    ))
}
