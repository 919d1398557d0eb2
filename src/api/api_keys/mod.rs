//! `/v1/api-keys`: for admins.

pub mod create;
pub mod get;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use uuid::Uuid;

use super::path::uuid_of_path;
use super::problem::Problem;

/// The `{id}` of an API key.
#[derive(Debug, Clone, Copy)]
pub struct KeyPath(pub Uuid);

impl<S: Send + Sync> FromRequestParts<S> for KeyPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        uuid_of_path(parts, state)
            .await
            .map(Self)
            .ok_or_else(no_such_key)
    }
}

fn no_such_key() -> Problem {
    Problem::no_such("API key")
}
