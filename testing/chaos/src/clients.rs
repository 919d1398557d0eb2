//! Clients: they create exports throughout the run, repeat a request with the same key until it is
//! answered, and read, cancel and delete exports.

use std::time::{Duration, Instant};

use fastrand::Rng;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::endpoints::{TEAM, TEAMS};
use crate::receiver::{OWN, REQUEST_SECRET};
use crate::stage::{ACCOUNT, BUCKET, REGIONS, Stage, TABLE, TABLE_WITHOUT_RECOVERY};
use crate::trouble::REPLICAS;

/// The maximum number of concurrent clients.
const MAX_CLIENTS: usize = 64;

/// How long a client repeats a request before it gives up: longer than any trouble lasts.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts new clients until `stop`; returns when the last one has finished.
pub async fn run(stage: Stage, seed: u64, rate: f64, stop: CancellationToken) {
    let mut random = Rng::with_seed(seed ^ 0xC11E_4475);
    let mut clients = JoinSet::new();
    let mut number = 0_u32;
    while !stop.is_cancelled() {
        let pause = Duration::from_secs_f64((0.5 + random.f64()) / rate.max(0.01));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => {}
        }
        while clients.try_join_next().is_some() {}
        if clients.len() < MAX_CLIENTS {
            number += 1;
            let key = format!("chaos-{seed}-{number:06}");
            let client = Client {
                stage: stage.clone(),
                random: Rng::with_seed(random.u64(..)),
                key,
            };
            clients.spawn(client.live());
        }
    }
    while clients.join_next().await.is_some() {}
}

/// One client with one export.
struct Client {
    stage: Stage,
    random: Rng,
    key: String,
}

/// The outcome of an attempt.
enum Answer {
    Given(StatusCode, Value),
    /// No response or 503: the same request may be sent again.
    TryAgain,
}

impl Client {
    async fn live(mut self) {
        let body = self.body();
        self.stage
            .ledger
            .change(&self.key, |order| order.body = body.clone());
        let Some(id) = self.create(&body).await else {
            return;
        };
        match self.random.u32(..100) {
            0..15 => self.cancel(&id).await,
            15..35 => {
                let wait = self.random.u32(1..=5);
                self.look(&id, Some(wait)).await;
            }
            35..45 => drop(self.create(&body).await),
            45..52 => self.list().await,
            52..60 => self.delete_at_the_end(&id).await,
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(self.random.u64(100..3_000))).await;
        if !self
            .stage
            .ledger
            .change(&self.key, |order| order.deleted.is_some())
        {
            self.look(&id, None).await;
        }
    }

    fn body(&mut self) -> Value {
        let region = REGIONS[self.random.usize(..REGIONS.len())];
        let table = if self.random.u32(..20) == 0 {
            TABLE_WITHOUT_RECOVERY
        } else {
            TABLE
        };
        let bucket = if self.random.u32(..20) == 0 {
            "chaos-no-such-bucket"
        } else {
            BUCKET
        };
        let mut body = json!({
            "table_arn": format!("arn:aws:dynamodb:{region}:{ACCOUNT}:table/{table}"),
            "s3_bucket": bucket,
            // Identifies the export at the simulator, whatever token it was started with.
            "s3_prefix": self.key,
            "labels": {"made-by": "chaos", TEAM: TEAMS[self.random.usize(..TEAMS.len())]},
        });
        if table == TABLE_WITHOUT_RECOVERY {
            // AWS refuses to repeat a start here, so one whose answer was lost stays in doubt until
            // its time-out, which has to pass before the run ends.
            body["timeouts"] = json!({"create": "60s"});
        }
        if self.random.u32(..10) == 0 {
            body["timeouts"] = json!({"create": format!("{}s", self.random.u32(1..8))});
        }
        match self.random.u32(..10) {
            0..5 => body["callback_url"] = json!(self.stage.callbacks.url("/service")),
            5 => {
                body["callback_url"] = json!(self.stage.callbacks.url(&format!("/{OWN}")));
                body["callback_secret"] = json!(REQUEST_SECRET);
            }
            _ => {}
        }
        body
    }

