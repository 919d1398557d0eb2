//! Responses with an export, at once or after waiting for its end.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use crate::api::ApiState;
use crate::api::limits::now_waits;
use crate::api::prefer::{PREFERENCE_APPLIED, applied, held_for};
use crate::api::problem::Problem;
use crate::api_types::export::ExportView;
use crate::domain::export::Export;
use crate::domain::ids::ExportId;

/// Answers with the export: `Retry-After` until it has ended, `Preference-Applied` if the caller's
/// wait was used. Never fails, because a stored export must not be reported as lost.
pub(super) fn respond(
    state: &ApiState,
    status: StatusCode,
    export: &Export,
    waited: Option<Duration>,
) -> Response {
    let mut response = (status, Json(ExportView::from(export))).into_response();
    if !export.status().is_end() {
        // Like the workers: a tenth of its age.
        let age = state.clock.now().since(export.created_at);
        response.headers_mut().insert(
            header::RETRY_AFTER,
            (age.as_secs() / 10).clamp(1, 30).into(),
        );
    }
    if let Some(wait) = waited {
        response
            .headers_mut()
            .insert(PREFERENCE_APPLIED, applied(wait));
    }
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The same, with the export's URL in `Location`.
pub(super) fn respond_with_location(
    state: &ApiState,
    status: StatusCode,
    export: &Export,
    waited: Option<Duration>,
) -> Response {
    let mut response = respond(state, status, export, waited);
    if let Ok(location) = HeaderValue::try_from(format!("/v1/exports/{}", export.id)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// Returns the export once it has ended, `wait` has passed, or the process stops; `None` if it does
/// not exist.
pub(super) async fn wait_for_end(
    state: &ApiState,
    id: ExportId,
    wait: Duration,
) -> Result<Option<Export>, Problem> {
    let deadline = tokio::time::Instant::now() + held_for(wait);
    // Watched before it is read, so that no change is missed.
    let mut version = state.watcher.watch(id);
    loop {
        version.mark_unchanged();
        // Only the version is kept, because many requests wait and each export is large.
        let known = match state.watcher.in_turn(|| state.store.find(id)).await? {
            Some(export) if !export.status().is_end() => export.version,
            ended => return Ok(ended),
        };
        now_waits();
        let changed = async {
            loop {
                if version.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
                if *version.borrow_and_update() != known {
                    return;
                }
            }
        };
        tokio::select! {
            () = changed => {}
            () = tokio::time::sleep_until(deadline) => break,
            () = state.signals.stopping.cancelled() => break,
        }
    }
    Ok(state.watcher.in_turn(|| state.store.find(id)).await?)
}
