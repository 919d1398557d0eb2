//! `DELETE /v1/exports/{id}`.

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;

use super::IdPath;
use crate::api::ApiState;
use crate::api::guard::Calling;
use crate::api::problem::{Problem, ProblemType};
use crate::api::problem_docs::problems;
use crate::api::query::{Query, boolean};

problems! {
    /// What can go wrong.
    DeleteProblems: InvalidParameter, NotFound, NotEnded, Internal, Unavailable
}

/// Forget an export
///
/// As `terraform destroy` does: the record goes, with its history and idempotency key; exported
/// data stays, and AWS is not told.
#[utoipa::path(
    delete,
    path = "/v1/exports/{id}",
    tag = "Exports",
    security(("bearer" = ["exports:write"])),
    params(
        ("id" = uuid::Uuid, Path, description = "The export's id"),
        ("force" = Option<bool>, Query, nullable = false, description = "Forget it even if it has not ended; then nobody follows it any more"),
    ),
    responses((status = 204, description = "Forgotten"), DeleteProblems)
)]
pub async fn delete_export(
    State(state): State<ApiState>,
    IdPath(id): IdPath,
    calling: Calling,
    RawQuery(query): RawQuery,
) -> Result<StatusCode, Problem> {
    let mut query = Query::of(query.as_deref());
    let force = query.one("force", boolean).unwrap_or(false);
    query.finish()?;
    match state.store.delete(id, force).await? {
        Some(true) => {
            state.exports_changed.notify_waiters();
            tracing::info!(export.id = %id, export.forced = force, caller.name = calling.logged(), "export forgotten");
            Ok(StatusCode::NO_CONTENT)
        }
        Some(false) => Err(Problem::new(
            ProblemType::NotEnded,
            "the export has not ended; wait for its end or use ?force=true",
        )),
        None => Err(Problem::no_such_export()),
    }
}
