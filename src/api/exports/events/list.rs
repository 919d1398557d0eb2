//! `GET /v1/exports/{id}/events`.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::{last_seen, live};
use crate::api::ApiState;
use crate::api::caller::RequestCaller;
use crate::api::path::ExportPath;
use crate::api::problem::Problem;
use crate::api::problem::docs::ByIdProblems;
use crate::api_types::event::EventView;

/// The history of an export, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventList {
    /// The events.
    pub events: Vec<EventView>,
}

/// Get an export's history
///
/// Returns the events, oldest first. With `Accept: text/event-stream` the response is the stream
/// of `GET /v1/exports/{id}/events/stream`; generated clients should use that operation instead.
#[utoipa::path(
    get,
    path = "/v1/exports/{id}/events",
    tag = "Exports",
    security(("bearer" = ["exports:read"])),
    params(
        ("id" = uuid::Uuid, Path, description = "The export's id"),
    ),
    responses((status = 200, description = "The history", body = EventList), ByIdProblems)
)]
pub async fn list_export_events(
    State(state): State<ApiState>,
    ExportPath(id): ExportPath,
    caller: RequestCaller,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let seen = last_seen(&headers, query.as_deref())?;
    let wants_stream = headers
        .get_all(header::ACCEPT)
        .iter()
        .any(|v| v.to_str().is_ok_and(|v| v.contains("text/event-stream")));
    drop(headers); // they keep the connection's read buffer alive
    if wants_stream {
        return live::stream(state, id, &caller, seen).await;
    }
    state
        .store
        .find(id)
        .await?
        .ok_or_else(ExportPath::not_found)?;
    let events = Box::pin(state.store.events_after(id, 0)).await?;
    Ok(Json(EventList {
        events: events.iter().map(EventView::from).collect(),
    })
    .into_response())
}
