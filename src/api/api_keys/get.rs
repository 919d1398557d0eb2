//! `GET /v1/api-keys/{id}`.

use axum::Json;
use axum::extract::State;

use crate::api::ApiState;
use crate::api::path::KeyPath;
use crate::api::problem::Problem;
use crate::api::problem::docs::ByIdProblems;
use crate::api::query::NoQuery;
use crate::api_types::api_key::ApiKeyView;

/// Get an API key's record
///
/// The record says what the key may do and whether it was revoked. The key itself is returned only
/// once, when it is created.
#[utoipa::path(
    get,
    path = "/v1/api-keys/{id}",
    tag = "API keys",
    security(("bearer" = ["admin"])),
    params(("id" = uuid::Uuid, Path, description = "The key's id")),
    responses((status = 200, description = "The key's record", body = ApiKeyView), ByIdProblems)
)]
pub async fn get_api_key(
    State(state): State<ApiState>,
    KeyPath(id): KeyPath,
    _: NoQuery,
) -> Result<Json<ApiKeyView>, Problem> {
    let key = state
        .store
        .find_api_key(id)
        .await?
        .ok_or_else(KeyPath::not_found)?;
    Ok(Json(ApiKeyView::from(&key)))
}
