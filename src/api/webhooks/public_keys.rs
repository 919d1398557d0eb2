//! `GET /v1/webhook-public-keys`: what verifies `v1a` signatures.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::ApiState;
use crate::api::problem::Problem;
use crate::api::problem::docs::CommonProblems;
use crate::api::query::NoQuery;
use crate::api_types::public_key::PublicKeyView;

/// The public keys of this service.
#[derive(Debug, Serialize, ToSchema)]
pub struct PublicKeyList {
    /// Every key that signs now, newest first. A webhook has one `v1a` signature per key.
    pub keys: Vec<PublicKeyView>,
}

/// Get the public keys that verify webhooks
///
/// A receiver can verify `v1a` signatures (ed25519) without a shared secret: it fetches these keys
/// once, and again when none of them matches.
#[utoipa::path(
    get,
    path = "/v1/webhook-public-keys",
    tag = "Webhooks",
    security(()),
    responses((status = 200, description = "The keys that sign now", body = PublicKeyList), CommonProblems)
)]
pub async fn list_webhook_public_keys(
    State(state): State<ApiState>,
    _: NoQuery,
) -> Result<Json<PublicKeyList>, Problem> {
    let keys = state
        .keyring
        .stored(state.clock.now())
        .await?
        .into_iter()
        .map(|key| PublicKeyView {
            public_key: key.public_key,
            created_at: key.created_at,
            expires_at: key.expires_at,
        });
    Ok(Json(PublicKeyList {
        keys: keys.collect(),
    }))
}
