//! `DELETE /v1/exports/{id}`.

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;

use crate::api::ApiState;
use crate::api::caller::RequestCaller;
use crate::api::path::ExportPath;
use crate::api::problem::docs::problems;
use crate::api::problem::{Problem, ProblemType};
use crate::api::query::{Query, boolean};

problems!(DeleteProblems = BY_ID, NotEnded);

/// Delete an export's record
///
/// Deletes the record with its history and idempotency key. As with `terraform destroy`, the
/// exported data stays in S3, and AWS is not called.
#[utoipa::path(
    delete,
    path = "/v1/exports/{id}",
    tag = "Exports",
    security(("bearer" = ["exports:write"])),
    params(
        ("id" = uuid::Uuid, Path, description = "The export's id"),
        ("force" = Option<bool>, Query, nullable = false, description = "Delete the record even if the export has not ended. The service then stops following it"),
    ),
    responses((status = 204, description = "Deleted"), DeleteProblems)
)]
pub async fn delete_export(
    State(state): State<ApiState>,
    ExportPath(id): ExportPath,
    caller: RequestCaller,
    RawQuery(query): RawQuery,
) -> Result<StatusCode, Problem> {
    let mut query = Query::from_raw(query.as_deref());
    let force = query.one("force", boolean).unwrap_or(false);
    query.finish()?;
    match state.store.delete(id, force).await? {
        Some(true) => {
            state.signals.export_changed.send();
            tracing::info!(export.id = %id, export.forced = force, caller.name = caller.logged(), "export forgotten");
            Ok(StatusCode::NO_CONTENT)
        }
        Some(false) => Err(Problem::new(
            ProblemType::NotEnded,
            "the export has not ended; wait until it ends, or use ?force=true",
        )),
        None => Err(ExportPath::not_found()),
    }
}
