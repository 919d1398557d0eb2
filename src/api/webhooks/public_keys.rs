//! `GET /v1/webhook-public-keys`: what verifies `v1a` signatures.

use axum::Json;
use axum::extract::{RawQuery, State};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::ApiState;
use crate::api::problem::Problem;
use crate::api::problem_docs::problems;
use crate::api::query::Query;
use crate::domain::timestamp::Timestamp;

/// The keys of this service.
#[derive(Debug, Serialize, ToSchema)]
pub struct PublicKeyList {
    /// Every key that signs now, newest first. A webhook carries one `v1a` signature of each.
    pub keys: Vec<PublicKeyView>,
}

/// The public half of a key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookPublicKey)]
pub struct PublicKeyView {
    /// `whpk_` and the base64 of the 32 bytes of an ed25519 public key.
    #[schema(example = "whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=")]
    pub public_key: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it stops to sign; null for the current one.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
}

problems! {
    /// What can go wrong.
    KeysProblems: InvalidParameter, Internal, Unavailable
}

/// Get the public keys that verify webhooks
///
/// Verifying `v1a` (ed25519) needs no shared secret: a receiver fetches these keys once.
#[utoipa::path(
    get,
    path = "/v1/webhook-public-keys",
    tag = "Webhooks",
    security(()),
    responses((status = 200, description = "The keys that sign now", body = PublicKeyList), KeysProblems)
)]
pub async fn list_webhook_public_keys(
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
) -> Result<Json<PublicKeyList>, Problem> {
    Query::of(query.as_deref()).finish()?;
    let keys = state
        .keyring
        .stored(state.chance.now())
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
