//! `GET /v1/exports/{id}`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::respond::{respond, wait_for_end};
use crate::api::ApiState;
use crate::api::path::ExportPath;
use crate::api::prefer::Wait;
use crate::api::problem::Problem;
use crate::api::problem::docs::ByIdProblems;
use crate::api::query::NoQuery;
use crate::api_types::export::ExportView;

/// Get an export
///
/// With `Prefer: wait=N` the response is sent when the export ends, or after N seconds.
#[utoipa::path(
    get,
    path = "/v1/exports/{id}",
    tag = "Exports",
    security(("bearer" = ["exports:read"])),
    params(
        ("id" = uuid::Uuid, Path, description = "The export's id"),
        ("Prefer" = Option<String>, Header, nullable = false, description = "`wait=N`: wait up to N seconds for the export to end, at most 50 unless the operator has set another maximum. `Preference-Applied` gives the wait that was used"),
    ),
    responses(
        (status = 200, description = "The export", body = ExportView,
            headers(
                ("Retry-After" = u32, description = "Seconds to wait before polling again; absent once the export has ended"),
                ("Preference-Applied" = String, description = "The wait that was used"),
            )),
        ByIdProblems
    )
)]
pub async fn get_export(
    State(state): State<ApiState>,
    ExportPath(id): ExportPath,
    _: NoQuery,
    Wait(waited): Wait,
) -> Result<Response, Problem> {
    let export = match waited {
        Some(wait) => wait_for_end(&state, id, wait).await?,
        None => Box::pin(state.store.find(id)).await?,
    };
    let export = export.ok_or_else(ExportPath::not_found)?;
    Ok(respond(&state, StatusCode::OK, &export, waited))
}
