//! `POST /v1/api-keys/{id}/revoke`.

use axum::Json;
use axum::extract::State;

use crate::api::ApiState;
use crate::api::caller::RequestCaller;
use crate::api::path::KeyPath;
use crate::api::problem::Problem;
use crate::api::problem::docs::ByIdProblems;
use crate::api::query::NoQuery;
use crate::api_types::api_key::ApiKeyView;
use crate::domain::caller::CallerName;

/// Revoke an API key
///
/// The process that answers rejects the key at once, other processes within five seconds. The
/// record stays. The request is safe to repeat.
#[utoipa::path(
    post,
    path = "/v1/api-keys/{id}/revoke",
    tag = "API keys",
    security(("bearer" = ["admin"])),
    params(("id" = uuid::Uuid, Path, description = "The key's id")),
    responses((status = 200, description = "The record of the revoked key", body = ApiKeyView), ByIdProblems)
)]
pub async fn revoke_api_key(
    State(state): State<ApiState>,
    KeyPath(id): KeyPath,
    caller: RequestCaller,
    _: NoQuery,
) -> Result<Json<ApiKeyView>, Problem> {
    let key = state
        .store
        .revoke_api_key(id, state.clock.now())
        .await?
        .ok_or_else(KeyPath::not_found)?;
    let name = CallerName::for_api_key(key.name.as_str());
    state.authenticator.forget(&name);
    tracing::info!(api_key.id = %id, api_key.name = key.name.as_str(), caller.name = caller.logged(), "API key revoked");
    Ok(Json(ApiKeyView::from(&key)))
}
