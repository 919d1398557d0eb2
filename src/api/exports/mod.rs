//! `/v1/exports`: one file a call.

pub mod cancel;
pub mod create;
pub mod delete;
pub mod events;
pub mod get;
pub mod import;
pub mod list;
mod page_token;
pub mod request;
mod respond;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use uuid::Uuid;

use super::problem::Problem;
use crate::domain::ids::ExportId;

/// The `{id}` of a path. What is no UUID names no export.
#[derive(Debug, Clone, Copy)]
pub struct IdPath(pub ExportId);

impl<S: Send + Sync> FromRequestParts<S> for IdPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(text) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| Problem::no_such_export())?;
        let id = Uuid::try_parse(&text).map_err(|_| Problem::no_such_export())?;
        Ok(Self(ExportId(id)))
    }
}
