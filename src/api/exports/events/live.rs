//! A live stream of one export's events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::{self, Stream};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::api::ApiState;
use crate::api::caller::RequestCaller;
use crate::api::path::ExportPath;
use crate::api::problem::Problem;
use crate::api::watch::GONE;
use crate::api_types::event::EventView;
use crate::domain::export::event::Event;
use crate::domain::ids::ExportId;

/// How long a stream lasts if callers must authenticate: a key may have been revoked meanwhile.
const LONGEST_STREAM: Duration = Duration::from_secs(300);

/// Tells nginx not to buffer a response.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Answers with the events after the last one that the client has seen.
pub(super) async fn stream(
    state: ApiState,
    id: ExportId,
    caller: &RequestCaller,
    seen: Option<i32>,
) -> Result<Response, Problem> {
    // Watched before it is read, so that no event is missed.
    let version = state.watcher.watch(id);
    let export = state
        .watcher
        .in_turn(|| state.store.find(id))
        .await?
        .ok_or_else(ExportPath::not_found)?;
    // An event's sequence is the version of the export after it.
    if export.status().is_end() && seen.is_some_and(|seen| seen >= export.version) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let until = caller
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
    // nginx would buffer everything, including the headers, until the stream ends. Other proxies
    // must not change or cache it.
    response
        .headers_mut()
        .insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response.headers_mut().insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-transform"),
    );
    Ok(response)
}

/// Waits until this time, or forever.
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
    /// When the stream ends, so that its caller authenticates again.
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
                    () = self.state.signals.stopping.cancelled() => return None,
                },
                // The database is unavailable: the stream stays open and tries again.
                Err(_) => tokio::select! {
                    () = tokio::time::sleep(Duration::from_secs(1)) => {}
                    () = self.state.signals.stopping.cancelled() => return None,
                },
            }
        }
    }

    /// A client may reconnect after the last event.
    async fn has_ended(&self) -> bool {
        matches!(self.state.watcher.in_turn(|| self.state.store.find(self.id)).await, Ok(export) if export.as_ref().is_none_or(|e| e.status().is_end()))
    }
}
