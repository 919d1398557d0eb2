//! Waits for the end of an export by its live stream of events, and comes back when the connection
//! breaks or the service restarts.

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

/// The service says something at least every 15 seconds.
const SILENCE: Duration = Duration::from_secs(45);
/// For how long a service that does not answer is waited for.
pub const PATIENCE: Duration = Duration::from_secs(300);
/// Between two connections.
pub const PAUSE: Duration = Duration::from_secs(1);

/// An export as it is.
pub async fn look(session: &Session, id: &str) -> Result<(Answer, Export), ClientError> {
    let answer = session
        .service
        .send(session.service.get(&["v1", "exports", id]))
        .await?;
    let export = answer.read()?;
    Ok((answer, export))
}

/// Waits until the export has ended or the time is over. What it is then, shown as its user wants
/// it.
pub async fn wait_and_show(
    session: &Session,
    id: &str,
    limit: Option<Duration>,
) -> Result<Outcome, ClientError> {
    let (answer, export) = until_end(session, id, limit).await?;
    let outcome = Outcome::of_status(&export.export_status);
    if session.screen.json {
        session.screen.json(&answer.text)?;
    } else {
        session.screen.line(&in_a_sentence(&export))?;
    }
    if outcome == Outcome::StillRunning {
        session.screen.note(&format!(
            "It has not ended within {}.",
            span(limit.unwrap_or_default())
        ));
    }
    Ok(outcome)
}

/// Waits until the export has ended or the time is over.
pub async fn until_end(
    session: &Session,
    id: &str,
    limit: Option<Duration>,
) -> Result<(Answer, Export), ClientError> {
    let (answer, export) = look(session, id).await?;
    if has_ended(&export) {
        return Ok((answer, export));
    }
    let waiting = Waiting::of(&export, session.screen, session.chance.now());
    let ended = match limit {
        None => follow(session, id, &waiting).await,
        Some(limit) => match timeout(limit, follow(session, id, &waiting)).await {
            Ok(ended) => ended,
            Err(_) => look(session, id).await,
        },
    };
    waiting.finish();
    ended
}

/// Whether it is in an end state.
pub fn has_ended(export: &Export) -> bool {
    Outcome::of_status(&export.export_status) != Outcome::StillRunning
}

async fn follow(
    session: &Session,
    id: &str,
    waiting: &Waiting,
) -> Result<(Answer, Export), ClientError> {
    let mut seen = Seen::default();
    let mut lost_at = None::<Instant>;
    loop {
        let tell = |event: &Event, _: &str| {
            waiting.tell(event);
            true
        };
        let error = read_stream(session, id, &mut seen, tell, Some(waiting))
            .await
            .err();
        // However the stream ended: what counts is what the export is.
        let error = match look(session, id).await {
            Ok((answer, export)) if has_ended(&export) => return Ok((answer, export)),
            Ok((_, export)) => {
                waiting.show(&export, session.chance.now());
                error
            }
            Err(error) => Some(error),
        };
        match error {
            None => lost_at = None,
            Some(error)
                if error.may_pass()
                    && lost_at.get_or_insert_with(Instant::now).elapsed() < PATIENCE =>
            {
                waiting.note(&dim("The service does not answer; trying again."));
            }
            Some(error) => return Err(error),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// How far a stream was read.
#[derive(Debug, Default)]
pub struct Seen {
    last_id: String,
}

/// Reads an export's stream of events until it ends or breaks, or `tell` has enough; a stream that
/// breaks is no error.
pub async fn read_stream(
    session: &Session,
    id: &str,
    seen: &mut Seen,
    mut tell: impl FnMut(&Event, &str) -> bool,
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
    while let Ok(Ok(Some(piece))) = timeout(SILENCE, response.chunk()).await {
        let Some(events) = stream.take(&piece) else {
            return Ok(());
        };
        let mut started = false;
        for StreamEvent { id, data } in events {
            seen.last_id = id;
            if let Ok(event) = serde_json::from_str::<Event>(&data) {
                started |= event.kind == "export.started";
                if !tell(&event, &data) {
                    return Ok(());
                }
            }
        }
        // Its estimate counts from AWS's start on.
        if let (true, Some(waiting)) = (started, waiting)
            && let Ok((_, export)) = look(session, id).await
        {
            waiting.show(&export, session.chance.now());
        }
    }
    Ok(())
}

/// Where an export stands, in a sentence or two.
pub fn in_a_sentence(export: &Export) -> String {
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
                "\n  Asking again may help:  tableferry export retry {}",
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
        text += &format!("\n  It is retried as {next}.");
    }
    text
}
