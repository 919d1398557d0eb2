//! A webhook receiver for the sample export. It verifies signatures, as every receiver should.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::{DevError, places};
use crate::domain::webhook::secret::WebhookSecret;
use crate::webhooks::sign;

#[derive(Debug)]
pub struct Receiver {
    pub url: String,
    /// A line per webhook.
    pub received: tokio::sync::Mutex<mpsc::UnboundedReceiver<String>>,
}

#[derive(Clone)]
struct Inbox {
    secret: Option<WebhookSecret>,
    lines: mpsc::UnboundedSender<String>,
}

/// Starts a receiver on a free port.
pub async fn start(secret: Option<WebhookSecret>) -> Result<Receiver, DevError> {
    let bound = TcpListener::bind("127.0.0.1:0").await;
    let listener = bound.map_err(|source| DevError::Machine {
        what: "no port is free for the webhook receiver",
        source,
    })?;
    let url = places::url_of(&listener)? + "/hook";
    let (lines, received) = mpsc::unbounded_channel();
    let router = Router::new()
        .route("/hook", post(receive))
        .with_state(Inbox { secret, lines });
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(Receiver {
        url,
        received: tokio::sync::Mutex::new(received),
    })
}

async fn receive(State(inbox): State<Inbox>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name: &str| {
        headers
            .get(name)
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default()
    };
    let (id, timestamp, signature) = (
        header("webhook-id"),
        header("webhook-timestamp"),
        header("webhook-signature"),
    );
    let text = String::from_utf8_lossy(&body);
    let expected = inbox
        .secret
        .clone()
        .zip(timestamp.parse().ok())
        .map(|(secret, at)| sign(&[secret], &[], id, at, &text));
    let valid = expected.is_some_and(|expected| signature.split(' ').any(|one| one == expected));
    let event: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let kind = event.get("type").and_then(|t| t.as_str()).unwrap_or("?");
    let verdict = if valid {
        "signature valid"
    } else {
        "SIGNATURE INVALID"
    };
    // The channel is closed once the sample has ended.
    let _ = inbox.lines.send(format!("{kind} ({id}, {verdict})"));
    if valid {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::UNAUTHORIZED
    }
}
