//! After each round: how soon every replica works again, measured from the healing.
//!
//! An export is requested from each replica; it must be accepted, started, ended and its webhook
//! delivered. Any replica may start what another one has accepted, so each replica's workers must
//! also claim again.

use std::future::Future;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::json;

use crate::ledger::Order;
use crate::stage::{ACCOUNT, BUCKET, PROBE_REGIONS, Stage, TABLE};
use crate::trouble::REPLICAS;
use crate::{database, metrics};

/// Limits, in seconds from the healing.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A replica accepts, claims, starts and ends exports.
    pub works_s: f64,
    /// The callback has arrived.
    pub delivers_s: f64,
}

impl Limits {
    /// With a pooler everything may take longer: after a failed connection, PgBouncer waits 15 s by
    /// default before the next attempt.
    #[must_use]
    pub fn new(has_pooler: bool) -> Self {
        let more_s = if has_pooler { 15.0 } else { 0.0 };
        Self {
            works_s: 20.0 + more_s,
            delivers_s: 30.0 + more_s,
        }
    }

    /// A start that was sent on a silent connection to AWS has no response for 10 s (the service's
    /// timeout), and is not repeated for another 15 s, because AWS may be carrying it out. Steps
    /// that need AWS may take that much longer.
    fn after_silence_of_aws(self) -> Self {
        Self {
            works_s: self.works_s + 25.0,
            delivers_s: self.delivers_s + 25.0,
        }
    }
}

/// The polling interval.
const EVERY: Duration = Duration::from_millis(100);
/// The timeout of one request.
const ANSWER_PATIENCE: Duration = Duration::from_secs(4);

/// The worst measurements, in seconds from the healing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Resumed {
    pub accepts_s: f64,
    pub claims_s: f64,
    pub starts_s: f64,
    pub ends_s: f64,
    pub delivers_s: f64,
}

impl Resumed {
    /// When all of it was true.
    #[must_use]
    pub fn all_s(self) -> f64 {
        [
            self.accepts_s,
            self.claims_s,
            self.starts_s,
            self.ends_s,
            self.delivers_s,
        ]
        .into_iter()
        .fold(0.0, f64::max)
    }

    /// Only the steps that do not need AWS.
    #[must_use]
    pub fn without_aws(self) -> Self {
        Self {
            accepts_s: self.accepts_s,
            claims_s: self.claims_s,
            ..Self::default()
        }
    }

    /// The maximum of both.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            accepts_s: self.accepts_s.max(other.accepts_s),
            claims_s: self.claims_s.max(other.claims_s),
            starts_s: self.starts_s.max(other.starts_s),
            ends_s: self.ends_s.max(other.ends_s),
            delivers_s: self.delivers_s.max(other.delivers_s),
        }
    }
}

/// Watches every replica; returns the worst measurements. A replica that does not recover is
/// restarted, so that the next round is meaningful.
pub async fn watch(
    stage: &Stage,
    round: u32,
    healed: Instant,
    aws_was_silent: bool,
) -> Result<Resumed, crate::Failed> {
    let limits = if aws_was_silent {
        stage.limits.after_silence_of_aws()
    } else {
        stage.limits
    };
    let one = |replica| watch_one(stage, round, replica, healed, limits);
    let (first, second, third) = tokio::join!(one(0), one(1), one(2));
    let mut worst = Resumed::default();
    for (replica, (resumed, failures)) in [first, second, third].into_iter().enumerate() {
        worst = worst.or(resumed);
        if failures.is_empty() {
            continue;
        }
        let used = metrics::of(stage, replica).await.map_or_else(
            || "?".to_owned(),
            |metrics| metrics.used_connections().to_string(),
        );
        let what = format!(
            "replica {replica} after round {}: {}",
            round + 1,
            failures.join(", ")
        );
        stage.ledger.violated(
            "replicas not recovered",
            format!("{what}; {used} connections in use; restarted"),
            None,
        );
        stage.replicas[replica].kill().await?;
        stage.replicas[replica].start().await?;
    }
    Ok(worst)
}