    /// Requests the export until it is acknowledged; returns its id.
    async fn create(&mut self, body: &Value) -> Option<String> {
        let wait = (self.random.u32(..8) == 0).then(|| self.random.u32(1..=4));
        let give_up = Instant::now() + PATIENCE;
        while Instant::now() < give_up {
            self.stage
                .ledger
                .change(&self.key, |order| order.attempts += 1);
            let mut request = self
                .request_any_replica(Method::POST, "/v1/exports")
                .header("idempotency-key", &self.key)
                .json(body);
            if let Some(wait) = wait {
                request = request.header("prefer", format!("wait={wait}"));
            }
            match self.send(request).await {
                Answer::Given(StatusCode::OK | StatusCode::ACCEPTED, export) => {
                    let id = export["id"].as_str().unwrap_or_default().to_owned();
                    self.stage
                        .ledger
                        .change(&self.key, |order| order.ids.push(id.clone()));
                    return Some(id);
                }
                Answer::Given(status, body) => {
                    self.unexpected("POST /v1/exports", status, &body, None);
                    return None;
                }
                Answer::TryAgain => self.pause().await,
            }
        }
        None
    }

    /// Reads an acknowledged export, which must exist.
    async fn look(&mut self, id: &str, wait: Option<u32>) -> Option<Value> {
        let give_up = Instant::now() + PATIENCE;
        while Instant::now() < give_up {
            let mut request = self.request_any_replica(Method::GET, &format!("/v1/exports/{id}"));
            if let Some(wait) = wait {
                request = request.header("prefer", format!("wait={wait}"));
            }
            match self.send(request).await {
                Answer::Given(StatusCode::OK, export) => return Some(export),
                Answer::Given(StatusCode::NOT_FOUND, _) => {
                    self.stage.ledger.violated(
                        "lost",
                        "GET answered 404 after it was acknowledged",
                        Some(id),
                    );
                    return None;
                }
                Answer::Given(status, body) => {
                    self.unexpected("GET /v1/exports/{id}", status, &body, Some(id));
                    return None;
                }
                Answer::TryAgain => self.pause().await,
            }
        }
        None
    }

    async fn cancel(&mut self, id: &str) {
        let request = self.request_any_replica(Method::POST, &format!("/v1/exports/{id}/cancel"));
        match self.send(request).await {
            Answer::Given(StatusCode::OK, _) => self
                .stage
                .ledger
                .change(&self.key, |order| order.is_cancelled = true),
            Answer::Given(StatusCode::CONFLICT, _) | Answer::TryAgain => {}
            Answer::Given(status, body) => {
                self.unexpected("POST …/cancel", status, &body, Some(id))
            }
        }
    }

    async fn list(&mut self) {
        let request =
            self.request_any_replica(Method::GET, "/v1/exports?label=made-by:chaos&page_size=20");
        if let Answer::Given(status, body) = self.send(request).await
            && status != StatusCode::OK
        {
            self.unexpected("GET /v1/exports", status, &body, None);
        }
    }

    /// Waits for the end and deletes the record, but only if the request was sent once: a
    /// repetition that is still on its way would rightly create a new export after the deletion.
    async fn delete_at_the_end(&mut self, id: &str) {
        let Some(export) = self.look(id, Some(6)).await else {
            return;
        };
        let is_over = matches!(
            export["export_status"].as_str(),
            Some("COMPLETED" | "FAILED" | "CANCELLED")
        );
        if !is_over || self.stage.ledger.change(&self.key, |order| order.attempts) != 1 {
            return;
        }
        self.stage
            .ledger
            .change(&self.key, |order| order.deleted = Some(export));
        let request = self.request_any_replica(Method::DELETE, &format!("/v1/exports/{id}"));
        match self.send(request).await {
            Answer::Given(StatusCode::NO_CONTENT, _) => self
                .stage
                .ledger
                .change(&self.key, |order| order.is_deleted = true),
            Answer::TryAgain => {}
            Answer::Given(status, body) => {
                self.unexpected("DELETE /v1/exports/{id}", status, &body, Some(id))
            }
        }
    }

    /// A request to any replica.
    fn request_any_replica(&mut self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let replica = self.random.usize(..REPLICAS);
        self.stage
            .http
            .request(method, self.stage.replicas[replica].url(path))
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let Ok(response) = request.send().await else {
            return Answer::TryAgain;
        };
        let status = response.status();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            return Answer::TryAgain;
        }
        // An incomplete response counts as no response.
        let Ok(text) = response.text().await else {
            return Answer::TryAgain;
        };
        Answer::Given(status, serde_json::from_str(&text).unwrap_or_default())
    }

    async fn pause(&mut self) {
        tokio::time::sleep(Duration::from_millis(self.random.u64(100..800))).await;
    }

    fn unexpected(&self, call: &str, status: StatusCode, body: &Value, id: Option<&str>) {
        self.stage.ledger.violated(
            "unexpected responses",
            format!("{call} returned {status} {body}"),
            id,
        );
    }
}
