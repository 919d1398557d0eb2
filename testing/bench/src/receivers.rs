//! Webhook receivers on loopback: some answer immediately, one never does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;

use crate::Failed;

/// Counts arrivals and notifies when there are enough.
#[derive(Debug, Default)]
pub struct Counter {
    heard: AtomicUsize,
    enough: Notify,
}

impl Counter {
    #[must_use]
    pub fn heard(&self) -> usize {
        self.heard.load(Ordering::Relaxed)
    }

    /// Waits until this many have arrived.
    pub async fn wait_for(&self, enough: usize) {
        while self.heard() < enough {
            let notified = self.enough.notified();
            if self.heard() < enough {
                // It is notified at every hundredth arrival, so check periodically for the last
                // ones.
                let _ = tokio::time::timeout(std::time::Duration::from_millis(5), notified).await;
            }
        }
    }
}

/// A receiver that answers immediately and counts.
pub async fn counting(counter: Arc<Counter>) -> Result<String, Failed> {
    async fn count(State(counter): State<Arc<Counter>>, _body: Bytes) -> StatusCode {
        if (counter.heard.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(100) {
            counter.enough.notify_waiters();
        }
        StatusCode::NO_CONTENT
    }
    serve(Router::new().route("/", post(count)).with_state(counter)).await
}

/// A receiver that accepts a request and never answers.
pub async fn hanging() -> Result<String, Failed> {
    async fn hang(_body: Bytes) -> StatusCode {
        std::future::pending().await
    }
    serve(Router::new().route("/", post(hang))).await
}

/// A receiver that reports how many milliseconds ago the export in the body changed.
pub async fn timing(ages_ms: UnboundedSender<f64>) -> Result<String, Failed> {
    async fn note(State(ages_ms): State<UnboundedSender<f64>>, body: Bytes) -> StatusCode {
        #[expect(clippy::disallowed_methods, reason = "this measures")]
        let now = OffsetDateTime::now_utc();
        let event: Value = serde_json::from_slice(&body).unwrap_or_default();
        let changed = event["data"]["export"]["updated_at"]
            .as_str()
            .and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
        if let Some(changed) = changed {
            // The channel is closed once the case is over.
            let _ = ages_ms.send((now - changed).as_seconds_f64() * 1000.0);
        }
        StatusCode::NO_CONTENT
    }
    serve(Router::new().route("/", post(note)).with_state(ages_ms)).await
}

async fn serve(router: Router) -> Result<String, Failed> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(url)
}
