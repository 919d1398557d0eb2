//! `GET /v1/exports/{id}/events`: the history at once, or as a live stream.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, header};
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
use crate::domain::event::Event;
use crate::domain::ids::ExportId;
use crate::domain::timestamp::Timestamp;

/// How long a stream lasts whose caller had to say who it is: a key may have been revoked meanwhile.
const LONGEST_STREAM: Duration = Duration::from_secs(300);

/// Something that happened to an export.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ExportEvent)]
pub struct EventView {
    /// Grows within an export; in a stream it is the event's `id`.
    #[schema(example = 2)]
    pub sequence: i32,
    /// What happened.
    #[schema(example = "export.started")]
    pub r#type: &'static str,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub timestamp: Timestamp,
    /// The status after it.
    #[schema(example = "IN_PROGRESS")]
    pub export_status: &'static str,
    /// What happened, in words.
    pub detail: String,
    /// Who made it happen; null if it was the service, AWS, or somebody who need not say who they are.
    #[schema(required, example = "api_key:orders-team")]
    pub created_by: Option<String>,
}

impl From<&Event> for EventView {
    fn from(event: &Event) -> Self {
        Self {
            sequence: event.sequence,
            r#type: event.kind.as_str(),
            timestamp: event.at,
            export_status: event.status.as_str(),
            detail: event.detail.clone(),
            created_by: event.created_by.as_ref().map(|name| name.as_str().to_owned()),
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
/// Oldest first. With `Accept: text/event-stream` it is a live stream: what happened so far, then what happens, until the export has
/// ended. A client that reconnects with `Last-Event-ID` misses nothing and sees nothing twice. Where callers must say who they are, a
/// stream ends after five minutes, so that they do so again.
#[utoipa::path(
    get,
    path = "/v1/exports/{id}/events",
    tag = "Exports",
    security(("bearer" = ["exports:read"])),
    params(
        ("id" = uuid::Uuid, Path, description = "The export's id"),
        ("Last-Event-ID" = Option<i32>, Header, nullable = false, description = "In a stream: the last event seen", minimum = 0),
    ),
    responses(
        (status = 200, description = "The history", content((EventList = "application/json"), (String = "text/event-stream"))),
        EventsProblems
    )
)]
pub async fn list_events(
    State(state): State<ApiState>,
    IdPath(id): IdPath,
    calling: Calling,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    Query::of(query.as_deref()).finish()?;
    let after = last_event_id(&headers)?;
    let wants_stream = headers.get_all(header::ACCEPT).iter().any(|v| v.to_str().is_ok_and(|v| v.contains("text/event-stream")));
    drop(headers); // they hold the connection's buffer that they were read into
    // Watched before it is read, so that no event falls between.
    let version = state.watcher.watch(id);
    state.watcher.in_turn(|| state.store.find(id)).await?.ok_or_else(Problem::no_such_export)?;
    if wants_stream {
        let until = calling.0.name.is_some().then(|| Instant::now() + LONGEST_STREAM);
        let live = Live { state, id, version, after, until, waiting: VecDeque::new(), ended: false };
        let keep_alive = KeepAlive::new().interval(Duration::from_secs(15)).text("still here");
        return Ok(Sse::new(live.into_stream()).keep_alive(keep_alive).into_response());
    }
    let events = Box::pin(state.store.events_after(id, 0)).await?;
    Ok(Json(EventList { events: events.iter().map(EventView::from).collect() }).into_response())
}

fn last_event_id(headers: &HeaderMap) -> Result<i32, Problem> {
    let Some(value) = headers.get("last-event-id") else { return Ok(0) };
    let sequence = value.to_str().ok().and_then(|text| text.trim().parse().ok()).filter(|n| *n >= 0);
    sequence.ok_or_else(|| Problem::header("Last-Event-ID", "must be the id of an event of this export, a whole number"))
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
            let message = sse::Event::default().id(event.sequence.to_string()).event(event.kind.as_str());
            let message = message.json_data(EventView::from(&event)).unwrap_or_default();
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
            match self.state.watcher.in_turn(|| self.state.store.events_after(self.id, self.after)).await {
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
