//! `GET /v1/webhook-endpoints`.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::ApiState;
use crate::api::paging::{self, Paging};
use crate::api::problem::Problem;
use crate::api::problem::docs::CommonProblems;
use crate::api::query::Query;
use crate::api_types::endpoint::EndpointView;

/// One page of endpoints, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct EndpointList {
    /// The endpoints of this page.
    pub webhook_endpoints: Vec<EndpointView>,
    /// Send it as `page_token` to get the next page; null on the last page.
    #[schema(required)]
    pub next_page_token: Option<String>,
}

/// List webhook endpoints, newest first
///
/// The list includes disabled endpoints. Secrets and the values of headers are never returned.
#[utoipa::path(
    get,
    path = "/v1/webhook-endpoints",
    tag = "Webhooks",
    security(("bearer" = ["webhooks:manage"])),
    params(
        ("page_size" = Option<i64>, Query, nullable = false, description = "Maximum number of endpoints per page. Default: 50", minimum = 1, maximum = 200),
        ("page_token" = Option<String>, Query, nullable = false, description = "`next_page_token` of the previous page", pattern = "^[A-Za-z0-9_-]{32}$"),
    ),
    responses(
        (status = 200, description = "One page", body = EndpointList, headers(("Link" = String, description = "The next page's URL with `rel=\"next\"`; absent on the last page"))),
        CommonProblems
    )
)]
pub async fn list_endpoints(
    State(state): State<ApiState>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Problem> {
    const SCOPE: &str = "webhook endpoints";
    let mut query = Query::from_raw(raw.as_deref());
    let paging = Paging::read(&mut query, &SCOPE);
    query.finish()?;
    let found = state
        .store
        .list_endpoints(paging.before, paging.size_and_one())
        .await?;
    let (endpoints, next_page_token) = paging.cut(found, &SCOPE);
    let list = EndpointList {
        webhook_endpoints: endpoints.iter().map(EndpointView::from).collect(),
        next_page_token,
    };
    Ok(paging::respond(
        &list,
        "/v1/webhook-endpoints",
        raw.as_deref(),
        list.next_page_token.as_deref(),
    ))
}
