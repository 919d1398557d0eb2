//! Webhook endpoints: created over the API at the start, each with its own filters and receiver.
//! One is disabled and enabled again, and then requests what it missed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::receiver::Receiver;
use crate::stage::Stage;
use crate::trouble::{ENDPOINTS, REPLICAS};
use crate::{Failed, now};

/// The label that one endpoint filters by.
pub const TEAM: &str = "team";
pub const TEAMS: [&str; 2] = ["red", "blue"];

/// The event types of end states.
pub const ENDS: [&str; 4] = [
    "export.completed",
    "export.failed",
    "export.cancelled",
    "export.timed_out",
];

/// An endpoint's filters.
#[derive(Debug, Clone, Copy)]
pub struct Filter {
    pub name: &'static str,
    /// An empty list means every type.
    event_types: &'static [&'static str],
    team: Option<&'static str>,
}

/// Every endpoint; the last one is disabled during the run.
const FILTERS: [Filter; ENDPOINTS] = [
    Filter {
        name: "everything",
        event_types: &[],
        team: None,
    },
    Filter {
        name: "ends",
        event_types: &ENDS,
        team: None,
    },
    Filter {
        name: "trouble",
        event_types: &["export.failed", "export.timed_out", "export.cancelled"],
        team: None,
    },
    Filter {
        name: "team red",
        event_types: &[],
        team: Some(TEAMS[0]),
    },
    Filter {
        name: "leaver",
        event_types: &ENDS,
        team: None,
    },
];

impl Filter {
    /// Whether it matches an event of an export with these labels.
    #[must_use]
    pub fn wants(&self, event_type: &str, labels: &BTreeMap<String, String>) -> bool {
        let is_announced = event_type == "export.started" || ENDS.contains(&event_type);
        let of_type = self.event_types.is_empty() || self.event_types.contains(&event_type);
        is_announced
            && of_type
            && self
                .team
                .is_none_or(|team| labels.get(TEAM).is_some_and(|its| its == team))
    }

    fn body(&self, url: &str) -> Value {
        let labels = self
            .team
            .map_or_else(|| json!({}), |team| json!({TEAM: team}));
        json!({"url": url, "description": self.name, "event_types": self.event_types, "labels": labels})
    }
}

#[derive(Debug)]
pub struct Endpoint {
    pub filter: Filter,
    pub id: String,
    /// The secret of `v1` signatures, from the response to its creation.
    pub secret: String,
    pub receiver: Receiver,
    /// When it was disabled.
    away: Mutex<Away>,
}

/// When the last endpoint was disabled, and the jobs it requested afterwards.
#[derive(Debug, Clone, Default)]
pub struct Away {
    /// The response that it is disabled has arrived.
    pub from: Option<SystemTime>,
    /// The request to enable it was not sent yet.
    pub until: Option<SystemTime>,
    /// The jobs that send what it missed.
    pub jobs: Vec<String>,
}

impl Endpoint {
    /// Whether this endpoint is disabled during the run. It never gets events of exports that were
    /// created and deleted meanwhile.
    #[must_use]
    pub fn leaves(&self) -> bool {
        self.filter.name == FILTERS[ENDPOINTS - 1].name
    }

