//! `GET /v1/api-keys`, `GET /v1/api-keys/{id}` and `POST /v1/api-keys/{id}/revoke`.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::{KeyPath, no_such_key};
use crate::api::ApiState;
use crate::api::guard::Calling;
use crate::api::paging::{self, Paging};
use crate::api::problem::Problem;
use crate::api::problem_docs::problems;
use crate::api::query::Query;
use crate::domain::caller::CallerName;
use crate::domain::caller::api_key::ApiKeyView;

/// One page of API keys, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApiKeyList {
    /// The keys, revoked ones too.
    pub api_keys: Vec<ApiKeyView>,
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

/// List API keys, newest first
///
/// Revoked ones too: their names stand in `created_by`.
#[utoipa::path(
    get,
    path = "/v1/api-keys",
    tag = "API keys",
    security(("bearer" = ["admin"])),
    params(
        ("page_size" = Option<i64>, Query, nullable = false, description = "How many, 50 unless said", minimum = 1, maximum = 200),
        ("page_token" = Option<String>, Query, nullable = false, description = "`next_page_token` of the page before", pattern = "^[A-Za-z0-9_-]{32}$"),
    ),
    responses(
        (status = 200, description = "One page", body = ApiKeyList, headers(("Link" = String, description = "The next page's URL with `rel=\"next\"`; absent on the last page"))),
        ListProblems
    )
)]
pub async fn list_api_keys(
    State(state): State<ApiState>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Problem> {
    const SCOPE: &str = "API keys";
    let mut query = Query::of(raw.as_deref());
    let paging = Paging::read(&mut query, &SCOPE);
    query.finish()?;
    let found = state
        .store
        .list_api_keys(paging.before, paging.size_and_one())
        .await?;
    let (keys, next_page_token) = paging.cut(found, &SCOPE);
    let list = ApiKeyList {
        api_keys: keys.iter().map(ApiKeyView::from).collect(),
        next_page_token,
    };
    Ok(paging::respond(
        &list,
        "/v1/api-keys",
        raw.as_deref(),
        list.next_page_token.as_deref(),
    ))
}

/// Get the record of an API key
///
/// What it may do, and whether it was revoked. The key itself was shown once, when it was made.
#[utoipa::path(
    get,
    path = "/v1/api-keys/{id}",
    tag = "API keys",
    security(("bearer" = ["admin"])),
    params(("id" = uuid::Uuid, Path, description = "The key's id")),
    responses((status = 200, description = "The key as it stands", body = ApiKeyView), GetProblems)
)]
pub async fn get_api_key(
    State(state): State<ApiState>,
    KeyPath(id): KeyPath,
    RawQuery(query): RawQuery,
) -> Result<Json<ApiKeyView>, Problem> {
    Query::of(query.as_deref()).finish()?;
    let key = state
        .store
        .find_api_key(id)
        .await?
        .ok_or_else(no_such_key)?;
    Ok(Json(ApiKeyView::from(&key)))
}

/// Revoke an API key
///
/// It works no more: at once in the process that answers, within five seconds in others. Its record
/// stays. Safe to repeat.
#[utoipa::path(
    post,
    path = "/v1/api-keys/{id}/revoke",
    tag = "API keys",
    security(("bearer" = ["admin"])),
    params(("id" = uuid::Uuid, Path, description = "The key's id")),
    responses((status = 200, description = "The key, revoked", body = ApiKeyView), GetProblems)
)]
pub async fn revoke_api_key(
    State(state): State<ApiState>,
    KeyPath(id): KeyPath,
    calling: Calling,
    RawQuery(query): RawQuery,
) -> Result<Json<ApiKeyView>, Problem> {
    Query::of(query.as_deref()).finish()?;
    let key = state
        .store
        .revoke_api_key(id, state.chance.now())
        .await?
        .ok_or_else(no_such_key)?;
    state
        .gate
        .forget(&CallerName::of_api_key(key.name.as_str()));
    tracing::info!(api_key.id = %id, api_key.name = key.name.as_str(), caller.name = calling.logged(), "API key revoked");
    Ok(Json(ApiKeyView::from(&key)))
}
