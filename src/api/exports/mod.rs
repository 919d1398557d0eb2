//! `/v1/exports`: one file a call.

mod adopting;
pub mod cancel;
mod completed;
pub mod create;
pub mod delete;
pub mod discover;
pub mod events;
pub mod files;
pub mod get;
pub mod import;
pub mod items;
pub mod list;
pub mod manifest;
pub mod preflight;
pub mod request;
mod respond;
pub mod retry;
pub mod verify;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::path::uuid_of_path;
use super::problem::Problem;
use crate::domain::ids::ExportId;

/// The `{id}` of a path. What is no UUID names no export.
#[derive(Debug, Clone, Copy)]
pub struct IdPath(pub ExportId);

impl<S: Send + Sync> FromRequestParts<S> for IdPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        uuid_of_path(parts, state)
            .await
            .map(|id| Self(ExportId(id)))
            .ok_or_else(Problem::no_such_export)
    }
}
