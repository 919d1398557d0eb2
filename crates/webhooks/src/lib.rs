//! Webhooks: signs them by Standard Webhooks 1.0.0, and sends them to URLs that callers chose.

mod client;
mod dial;
mod failure;
mod names;
mod response;
mod signature;
pub mod vault;

pub use client::{Outgoing, WebhookClient, WebhookLimits};
pub use failure::{AttemptPhase, Forbidden, SendError};
pub use names::{LookUp, Names, SystemNames, Vetting};
pub use response::Answer;
pub use signature::{SEED_BYTES, SigningKey, sign};
pub use tableferry_domain::webhook::error_class::ErrorClass;
