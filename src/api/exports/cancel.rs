//! `POST /v1/exports/{id}/cancel`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};

use crate::api::ApiState;
use crate::api::caller::RequestCaller;
use crate::api::path::ExportPath;
use crate::api::problem::docs::problems;
use crate::api::problem::{Problem, ProblemType};
use crate::api::query::NoQuery;
use crate::api_types::export::ExportView;
use crate::domain::export::event::EventKind;
use crate::domain::export::{Export, ExportStatus};
use crate::domain::lifecycle::transition;
use crate::telemetry::metrics_catalog::EXPORT_EVENTS;

problems!(CancelProblems = BY_ID, NotCancellable);

/// Cancel an export that AWS has not accepted
///
/// Possible only while the export is PENDING and no start request is being sent to AWS. AWS cannot
/// stop an export that it has accepted.
#[utoipa::path(
    post,
    path = "/v1/exports/{id}/cancel",
    tag = "Exports",
    security(("bearer" = ["exports:write"])),
    params(("id" = uuid::Uuid, Path, description = "The export's id")),
    responses((status = 200, description = "The export is cancelled and will not be started", body = ExportView), CancelProblems)
)]
pub async fn cancel_export(
    State(state): State<ApiState>,
    ExportPath(id): ExportPath,
    caller: RequestCaller,
    _: NoQuery,
) -> Result<Response, Problem> {
    let now = state.clock.now();
    let cancel = |export: &Export| transition::cancel(export, now);
    let cancelled = state
        .store
        .cancel(
            id,
            cancel,
            caller.name().as_ref(),
            state.clock.delivery_id(),
        )
        .await?
        .ok_or_else(ExportPath::not_found)?;
    match cancelled {
        Ok(export) => {
            state.signals.export_changed.send();
            state.signals.delivery_due.send();
            metrics::counter!(EXPORT_EVENTS, "type" => EventKind::Cancelled.as_str()).increment(1);
            tracing::info!(export.id = %export.id, caller.name = caller.logged(), "export cancelled");
            Ok(Json(ExportView::from(&export)).into_response())
        }
        Err(export) if export.status() == ExportStatus::Pending => {
            let detail = "the export is PENDING, but a start request is being sent to AWS, or was sent and its answer was lost; try again in a moment";
            Err(Problem::new(ProblemType::NotCancellable, detail))
        }
        Err(export) => Err(Problem::new(
            ProblemType::NotCancellable,
            format!("the export is {}", export.status().as_str()),
        )),
    }
}
