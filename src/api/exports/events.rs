//! `GET /v1/exports/{id}/events`: the history at once, or as a live stream.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::{self, Stream};
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::IdPath;
use crate::api::ApiState;
use crate::api::guard::Calling;
use crate::api::problem::Problem;
use crate::api::problem_docs::problems;
use crate::api::query::Query;
use crate::api::watch::GONE;
use crate::domain::event::{Event, EventKind};
use crate::domain::export::ExportStatus;
use crate::domain::ids::ExportId;
use crate::domain::invalid::Invalid;
use crate::domain::timestamp::Timestamp;

/// How long a stream lasts whose caller had to say who it is: a key may have been revoked
/// meanwhile.
const LONGEST_STREAM: Duration = Duration::from_secs(300);

/// Tells nginx not to buffer an answer.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Something that happened to an export.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ExportEvent)]
pub struct EventView {
    /// Grows within an export; in a stream it is the event's `id`.
    #[schema(example = 2)]
    pub sequence: i32,
    /// What happened.
    pub r#type: EventKind,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub timestamp: Timestamp,
    /// The status after it.
    pub export_status: ExportStatus,
    /// What happened, in words.
    pub detail: String,
    /// Who made it happen; null if it was the service, AWS, or somebody who need not say who they
    /// are.
    #[schema(required, example = "api_key:orders-team")]
    pub created_by: Option<String>,
}

impl From<&Event> for EventView {
    fn from(event: &Event) -> Self {
        Self {
            sequence: event.sequence,
            r#type: event.kind,
            timestamp: event.at,
            export_status: event.status,
            detail: event.detail.clone(),
            created_by: event
                .created_by
                .as_ref()
                .map(|name| name.as_str().to_owned()),
        }
    }
}

/// The history of an export, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventList {
    /// What happened.
    pub events: Vec<EventView>,
}

problems! {
    /// What can go wrong.
    EventsProblems: InvalidParameter, NotFound, Internal, Unavailable
}

/// Get an export's history
///
/// Oldest first. With `Accept: text/event-stream` the answer is that of `GET
/// /v1/exports/{id}/events/stream`, which is the call for generated clients.
#[utoipa::path(
    get,
    path = "/v1/exports/{id}/events",
    tag = "Exports",
    security(("bearer" = ["exports:read"])),
    params(
        ("id" = uuid::Uuid, Path, description = "The export's id"),
    ),
    responses((status = 200, description = "The history", body = EventList), EventsProblems)
)]
pub async fn list_export_events(
    State(state): State<ApiState>,
    IdPath(id): IdPath,
    calling: Calling,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let seen = last_seen(&headers, query.as_deref())?;
    let wants_stream = headers
        .get_all(header::ACCEPT)
        .iter()
        .any(|v| v.to_str().is_ok_and(|v| v.contains("text/event-stream")));
    drop(headers); // they hold the connection's buffer that they were read into
    if wants_stream {
        return stream(state, id, &calling, seen).await;
    }
    state
        .store
        .find(id)
        .await?
        .ok_or_else(Problem::no_such_export)?;
    let events = Box::pin(state.store.events_after(id, 0)).await?;
    Ok(Json(EventList {
        events: events.iter().map(EventView::from).collect(),
    })
    .into_response())
}

/// Follow an export live
///
/// Server-sent events: what happened so far, then what happens, until the export has ended. The
/// `data` of each is an `ExportEvent`, its `id` the event's `sequence`, its `event` the type. A
/// client that reconnects with `Last-Event-ID` misses nothing and sees nothing twice; once the
/// export has ended and everything was seen the answer is 204, at which browsers' `EventSource`
/// stops. Where callers must authenticate, a stream ends after five minutes, so that they do so
/// again.
#[utoipa::path(
    get,
    path = "/v1/exports/{id}/events/stream",
    tag = "Exports",
    security(("bearer" = ["exports:read"])),
    params(
        ("id" = uuid::Uuid, Path, description = "The export's id"),
        ("Last-Event-ID" = Option<i32>, Header, nullable = false, description = "The last event seen", minimum = 0),
        ("lastEventId" = Option<i32>, Query, nullable = false, description = "The same, for clients that cannot set a header", minimum = 0),
    ),
    responses(
        (status = 200, description = "The events", body = EventView, content_type = "text/event-stream"),
        (status = 204, description = "The export has ended, and its last event has been seen"),
        EventsProblems
    )
)]
pub async fn stream_export_events(
    State(state): State<ApiState>,
    IdPath(id): IdPath,
    calling: Calling,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let seen = last_seen(&headers, query.as_deref())?;
    drop(headers); // they hold the connection's buffer that they were read into
    stream(state, id, &calling, seen).await
}

