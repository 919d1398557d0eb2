//! Waits until an export ends, by its live event stream. Reconnects when the connection breaks or
//! the service restarts.

use std::time::{Duration, Instant};

use reqwest::header::{ACCEPT, HeaderName};
use tokio::time::timeout;

use super::connection::Answer;
use super::error::ClientError;
use super::event_stream::{EventStream, StreamEvent};
use super::exit::Outcome;
use super::progress::{Waiting, dim};
use super::session::Session;
use super::wire::{Event, Export};
use super::words::{between, count, dollars, one_line, size, span};

/// The longest silence on an event stream; the service sends something every 15 seconds.
const MAX_SILENCE: Duration = Duration::from_secs(45);
/// How long to wait for a service that does not answer.
pub const MAX_OUTAGE: Duration = Duration::from_secs(300);
pub const RECONNECT_AFTER: Duration = Duration::from_secs(1);

pub async fn fetch(session: &Session, id: &str) -> Result<(Answer, Export), ClientError> {
    let answer = session
        .service
        .send(session.service.get(&["v1", "exports", id]))
        .await?;
    let export = answer.read()?;
    Ok((answer, export))
}

/// Waits until the export has ended or `limit` is over, then shows it.
pub async fn wait_and_show(
    session: &Session,
    id: &str,
    limit: Option<Duration>,
) -> Result<Outcome, ClientError> {
    let (answer, export) = until_end(session, id, limit).await?;
    let outcome = Outcome::from_status(&export.export_status);
    if session.screen.json {
        session.screen.json(&answer.text)?;
    } else {
        session.screen.line(&summary(&export))?;
    }
    if outcome == Outcome::StillRunning {
        session.screen.note(&format!(
            "The export has not ended within {}; it continues.",
            span(limit.unwrap_or_default())
        ));
    }
    Ok(outcome)
}

/// Waits until the export has ended or `limit` is over.
pub async fn until_end(
    session: &Session,
    id: &str,
    limit: Option<Duration>,
) -> Result<(Answer, Export), ClientError> {
    let (answer, export) = fetch(session, id).await?;
    if has_ended(&export) {
        return Ok((answer, export));
    }
    let waiting = Waiting::start(&export, session.screen, session.clock.now());
    let ended = match limit {
        None => follow(session, id, &waiting).await,
        Some(limit) => match timeout(limit, follow(session, id, &waiting)).await {
            Ok(ended) => ended,
            Err(_) => fetch(session, id).await,
        },
    };
    waiting.finish();
    ended
}

pub fn has_ended(export: &Export) -> bool {
    Outcome::from_status(&export.export_status) != Outcome::StillRunning
}

async fn follow(
    session: &Session,
    id: &str,
    waiting: &Waiting,
) -> Result<(Answer, Export), ClientError> {
    let mut seen = Seen::default();
    let mut lost_at = None::<Instant>;
    loop {
        let show = |event: &Event, _: &str| {
            waiting.show_event(event);
            true
        };
        let error = read_stream(session, id, &mut seen, show, Some(waiting))
            .await
            .err();
        // However the stream ended, the export's current state counts.
        let error = match fetch(session, id).await {
            Ok((answer, export)) if has_ended(&export) => return Ok((answer, export)),
            Ok((_, export)) => {
                waiting.show(&export, session.clock.now());
                error
            }
            Err(error) => Some(error),
        };
        match error {
            None => lost_at = None,
            Some(error)
                if error.is_temporary()
                    && lost_at.get_or_insert_with(Instant::now).elapsed() < MAX_OUTAGE =>
            {
                waiting.note(&dim("The service does not answer; retrying."));
            }
            Some(error) => return Err(error),
        }
        tokio::time::sleep(RECONNECT_AFTER).await;
    }
}

/// The position in an event stream.
#[derive(Debug, Default)]
pub struct Seen {
    last_id: String,
}

/// Reads an export's event stream until it ends or breaks, or `show` returns false. A stream that
/// breaks is not an error.
pub async fn read_stream(
    session: &Session,
    id: &str,
    seen: &mut Seen,
    mut show: impl FnMut(&Event, &str) -> bool,
    waiting: Option<&Waiting>,
) -> Result<(), ClientError> {
    let mut call = session
        .service
        .get(&["v1", "exports", id, "events"])
        .header(ACCEPT, "text/event-stream")?;
    if !seen.last_id.is_empty() {
        call = call.header(HeaderName::from_static("last-event-id"), &seen.last_id)?;
    }
    let mut response = session.service.open(&call).await?;
    let mut stream = EventStream::default();
    while let Ok(Ok(Some(piece))) = timeout(MAX_SILENCE, response.chunk()).await {
        let Some(events) = stream.take(&piece) else {
            return Ok(());
        };
        let mut started = false;
        for StreamEvent { id, data } in events {
            seen.last_id = id;
            if let Ok(event) = serde_json::from_str::<Event>(&data) {
                started |= event.kind == "export.started";
                if !show(&event, &data) {
                    return Ok(());
                }
            }
        }
        // The estimate changes when AWS starts the export.
        if let (true, Some(waiting)) = (started, waiting)
            && let Ok((_, export)) = fetch(session, id).await
        {
            waiting.show(&export, session.clock.now());
        }
    }
    Ok(())
}

/// The export's status and result in a few lines.
pub fn summary(export: &Export) -> String {
    let status = super::screen::status_style(&export.export_status)
        .bold()
        .apply_to(&export.export_status);
    let mut text = format!("{status}  {}", export.id);
    if export.export_status == "COMPLETED" {
        let took = export
            .start_time
            .as_deref()
            .zip(export.end_time.as_deref())
            .and_then(|(start, end)| between(start, end));
        let facts = [
            export
                .item_count
                .map(|items| format!("{} items", count(items))),
            export
                .billed_size_in_bytes
                .map(|bytes| format!("{} billed", size(bytes))),
            export.billed_cost.map(dollars),
            took.map(|took| format!("took {}", span(took))),
        ];
        let facts: Vec<_> = facts.into_iter().flatten().collect();
        text += &format!("  {}", facts.join(", "));
    }
    if let Some(failure) = &export.failure {
        text += &format!(
            "\n  {}: {}",
            one_line(&failure.code),
            one_line(&failure.message)
        );
        if let Some(hint) = &failure.hint {
            text += &format!("\n  {}", one_line(hint));
        }
        if failure.retryable && export.retried_by.is_none() {
            text += &format!(
                "\n  A retry may succeed:  tableferry export retry {}",
                export.id
            );
        }
    } else if let Some(reason) = export
        .status_reason
        .as_deref()
        .filter(|_| export.export_status != "COMPLETED")
    {
        text += &format!("\n  {}", one_line(reason));
    }
    if let Some(next) = &export.retried_by {
        text += &format!("\n  It was retried as {next}.");
    }
    text
}
