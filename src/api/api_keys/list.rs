//! `GET /v1/api-keys`.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::ApiState;
use crate::api::paging::{self, Paging};
use crate::api::problem::Problem;
use crate::api::problem::docs::CommonProblems;
use crate::api::query::Query;
use crate::api_types::api_key::ApiKeyView;

/// One page of API keys, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApiKeyList {
    /// The keys of this page, including revoked ones.
    pub api_keys: Vec<ApiKeyView>,
    /// Send it as `page_token` to get the next page; null on the last page.
    #[schema(required)]
    pub next_page_token: Option<String>,
}

/// List API keys, newest first
///
/// The list includes revoked keys, because `created_by` of other records names them.
#[utoipa::path(
    get,
    path = "/v1/api-keys",
    tag = "API keys",
    security(("bearer" = ["admin"])),
    params(
        ("page_size" = Option<i64>, Query, nullable = false, description = "Maximum number of keys per page. Default: 50", minimum = 1, maximum = 200),
        ("page_token" = Option<String>, Query, nullable = false, description = "`next_page_token` of the previous page", pattern = "^[A-Za-z0-9_-]{32}$"),
    ),
    responses(
        (status = 200, description = "One page", body = ApiKeyList, headers(("Link" = String, description = "The next page's URL with `rel=\"next\"`; absent on the last page"))),
        CommonProblems
    )
)]
pub async fn list_api_keys(
    State(state): State<ApiState>,
    RawQuery(raw): RawQuery,
) -> Result<Response, Problem> {
    const SCOPE: &str = "API keys";
    let mut query = Query::from_raw(raw.as_deref());
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
