//! Answers with an export, now or after waiting for its end.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use crate::api::ApiState;
use crate::api::limits::now_waits;
use crate::api::prefer::{PREFERENCE_APPLIED, applied, held_for};
use crate::api::problem::Problem;
use crate::domain::export::Export;
use crate::domain::ids::ExportId;
use crate::domain::view::ExportView;

/// Answers with the export: `Retry-After` while it has not ended, `Preference-Applied` if the
/// caller's wait was honoured. Never fails: what was stored must not be reported as lost.
pub(super) fn respond(
    state: &ApiState,
    status: StatusCode,
    export: &Export,
    waited: Option<Duration>,
) -> Response {
    let mut response = (status, Json(ExportView::from(export))).into_response();
    if !export.status().is_end() {
        // As workers do: a tenth of its age.
        let age = state.chance.now().since(export.created_at);
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

/// The export when it has ended, when `wait` has passed, or when the process stops; `None` when
/// there is none (any more).
pub(super) async fn wait_for_end(
    state: &ApiState,
    id: ExportId,
    wait: Duration,
) -> Result<Option<Export>, Problem> {
    let deadline = tokio::time::Instant::now() + held_for(wait);
    // Watched before it is read, so that no change falls between.
    let mut version = state.watcher.watch(id);
    loop {
        version.mark_unchanged();
        // Only the version is kept: many wait, and each export is large.
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
            () = state.stopping.cancelled() => break,
        }
    }
    Ok(state.watcher.in_turn(|| state.store.find(id)).await?)
}
