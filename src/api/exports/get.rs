//! `GET /v1/exports/{id}`.

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::IdPath;
use super::respond::{respond, wait_for_end};
use crate::api::ApiState;
use crate::api::prefer::Wait;
use crate::api::problem::Problem;
use crate::api::problem_docs::problems;
use crate::api::query::Query;
use crate::domain::view::ExportView;

problems! {
    /// What can go wrong.
    GetProblems: InvalidParameter, NotFound, Internal, Unavailable
}

/// Get an export
///
/// With `Prefer: wait=N` the answer comes when the export has ended, or after N seconds with what
/// it is then.
#[utoipa::path(
    get,
    path = "/v1/exports/{id}",
    tag = "Exports",
    security(("bearer" = ["exports:read"])),
    params(
        ("id" = uuid::Uuid, Path, description = "The export's id"),
        ("Prefer" = Option<String>, Header, nullable = false, description = "`wait=N`: wait up to N seconds (at most 50, unless the operator has set another maximum; `Preference-Applied` says what was honoured) for the end"),
    ),
    responses(
        (status = 200, description = "The export as it stands", body = ExportView,
            headers(
                ("Retry-After" = u32, description = "Seconds to wait before polling again; absent once the export has ended"),
                ("Preference-Applied" = String, description = "The wait that was honoured"),
            )),
        GetProblems
    )
)]
pub async fn get_export(
    State(state): State<ApiState>,
    IdPath(id): IdPath,
    RawQuery(query): RawQuery,
    Wait(waited): Wait,
) -> Result<Response, Problem> {
    Query::of(query.as_deref()).finish()?;
    let export = match waited {
        Some(wait) => wait_for_end(&state, id, wait).await?,
        None => Box::pin(state.store.find(id)).await?,
    };
    let export = export.ok_or_else(Problem::no_such_export)?;
    Ok(respond(&state, StatusCode::OK, &export, waited))
}
