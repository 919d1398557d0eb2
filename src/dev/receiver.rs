//! A webhook receiver for the sample export: checks the signature as any receiver should.

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

/// A running receiver.
#[derive(Debug)]
pub struct Receiver {
    /// Where it receives.
    pub url: String,
    /// A line about each webhook.
    pub heard: tokio::sync::Mutex<mpsc::UnboundedReceiver<String>>,
}

#[derive(Clone)]
struct Inbox {
    secret: Option<WebhookSecret>,
    lines: mpsc::UnboundedSender<String>,
}

/// Starts a receiver on a free port.
///
/// # Errors
/// No port is free.
pub async fn start(secret: Option<WebhookSecret>) -> Result<Receiver, DevError> {
    let bound = TcpListener::bind("127.0.0.1:0").await;
    let listener = bound.map_err(|source| DevError::Machine {
        what: "no port is free for the webhook receiver",
        source,
    })?;
    let url = places::url_of(&listener)? + "/hook";
    let (lines, heard) = mpsc::unbounded_channel();
    let router = Router::new()
        .route("/hook", post(receive))
        .with_state(Inbox { secret, lines });
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(Receiver {
        url,
        heard: tokio::sync::Mutex::new(heard),
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
    let judgement = if valid {
        "signature valid"
    } else {
        "SIGNATURE INVALID"
    };
    // Nobody listens once the sample is over.
    let _ = inbox.lines.send(format!("{kind} ({id}, {judgement})"));
    if valid {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::UNAUTHORIZED
    }
}
