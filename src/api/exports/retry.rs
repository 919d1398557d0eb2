//! `POST /v1/exports/{id}/retry`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::respond::respond_with_location;
use crate::api::caller::RequestCaller;
use crate::api::path::ExportPath;
use crate::api::problem::docs::problems;
use crate::api::problem::{FieldError, Problem, ProblemType};
use crate::api::query::NoQuery;
use crate::api::{ApiState, trace};
use crate::api_types::export::ExportView;
use crate::domain::export::estimate::{Estimate, estimate};
use crate::domain::export::event::EventKind;
use crate::domain::export::request::{ExportKind, ExportRequest, check_time, check_window};
use crate::domain::lifecycle::retry::{Fresh, check_retryable, new_attempt};
use crate::domain::timestamp::Timestamp;
use crate::store::accept::Acceptance;
use crate::telemetry::metrics_catalog::EXPORT_EVENTS;

problems!(RetryProblems = BY_ID, NotRetryable, ValidationFailed);

/// Retry an export
///
/// Creates a new export with the same request and a new client token. Possible for an export that
/// FAILED, was CANCELLED, or TIMED_OUT before AWS accepted it. The two exports refer to each other
/// in `retry_of` and `retried_by`. The request is safe to repeat: an export can be retried only
/// once, and a second request returns the same new export.
#[utoipa::path(
    post,
    path = "/v1/exports/{id}/retry",
    tag = "Exports",
    security(("bearer" = ["exports:write"])),
    params(("id" = uuid::Uuid, Path, description = "The id of the export to retry")),
    responses(
        (status = 202, description = "The new export was stored and will be started", body = ExportView,
            headers(("Location" = String, description = "The new export's URL"), ("Retry-After" = u32, description = "Seconds to wait before polling again"))),
        (status = 200, description = "The export that already retries this one", body = ExportView,
            headers(("Location" = String, description = "The retrying export's URL"), ("Retry-After" = u32, description = "Seconds to wait before polling again; absent once the export has ended"))),
        RetryProblems
    )
)]
pub async fn retry_export(
    State(state): State<ApiState>,
    ExportPath(id): ExportPath,
    caller: RequestCaller,
    _: NoQuery,
) -> Result<Response, Problem> {
    let export = state
        .store
        .find(id)
        .await?
        .ok_or_else(ExportPath::not_found)?;
    if let Some(known) = state.store.retry_of(id).await? {
        return Ok(respond_with_location(&state, StatusCode::OK, &known, None));
    }
    check_retryable(&export).map_err(|e| Problem::new(ProblemType::NotRetryable, e.to_string()))?;
    let now = state.clock.now();
    let mut next = new_attempt(
        &export,
        Fresh {
            id: state.clock.export_id(),
            token: state.clock.client_token(),
        },
        now,
    );
    check_times(&next.request.kind, now)?;
    next.created_by = caller.name();
    next.trace_parent = trace::current();
    next.estimate = Some(
        expected(
            &state,
            &next.request,
            export.estimate.and_then(|estimate| estimate.size_bytes),
        )
        .await?,
    );
    let detail = format!("attempt {}, after {id}", next.attempt.number);
    match state
        .store
        .accept(&next, None, EventKind::Created, &detail)
        .await?
    {
        Acceptance::Known(known) => Ok(respond_with_location(&state, StatusCode::OK, &known, None)),
        _ => {
            metrics::counter!(EXPORT_EVENTS, "type" => EventKind::Created.as_str()).increment(1);
            tracing::info!(export.id = %next.id, export.retry_of = %id, caller.name = caller.logged(), "export accepted");
            state.signals.export_due.send();
            Ok(respond_with_location(
                &state,
                StatusCode::ACCEPTED,
                &next,
                None,
            ))
        }
    }
}

/// The estimate of an export that is accepted now.
async fn expected(
    state: &ApiState,
    request: &ExportRequest,
    table_size_bytes: Option<i64>,
) -> Result<Estimate, Problem> {
    let past = state.store.past_exports(request, table_size_bytes).await?;
    Ok(estimate(
        &request.kind,
        &past,
        table_size_bytes,
        state.prices.per_gb(request.table_arn.region()),
    ))
}

/// The times of the request may be too old by now.
fn check_times(kind: &ExportKind, now: Timestamp) -> Result<(), Problem> {
    let mut errors = Vec::new();
    let mut check = |pointer: &str, result: Result<(), _>| {
        errors.extend(result.err().map(|e| FieldError::new(pointer, &e)))
    };
    match kind {
        ExportKind::Full { export_time: None } => {}
        ExportKind::Full {
            export_time: Some(time),
        } => check("/export_time", check_time(*time, now).map(drop)),
        ExportKind::Incremental { from, to, .. } => {
            let at = |field: &str| format!("/incremental_export_specification/{field}");
            check(&at("export_from_time"), check_time(*from, now).map(drop));
            check(
                &at(if to.is_some() {
                    "export_to_time"
                } else {
                    "export_from_time"
                }),
                check_window(*from, *to, now),
            );
        }
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Problem::invalid_fields(errors))
    }
}