/// The measurements, and which of them exceeded their limit.
async fn watch_one(
    stage: &Stage,
    round: u32,
    replica: usize,
    healed: Instant,
    limits: Limits,
) -> (Resumed, Vec<String>) {
    let probe = Probe {
        stage,
        replica,
        healed,
        key: format!("{}-resume-{:03}-{replica}", stage.name, round + 1),
    };
    let (accepted, claims) = tokio::join!(probe.accepted(), probe.claims());
    let mut resumed = Resumed {
        accepts_s: accepted.1,
        claims_s: claims.1,
        ..Resumed::default()
    };
    let mut failures: Vec<String> = [claims.0.err()].into_iter().flatten().collect();
    match accepted.0 {
        Err(answer) => failures.push(format!("no export was accepted ({answer})")),
        Ok(id) => {
            let (started, ended, delivered) = tokio::join!(
                probe.until("not started", limits.works_s, || database::is_past(
                    &stage.pool,
                    &id,
                    &["PENDING"]
                )),
                probe.until("not ended", limits.works_s, || database::is_past(
                    &stage.pool,
                    &id,
                    &["PENDING", "IN_PROGRESS"]
                )),
                probe.until("its callback has not come", limits.delivers_s, || async {
                    stage.probe_callbacks.has_received(&id)
                }),
            );
            (resumed.starts_s, resumed.ends_s, resumed.delivers_s) =
                (started.1, ended.1, delivered.1);
            let late = [started, ended, delivered]
                .into_iter()
                .filter_map(|(done, _)| done.err());
            failures.extend(late.map(|what| format!("export {id}: {what}")));
        }
    }
    (resumed, failures)
}

/// An export that is requested from one replica.
struct Probe<'a> {
    stage: &'a Stage,
    replica: usize,
    healed: Instant,
    key: String,
}

impl Probe<'_> {
    fn since_s(&self) -> f64 {
        self.healed.elapsed().as_secs_f64()
    }

    /// The id, or the last response; and when.
    async fn accepted(&self) -> (Result<String, String>, f64) {
        let region = PROBE_REGIONS[self.replica];
        let body = json!({
            "table_arn": format!("arn:aws:dynamodb:{region}:{ACCOUNT}:table/{TABLE}"),
            "s3_bucket": BUCKET,
            "s3_prefix": self.key,
            "labels": {"made-by": "chaos"},
            "callback_url": self.stage.probe_callbacks.url("/service"),
        });
        self.stage.ledger.change(&self.key, |order| {
            *order = Order {
                body: body.clone(),
                ..Order::default()
            }
        });
        let mut last = "not asked".to_owned();
        while self.since_s() < self.stage.limits.works_s {
            self.stage
                .ledger
                .change(&self.key, |order| order.attempts += 1);
            let url = self.stage.replicas[self.replica].url("/v1/exports");
            let request = self
                .stage
                .http
                .post(url)
                .header("idempotency-key", &self.key)
                .json(&body)
                .timeout(ANSWER_PATIENCE);
            match request.send().await {
                Ok(answer) if [StatusCode::OK, StatusCode::ACCEPTED].contains(&answer.status()) => {
                    let export: serde_json::Value = answer.json().await.unwrap_or_default();
                    if let Some(id) = export["id"].as_str() {
                        self.stage
                            .ledger
                            .change(&self.key, |order| order.ids.push(id.to_owned()));
                        return (Ok(id.to_owned()), self.since_s());
                    }
                    "an answer without an id".clone_into(&mut last);
                }
                Ok(answer) => last = answer.status().to_string(),
                Err(error) if error.is_timeout() => {
                    last = format!("no response within {} s", ANSWER_PATIENCE.as_secs())
                }
                Err(error) => last = error.to_string(),
            }
            tokio::time::sleep(EVERY).await;
        }
        (Err(last), self.since_s())
    }

    /// Whether every worker claims; and since when.
    async fn claims(&self) -> (Result<(), String>, f64) {
        let mut before = None;
        let mut still: Vec<&str> = Vec::new();
        while self.since_s() < self.stage.limits.works_s {
            if let Some(metrics) = metrics::of(self.stage, self.replica).await {
                let now = metrics.claims();
                let before = before.get_or_insert_with(|| now.clone());
                still = now
                    .iter()
                    .filter(|(worker, count)| before.get(*worker).is_none_or(|then| *count <= then))
                    .map(|(w, _)| *w)
                    .collect();
                if still.is_empty() {
                    return (Ok(()), self.since_s());
                }
            }
            tokio::time::sleep(EVERY).await;
        }
        let whose = if still.is_empty() {
            "no metrics".to_owned()
        } else {
            format!("workers that do not claim: {}", still.join(", "))
        };
        (Err(whose), self.since_s())
    }

    /// Polls until a condition holds; returns an error after the limit.
    async fn until<F: Future<Output = bool>>(
        &self,
        what: &str,
        limit_s: f64,
        holds: impl Fn() -> F,
    ) -> (Result<(), String>, f64) {
        loop {
            if holds().await {
                return (Ok(()), self.since_s());
            }
            if self.since_s() > limit_s {
                return (
                    Err(format!("{what} {limit_s:.0} s after the healing")),
                    self.since_s(),
                );
            }
            tokio::time::sleep(EVERY).await;
        }
    }
}

/// There are as many replicas as the harness watches.
const _: () = assert!(REPLICAS == 3);
