//! `tableferry webhook list`, `get` and `delete`.

use reqwest::Method;
use uuid::Uuid;

use crate::connection::Answer;
use crate::error::ClientError;
use crate::exit::Outcome;
use crate::pages::HowMuch;
use crate::screen::{status_cell, status_style};
use crate::session::Session;
use crate::table::{Table, column};
use crate::wire::Endpoint;
use crate::words::{ago, clean, one_line, time};

pub(super) async fn list(session: &Session, how_much: HowMuch) -> Result<Outcome, ClientError> {
    let columns = [
        column("ID"),
        column("STATE"),
        column("URL"),
        column("EVENTS").rank(2),
        column("CREATED").rank(1),
    ];
    let now = session.clock.now();
    let row = |endpoint: &Endpoint| {
        vec![
            one_line(&endpoint.id).into(),
            status_cell(state(endpoint)),
            one_line(&endpoint.url).into(),
            events(endpoint).into(),
            ago(&endpoint.created_at, now).into(),
        ]
    };
    let call = session.service.get(&["v1", "webhook-endpoints"]);
    how_much
        .show(
            session,
            call,
            "webhook_endpoints",
            Table::new(&columns),
            row,
        )
        .await?;
    Ok(Outcome::Done)
}

pub(super) async fn get(session: &Session, id: Uuid) -> Result<Outcome, ClientError> {
    let answer = session
        .service
        .send(
            session
                .service
                .get(&["v1", "webhook-endpoints", &id.to_string()]),
        )
        .await?;
    show(session, &answer)?;
    Ok(Outcome::Done)
}

pub(super) async fn delete(session: &Session, id: Uuid) -> Result<Outcome, ClientError> {
    session
        .service
        .send(session.service.call(
            Method::DELETE,
            &["v1", "webhook-endpoints", &id.to_string()],
        ))
        .await?;
    session.screen.note(&format!("Deleted endpoint {id}."));
    Ok(Outcome::Done)
}

/// Shows an endpoint, and its secret if that is new.
pub(super) fn show(session: &Session, answer: &Answer) -> Result<(), ClientError> {
    if session.screen.json {
        return Ok(session.screen.json(&answer.text)?);
    }
    let endpoint: Endpoint = answer.read()?;
    let text = |text: &Option<String>| text.as_deref().map(clean);
    let labels = endpoint
        .labels
        .iter()
        .map(|(key, value)| format!("{}={}", clean(key), clean(value)))
        .collect::<Vec<_>>()
        .join(", ");
    let headers = endpoint
        .header_names
        .iter()
        .map(|name| clean(name))
        .collect::<Vec<_>>()
        .join(", ");
    let given = |text: String| (!text.is_empty()).then_some(text);
    session.screen.fields(&[
        ("Endpoint", Some(clean(&endpoint.id))),
        ("URL", Some(clean(&endpoint.url))),
        (
            "State",
            Some(
                status_style(state(&endpoint))
                    .apply_to(state(&endpoint))
                    .to_string(),
            ),
        ),
        ("Reason", text(&endpoint.disabled_reason)),
        ("Failing since", endpoint.failing_since.as_deref().map(time)),
        ("Description", text(&endpoint.description)),
        ("Events", Some(events(&endpoint))),
        ("Labels", given(labels)),
        ("Headers", given(headers)),
        ("Created", Some(time(&endpoint.created_at))),
        ("Secret", text(&endpoint.secret)),
    ])?;
    if endpoint.secret.is_some() {
        session
            .screen
            .note("\nStore the secret now: it will not be shown again.");
    }
    Ok(())
}

fn state(endpoint: &Endpoint) -> &'static str {
    match (endpoint.disabled, &endpoint.failing_since) {
        (true, _) => "disabled",
        (false, Some(_)) => "failing",
        (false, None) => "enabled",
    }
}

fn events(endpoint: &Endpoint) -> String {
    let named: Vec<_> = endpoint
        .event_types
        .iter()
        .map(|kind| one_line(kind))
        .collect();
    if named.is_empty() {
        "all".to_owned()
    } else {
        named.join(", ")
    }
}
