//! `GET /v1/webhook-endpoints` and `GET`, `DELETE /v1/webhook-endpoints/{id}`.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::{EndpointPath, find, no_such_endpoint};
use crate::api::ApiState;
use crate::api::guard::Calling;
use crate::api::paging::{self, Paging};
use crate::api::problem::Problem;
use crate::api::problem_docs::problems;
use crate::api::query::Query;
use crate::domain::webhook::endpoint::EndpointView;

/// One page of endpoints, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct EndpointList {
    /// The endpoints.
    pub webhook_endpoints: Vec<EndpointView>,
    /// Hand it back as `page_token` for the next page; null on the last one.
    #[schema(required)]
    pub next_page_token: Option<String>,
}

problems! {
    /// What can go wrong.
    ListProblems: InvalidParameter, Internal, Unavailable
}

problems! {
    /// What can go wrong.
    GetProblems: InvalidParameter, NotFound, Internal, Unavailable
}

/// List webhook endpoints, newest first
///
/// Disabled ones too. Secrets and the values of headers are never shown.
#[utoipa::path(
    get,
    path = "/v1/webhook-endpoints",
    tag = "Webhooks",
    security(("bearer" = ["webhooks:manage"])),
    params(
        ("page_size" = Option<i64>, Query, nullable = false, description = "How many, 50 unless said", minimum = 1, maximum = 200),
        ("page_token" = Option<String>, Query, nullable = false, description = "`next_page_token` of the page before", pattern = "^[A-Za-z0-9_-]{32}$"),
    ),
    responses(
        (status = 200, description = "One page", body = EndpointList, headers(("Link" = String, description = "The next page's URL with `rel=\"next\"`; absent on the last page"))),
        ListProblems
    )
)]
pub async fn list_endpoints(
    State(state): State<ApiState>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Problem> {
    const SCOPE: &str = "webhook endpoints";
    let mut query = Query::of(raw.as_deref());
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

/// Get a webhook endpoint
///
/// What it hears of, and whether and why it is disabled. Its secret and the values of its headers
/// are never shown.
#[utoipa::path(
    get,
    path = "/v1/webhook-endpoints/{id}",
    tag = "Webhooks",
    security(("bearer" = ["webhooks:manage"])),
    params(("id" = uuid::Uuid, Path, description = "The endpoint's id")),
    responses((status = 200, description = "The endpoint as it stands", body = EndpointView), GetProblems)
)]
pub async fn get_endpoint(
    State(state): State<ApiState>,
    EndpointPath(id): EndpointPath,
    RawQuery(query): RawQuery,
) -> Result<Json<EndpointView>, Problem> {
    Query::of(query.as_deref()).finish()?;
    Ok(Json(EndpointView::from(&find(&state, id).await?)))
}

/// Forget a webhook endpoint
///
/// Nothing more is sent to it. Its deliveries stay in the log until they are old.
#[utoipa::path(
    delete,
    path = "/v1/webhook-endpoints/{id}",
    tag = "Webhooks",
    security(("bearer" = ["webhooks:manage"])),
    params(("id" = uuid::Uuid, Path, description = "The endpoint's id")),
    responses((status = 204, description = "Forgotten"), GetProblems)
)]
pub async fn delete_endpoint(
    State(state): State<ApiState>,
    EndpointPath(id): EndpointPath,
    calling: Calling,
    RawQuery(query): RawQuery,
) -> Result<StatusCode, Problem> {
    Query::of(query.as_deref()).finish()?;
    if !state.store.delete_endpoint(id).await? {
        return Err(no_such_endpoint());
    }
    tracing::info!(endpoint.id = %id, caller.name = calling.logged(), "webhook endpoint forgotten");
    Ok(StatusCode::NO_CONTENT)
}
