//! Limits on calls per second.

pub mod pace;
pub mod token_bucket;
