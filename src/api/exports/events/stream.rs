//! `GET /v1/exports/{id}/events/stream`.

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;

use super::{last_seen, live};
use crate::api::ApiState;
use crate::api::caller::RequestCaller;
use crate::api::path::ExportPath;
use crate::api::problem::Problem;
use crate::api::problem::docs::ByIdProblems;
use crate::api_types::event::EventView;

/// Follow an export live
///
/// A stream of server-sent events: first the past events, then new ones until the export ends. The
/// `data` of each is an `ExportEvent`, its `id` is the event's `sequence`, and its `event` is the
/// type. A client that reconnects with `Last-Event-ID` gets every event exactly once. If the export
/// has ended and the client has seen the last event, the response is 204, which stops a browser's
/// `EventSource`. If callers must authenticate, the service closes a stream after five minutes, so
/// that the client reconnects and authenticates again.
#[utoipa::path(
    get,
    path = "/v1/exports/{id}/events/stream",
    tag = "Exports",
    security(("bearer" = ["exports:read"])),
    params(
        ("id" = uuid::Uuid, Path, description = "The export's id"),
        ("Last-Event-ID" = Option<i32>, Header, nullable = false, description = "The `id` of the last event seen", minimum = 0),
        ("lastEventId" = Option<i32>, Query, nullable = false, description = "The same, for clients that cannot set a header", minimum = 0),
    ),
    responses(
        (status = 200, description = "The events", body = EventView, content_type = "text/event-stream"),
        (status = 204, description = "The export has ended, and the client has seen its last event"),
        ByIdProblems
    )
)]
pub async fn stream_export_events(
    State(state): State<ApiState>,
    ExportPath(id): ExportPath,
    caller: RequestCaller,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let seen = last_seen(&headers, query.as_deref())?;
    drop(headers); // they keep the connection's read buffer alive
    live::stream(state, id, &caller, seen).await
}
