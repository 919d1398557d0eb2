//! `POST /v1/exports/{id}/cancel`.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};

use super::IdPath;
use crate::api::ApiState;
use crate::api::guard::Calling;
use crate::api::problem::{Problem, ProblemType};
use crate::api::problem_docs::problems;
use crate::api::query::Query;
use crate::domain::event::EventKind;
use crate::domain::export::{Export, ExportStatus};
use crate::domain::step;
use crate::domain::view::ExportView;
use crate::telemetry::metrics_catalog::EXPORT_EVENTS;

problems! {
    /// What can go wrong.
    CancelProblems: InvalidParameter, NotFound, NotCancellable, Internal, Unavailable
}

/// Cancel an export that AWS has not accepted
///
/// Possible while it is PENDING and no start is on its way to AWS: AWS has no call that stops an
/// export.
#[utoipa::path(
    post,
    path = "/v1/exports/{id}/cancel",
    tag = "Exports",
    security(("bearer" = ["exports:write"])),
    params(("id" = uuid::Uuid, Path, description = "The export's id")),
    responses((status = 200, description = "Cancelled; AWS is not asked any more", body = ExportView), CancelProblems)
)]
pub async fn cancel_export(
    State(state): State<ApiState>,
    IdPath(id): IdPath,
    calling: Calling,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    Query::of(query.as_deref()).finish()?;
    let now = state.chance.now();
    let cancel = |export: &Export| step::cancel(export, now);
    let cancelled = state
        .store
        .cancel(
            id,
            cancel,
            calling.name().as_ref(),
            state.chance.delivery_id(),
        )
        .await?
        .ok_or_else(Problem::no_such_export)?;
    match cancelled {
        Ok(export) => {
            state.exports_changed.notify_waiters();
            state.deliveries_due.notify_one();
            metrics::counter!(EXPORT_EVENTS, "type" => EventKind::Cancelled.as_str()).increment(1);
            tracing::info!(export.id = %export.id, caller.name = calling.logged(), "export cancelled");
            Ok(Json(ExportView::from(&export)).into_response())
        }
        Err(export) if export.status() == ExportStatus::Pending => {
            let detail = "the export is PENDING, but its start is on its way to AWS, or was sent without our hearing the answer; look again in a moment";
            Err(Problem::new(ProblemType::NotCancellable, detail))
        }
        Err(export) => Err(Problem::new(
            ProblemType::NotCancellable,
            format!("the export is {}", export.status().as_str()),
        )),
    }
}
