//! The JSON that callers of the API and receivers of webhooks see: resources, webhook bodies and
//! problem documents. Request bodies are declared in `src/api`, next to the code that reads them.
//!
//! In a resource, a value that is not known yet is null, never absent; secrets are never part of
//! it.

pub mod api_key;
pub mod delivery;
pub mod endpoint;
pub mod event;
pub mod export;
pub mod filter;
pub mod job;
pub mod preflight;
pub mod problem;
pub mod public_key;
pub mod verification;
pub mod webhook;
