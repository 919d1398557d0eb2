//! Helpers that many webhook tests use.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use tableferry::progress::WorkerProgress;
use tableferry::signals::Signals;
use tableferry::worker::runner::{self, Worker};
use tokio::task::JoinHandle;

use super::{Answer, TestApp};

/// A created endpoint.
#[derive(Debug, Clone)]
pub struct NewEndpoint {
    pub id: String,
    pub secret: String,
    /// `/v1/webhook-endpoints/{id}`.
    pub path: String,
}

/// A worker's real loop; it ends when this is dropped, even with attempts in flight.
#[derive(Debug)]
pub struct Running(JoinHandle<()>);

impl Running {
    pub fn start<W: Worker>(worker: &Arc<W>, signals: &Signals) -> Self {
        Self(tokio::spawn(runner::run(
            Arc::clone(worker),
            signals.clone(),
            WorkerProgress::default(),
        )))
    }

    pub fn deliveries(app: &TestApp) -> Self {
        let worker = &app.workers.deliveries;
        Self::start(worker, &worker.signals)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl TestApp {
    /// An endpoint that gets every event.
    pub async fn endpoint_at(&self, url: &str) -> NewEndpoint {
        self.endpoint_of(&json!({ "url": url })).await
    }

    pub async fn endpoint_of(&self, body: &Value) -> NewEndpoint {
        let answer = self.post("/v1/webhook-endpoints", body).await.expect(201);
        let id = answer.id();
        NewEndpoint {
            secret: answer.json["secret"].as_str().unwrap().to_owned(),
            path: format!("/v1/webhook-endpoints/{id}"),
            id,
        }
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::PATCH, path).json(body))
            .await
    }

    /// Requests a ping. Returns the delivery's id.
    pub async fn ping(&self, endpoint: &NewEndpoint) -> String {
        self.send(self.request(Method::POST, &format!("{}/ping", endpoint.path)))
            .await
            .expect(202)
            .id()
    }

    /// One page of a delivery log.
    pub async fn deliveries_in(&self, path: &str) -> Vec<Value> {
        self.get(path).await.expect(200).json["deliveries"]
            .as_array()
            .unwrap()
            .clone()
    }

    /// The endpoint's deliveries, newest first, as `type status`.
    pub async fn log_of(&self, endpoint: &NewEndpoint) -> Vec<String> {
        let all = self
            .deliveries_in(&format!("{}/deliveries?page_size=200", endpoint.path))
            .await;
        all.iter()
            .map(|d| {
                format!(
                    "{} {}",
                    d["event_type"].as_str().unwrap(),
                    d["status"].as_str().unwrap()
                )
            })
            .collect()
    }
}
