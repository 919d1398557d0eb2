//! A public key that verifies webhooks, as callers see it.

use serde::Serialize;
use tableferry_domain::timestamp::Timestamp;
use utoipa::ToSchema;

/// A public key that verifies webhooks.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookPublicKey)]
pub struct PublicKeyView {
    /// `whpk_` and the base64 of the 32 bytes of an ed25519 public key.
    #[schema(example = "whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=")]
    pub public_key: String,
    /// When the key was created.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When the key stops signing; null for the current key.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
}
