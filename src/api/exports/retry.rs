//! `POST /v1/exports/{id}/retry`.

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::IdPath;
use super::create::expected;
use super::respond::respond_with_location;
use crate::api::guard::Calling;
use crate::api::problem::{FieldError, Problem, ProblemType};
use crate::api::problem_docs::problems;
use crate::api::query::Query;
use crate::api::{ApiState, trace};
use crate::domain::event::EventKind;
use crate::domain::request::{ExportKind, check_time, check_window};
use crate::domain::retry::{Fresh, again, check_retryable};
use crate::domain::timestamp::Timestamp;
use crate::domain::view::ExportView;
use crate::store::accept::Acceptance;
use crate::telemetry::metrics_catalog::EXPORT_EVENTS;

problems! {
    /// What can go wrong.
    RetryProblems: InvalidParameter, NotFound, NotRetryable, ValidationFailed, Internal, Unavailable
}

/// Ask again for an export that came to nothing
///
/// Makes a new export of the same request, with a token of its own, of one that FAILED, was
/// CANCELLED, or TIMED_OUT before AWS accepted it. The two name each other in `retry_of` and
/// `retried_by`. Safe to repeat: an export is retried once, and the same call answers the same new
/// export.
#[utoipa::path(
    post,
    path = "/v1/exports/{id}/retry",
    tag = "Exports",
    security(("bearer" = ["exports:write"])),
    params(("id" = uuid::Uuid, Path, description = "The id of the export that came to nothing")),
    responses(
        (status = 202, description = "Accepted: a new export", body = ExportView,
            headers(("Location" = String, description = "The new export's URL"), ("Retry-After" = u32, description = "Seconds to wait before polling again"))),
        (status = 200, description = "It was retried before: the export that repeats it", body = ExportView,
            headers(("Location" = String, description = "That export's URL"), ("Retry-After" = u32, description = "Seconds to wait before polling again; absent once the export has ended"))),
        RetryProblems
    )
)]
pub async fn retry_export(
    State(state): State<ApiState>,
    IdPath(id): IdPath,
    calling: Calling,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    Query::of(query.as_deref()).finish()?;
    let export = state
        .store
        .find(id)
        .await?
        .ok_or_else(Problem::no_such_export)?;
    if let Some(known) = state.store.retry_of(id).await? {
        return Ok(respond_with_location(&state, StatusCode::OK, &known, None));
    }
    check_retryable(&export).map_err(|e| Problem::new(ProblemType::NotRetryable, e.to_string()))?;
    let now = state.chance.now();
    let mut next = again(
        &export,
        Fresh {
            id: state.chance.export_id(),
            token: state.chance.client_token(),
        },
        now,
    );
    check_times(&next.request.kind, now)?;
    next.created_by = calling.name();
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
            tracing::info!(export.id = %next.id, export.retry_of = %id, caller.name = calling.logged(), "export accepted");
            state.exports_due.notify_one();
            Ok(respond_with_location(
                &state,
                StatusCode::ACCEPTED,
                &next,
                None,
            ))
        }
    }
}

/// Times age: what was right when the export was first asked for may be out of reach by now.
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
        Err(Problem::with_errors(ProblemType::ValidationFailed, errors))
    }
}