/// A live stream after the event that was seen last.
async fn stream(
    state: ApiState,
    id: ExportId,
    calling: &Calling,
    seen: Option<i32>,
) -> Result<Response, Problem> {
    // Watched before it is read, so that no event falls between.
    let version = state.watcher.watch(id);
    let export = state
        .watcher
        .in_turn(|| state.store.find(id))
        .await?
        .ok_or_else(Problem::no_such_export)?;
    // An event is the version that it led to.
    if export.status().is_end() && seen.is_some_and(|seen| seen >= export.version) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let until = calling
        .0
        .name
        .is_some()
        .then(|| Instant::now() + LONGEST_STREAM);
    let live = Live {
        state,
        id,
        version,
        after: seen.unwrap_or(0),
        until,
        waiting: VecDeque::new(),
        ended: false,
    };
    let keep_alive = KeepAlive::new()
        .interval(Duration::from_secs(15))
        .text("still here");
    let mut response = Sse::new(live.into_stream())
        .keep_alive(keep_alive)
        .into_response();
    // nginx would hold back everything, the head included, until the stream ends. Others must not
    // change or keep it.
    response
        .headers_mut()
        .insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response.headers_mut().insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-transform"),
    );
    Ok(response)
}

/// The last event that a client has seen, by the header that browsers send when they reconnect, or
/// by the parameter that others send instead. Empty counts as none, as in the standard.
fn last_seen(headers: &HeaderMap, query: Option<&str>) -> Result<Option<i32>, Problem> {
    let mut query = Query::of(query);
    let parameter = query.one("lastEventId", |text| {
        read_event_id(text).ok_or_else(|| Invalid::new(EVENT_ID))
    });
    query.finish()?;
    let header = match headers.get("last-event-id") {
        Some(value) => value
            .to_str()
            .ok()
            .and_then(read_event_id)
            .ok_or_else(|| Problem::header("Last-Event-ID", EVENT_ID))?,
        None => None,
    };
    Ok(header.or(parameter.flatten()))
}

const EVENT_ID: &str = "must be the id of an event of this export, a whole number";

/// `None` if it is malformed.
fn read_event_id(text: &str) -> Option<Option<i32>> {
    match text.trim() {
        "" => Some(None),
        text => text
            .parse()
            .ok()
            .filter(|sequence| *sequence >= 0)
            .map(Some),
    }
}

/// That time; never, if there is none.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// A live stream of one export's events.
struct Live {
    state: ApiState,
    id: ExportId,
    version: watch::Receiver<i32>,
    after: i32,
    /// When its caller must come again, and say anew who it is.
    until: Option<Instant>,
    waiting: VecDeque<Event>,
    ended: bool,
}

impl Live {
    fn into_stream(self) -> impl Stream<Item = Result<sse::Event, Infallible>> {
        stream::unfold(self, |mut live| async move {
            let event = live.next().await?;
            let message = sse::Event::default()
                .id(event.sequence.to_string())
                .event(event.kind.as_str());
            let message = message
                .json_data(EventView::from(&event))
                .unwrap_or_default();
            Some((Ok(message), live))
        })
    }

    /// The next event; `None` when the export has ended or is gone, or the process stops.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                self.after = event.sequence;
                self.ended = event.status.is_end();
                return Some(event);
            }
            if self.until.is_some_and(|until| until <= Instant::now()) {
                return None;
            }
            if self.ended || *self.version.borrow_and_update() == GONE {
                return None;
            }
            self.waiting.shrink_to_fit();
            match self
                .state
                .watcher
                .in_turn(|| self.state.store.events_after(self.id, self.after))
                .await
            {
                Ok(events) if !events.is_empty() => self.waiting = events.into(),
                Ok(_) if self.has_ended().await => return None,
                Ok(_) => tokio::select! {
                    changed = self.version.changed() => changed.ok()?,
                    () = at(self.until) => {}
                    () = self.state.stopping.cancelled() => return None,
                },
                // The database is away: the stream stays open and looks again by itself.
                Err(_) => tokio::select! {
                    () = tokio::time::sleep(Duration::from_secs(1)) => {}
                    () = self.state.stopping.cancelled() => return None,
                },
            }
        }
    }

    /// A client may come back after the last event.
    async fn has_ended(&self) -> bool {
        matches!(self.state.watcher.in_turn(|| self.state.store.find(self.id)).await, Ok(export) if export.as_ref().is_none_or(|e| e.status().is_end()))
    }
}
