//! Webhooks: signing by Standard Webhooks 1.0.0, and sending to addresses that callers chose.

mod client;
mod signature;

pub use client::{Answer, SendError, WebhookClient};
pub use signature::{SEED_BYTES, SigningKey, sign};