    /// When it was disabled.
    #[must_use]
    pub fn away(&self) -> Away {
        self.away
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    fn change_away(&self, change: impl FnOnce(&mut Away)) {
        change(
            &mut self
                .away
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        );
    }
}

/// Creates every endpoint, at these addresses.
pub async fn create(stage: &Stage, addresses: &[SocketAddr]) -> Result<Vec<Endpoint>, Failed> {
    let mut endpoints = Vec::new();
    for (filter, address) in FILTERS.into_iter().zip(addresses) {
        let receiver = Receiver::controlled(*address)?;
        let body = filter.body(&receiver.url("/endpoint"));
        let made = call(
            stage,
            Method::POST,
            "/v1/webhook-endpoints",
            &body,
            StatusCode::CREATED,
        )
        .await?;
        let text = |name: &str| {
            made[name]
                .as_str()
                .map(str::to_owned)
                .ok_or_else(|| format!("a new endpoint has no {name}"))
        };
        endpoints.push(Endpoint {
            filter,
            id: text("id")?,
            secret: text("secret")?,
            receiver,
            away: Mutex::default(),
        });
    }
    Ok(endpoints)
}

/// The public keys as each replica publishes them. All are asked concurrently, because the first
/// request creates a key.
pub async fn public_keys(stage: &Stage) -> Result<Vec<Vec<String>>, Failed> {
    let ask = |replica: usize| {
        let sent = stage
            .http
            .get(stage.replicas[replica].url("/v1/webhook-public-keys"))
            .send();
        async move { sent.await?.error_for_status()?.json::<Value>().await }
    };
    let (first, second, third) = tokio::join!(ask(0), ask(1), ask(2));
    let keys = |answer: Value| {
        let keys = answer["keys"].as_array().cloned().unwrap_or_default();
        keys.iter()
            .filter_map(|key| key["public_key"].as_str().map(str::to_owned))
            .collect()
    };
    Ok([first?, second?, third?].into_iter().map(keys).collect())
}

/// Disables the last endpoint.
pub async fn leave(stage: &Stage) -> Result<(), Failed> {
    for endpoint in stage.endpoints.iter().filter(|endpoint| endpoint.leaves()) {
        change(stage, endpoint, &json!({"disabled": true})).await?;
        endpoint.change_away(|away| away.from = Some(now()));
    }
    Ok(())
}

/// Enables the last endpoint again and requests what it missed.
pub async fn come_back(stage: &Stage) -> Result<(), Failed> {
    for endpoint in stage.endpoints.iter().filter(|endpoint| endpoint.leaves()) {
        endpoint.change_away(|away| away.until = Some(now()));
        change(stage, endpoint, &json!({"disabled": false})).await?;
        let since = json!({"since": stage.began.format(&Rfc3339)?});
        for what in ["recover", "replay-missing"] {
            let path = format!("/v1/webhook-endpoints/{}/{what}", endpoint.id);
            let job = call(stage, Method::POST, &path, &since, StatusCode::ACCEPTED).await?;
            let id = job["id"].as_str().unwrap_or_default().to_owned();
            endpoint.change_away(|away| away.jobs.push(id));
        }
    }
    Ok(())
}

async fn change(stage: &Stage, endpoint: &Endpoint, body: &Value) -> Result<Value, Failed> {
    call(
        stage,
        Method::PATCH,
        &format!("/v1/webhook-endpoints/{}", endpoint.id),
        body,
        StatusCode::OK,
    )
    .await
}

/// Calls the replicas until one answers: nothing is broken, but there may be after-effects.
async fn call(
    stage: &Stage,
    method: Method,
    path: &str,
    body: &Value,
    wanted: StatusCode,
) -> Result<Value, Failed> {
    let mut trouble = String::new();
    for attempt in 0..20 {
        let url = stage.replicas[attempt % REPLICAS].url(path);
        match stage
            .http
            .request(method.clone(), url)
            .json(body)
            .send()
            .await
        {
            Ok(answer) if answer.status() == wanted => return Ok(answer.json().await?),
            Ok(answer) if answer.status() == StatusCode::SERVICE_UNAVAILABLE => {
                trouble = "503".to_owned()
            }
            Ok(answer) => {
                return Err(format!(
                    "{method} {path} answered {} {}",
                    answer.status(),
                    answer.text().await?
                )
                .into());
            }
            Err(error) => trouble = error.to_string(),
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    Err(format!("{method} {path}: {trouble}").into())
}

/// Parses a time in a webhook's body.
#[must_use]
pub fn time_of(text: &str) -> Option<SystemTime> {
    OffsetDateTime::parse(text, &Rfc3339)
        .ok()
        .map(SystemTime::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_choose_by_type_and_label() {
        let labels = |team: &str| BTreeMap::from([(TEAM.to_owned(), team.to_owned())]);
        let wanting = |event_type, team| {
            let wanting = FILTERS
                .iter()
                .filter(|filter| filter.wants(event_type, &labels(team)));
            wanting.map(|filter| filter.name).collect::<Vec<_>>()
        };
        assert_eq!(
            wanting("export.completed", "blue"),
            ["everything", "ends", "leaver"]
        );
        assert_eq!(
            wanting("export.failed", "red"),
            ["everything", "ends", "trouble", "team red", "leaver"]
        );
        assert_eq!(wanting("export.started", "red"), ["everything", "team red"]);
        assert!(wanting("export.created", "red").is_empty());
    }
}
