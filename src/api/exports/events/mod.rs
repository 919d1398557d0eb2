//! `GET /v1/exports/{id}/events`: the history of an export, at once or as a live stream.

pub mod list;
mod live;
pub mod stream;

use axum::http::HeaderMap;

use crate::api::problem::Problem;
use crate::api::query::Query;
use crate::domain::invalid::Invalid;

/// The last event that the client has seen: by the header that browsers send when they reconnect,
/// or by the parameter that other clients send instead. Empty means none, as in the standard.
fn last_seen(headers: &HeaderMap, query: Option<&str>) -> Result<Option<i32>, Problem> {
    let mut query = Query::from_raw(query);
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

/// `None` if it is malformed, `Some(None)` if it is empty.
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
