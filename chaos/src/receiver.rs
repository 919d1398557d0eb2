//! A webhook receiver: checks each signature by Standard Webhooks 1.0.0, keeps what it got, and is sometimes slow or fails.
//!
//! The signature is computed here from the specification and shares no code with the service.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;
use tokio::net::TcpListener;

use crate::Failed;

/// Signs callbacks that bring no secret: a setting of the replicas.
pub const SERVICE_SECRET: &str = "whsec_dGFibGVmZXJyeSBjaGFvcywgdGhlIHNlcnZpY2U=";
/// Comes with some requests as `callback_secret`.
pub const REQUEST_SECRET: &str = "whsec_dGFibGVmZXJyeSBjaGFvcywgb25lIHJlcXVlc3Q=";

/// One webhook as it came.
#[derive(Debug, Clone)]
pub struct Received {
    /// `webhook-id`.
    pub webhook_id: String,
    /// The event's type.
    pub event_type: String,
    /// The export it tells of.
    pub export_id: String,
    /// Whether the signature is right.
    pub is_valid: bool,
    /// Whether the answer was 2xx.
    pub was_answered: bool,
    body: Bytes,
}

impl Received {
    /// Whether it says the same as another, to the byte.
    #[must_use]
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        self.body == other.body
    }
}

/// What came, and how the receiver behaves.
#[derive(Debug)]
pub struct Inbox {
    received: Mutex<Vec<Received>>,
    seen: Mutex<HashSet<String>>,
    random: Mutex<fastrand::Rng>,
    behaves: AtomicBool,
}

impl Inbox {
    /// Everything that came so far.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on every webhook is answered at once and well.
    pub fn behave(&self) {
        self.behaves.store(true, Ordering::Relaxed);
    }

    /// How a webhook is answered. Only the first attempt can go wrong: the delays after it are minutes and hours.
    fn answer(&self, webhook_id: &str) -> (Duration, StatusCode) {
        let is_first = self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(webhook_id.to_owned());
        if !is_first || self.behaves.load(Ordering::Relaxed) {
            return (Duration::ZERO, StatusCode::NO_CONTENT);
        }
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        match random.u32(..20) {
            0 | 1 => (Duration::ZERO, StatusCode::INTERNAL_SERVER_ERROR),
            2 => (Duration::ZERO, StatusCode::GONE),
            3 => (Duration::from_millis(random.u64(1_000..6_000)), StatusCode::OK),
            // Longer than the service waits.
            4 => (Duration::from_secs(16), StatusCode::OK),
            _ => (Duration::ZERO, StatusCode::NO_CONTENT),
        }
    }
}

/// Starts a receiver on a free port. Its URL, without the last part of the path, and what it gets.
///
/// # Errors
/// No port is free.
pub async fn start(seed: u64) -> Result<(String, Arc<Inbox>), Failed> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/hook", listener.local_addr()?);
    let inbox = Arc::new(Inbox {
        received: Mutex::default(),
        seen: Mutex::default(),
        random: Mutex::new(fastrand::Rng::with_seed(seed)),
        behaves: AtomicBool::new(false),
    });
    let router = Router::new().route("/hook/{secret}", post(receive)).with_state(Arc::clone(&inbox));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok((url, inbox))
}

async fn receive(State(inbox): State<Arc<Inbox>>, Path(secret): Path<String>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let (webhook_id, timestamp, signatures) = (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
    let secret = if secret == "own" { REQUEST_SECRET } else { SERVICE_SECRET };
    let expected = sign(secret, webhook_id, timestamp, &body);
    let event: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (delay, status) = inbox.answer(webhook_id);
    let received = Received {
        webhook_id: webhook_id.to_owned(),
        event_type: event["type"].as_str().unwrap_or_default().to_owned(),
        export_id: event["data"]["export"]["id"].as_str().unwrap_or_default().to_owned(),
        is_valid: !webhook_id.is_empty() && timestamp.parse::<u64>().is_ok() && signatures.split(' ').any(|one| one == expected),
        was_answered: status.is_success(),
        body: body.clone(),
    };
    inbox.received.lock().unwrap_or_else(PoisonError::into_inner).push(received);
    tokio::time::sleep(delay).await;
    status
}

fn sign(secret: &str, id: &str, timestamp: &str, body: &[u8]) -> String {
    let key = BASE64.decode(secret.trim_start_matches("whsec_")).unwrap_or_default();
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&key) else { return String::new() };
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_the_vector_of_the_specification() {
        let body = br#"{"email":"test@example.com","username":"test_user"}"#;
        let signature = sign("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", "1649367553", body);
        assert_eq!(signature, "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");
    }
}
