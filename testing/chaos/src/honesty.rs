//! Checks that `/readyz` does not return 200 while a replica accepts no requests.
//!
//! Each replica's `/readyz` is polled, and every half second an export is requested from it, each
//! with a new key. A 200 of `/readyz` is false if every export that was requested in the five
//! seconds before it and the second after it was rejected or had no response within five seconds.
//! Polls close to a signal to the process are not judged.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::ledger::Order;
use crate::stage::{ACCOUNT, BUCKET, HONESTY_REGIONS, Stage, TABLE};
use crate::trouble::REPLICAS;

/// How often `/readyz` is polled.
const POLL_EVERY: Duration = Duration::from_millis(250);
/// How often an export is requested.
const CREATE_EVERY: Duration = Duration::from_millis(500);
/// For how long everything must have failed. Also the timeout of a response.
const BEFORE: Duration = Duration::from_secs(5);
/// For how long everything must fail after the poll: the replica may have just recovered.
const AFTER: Duration = Duration::from_secs(1);
/// Fewer failures than this in that time prove nothing.
const ENOUGH: usize = 8;

/// A poll of `/readyz`, or a requested export.
#[derive(Debug, Clone, Copy)]
struct Seen {
    at: Instant,
    /// The process's life at that time; none if the process was disturbed before the response.
    life: Option<u64>,
    /// It was answered with 200 or 202, in time.
    well: bool,
}

/// The observations of one replica.
#[derive(Debug, Default)]
struct Diary {
    looks: Vec<Seen>,
    creates: Vec<Seen>,
}

/// Watches every replica until `stop`, and reports each false 200. Returns how many responses with
/// 200 were judged.
pub async fn watch(stage: Stage, stop: CancellationToken) -> usize {
    let mut watching = JoinSet::new();
    for replica in 0..REPLICAS {
        watching.spawn(watch_one(stage.clone(), replica, stop.clone()));
    }
    watching.join_all().await.into_iter().sum()
}

async fn watch_one(stage: Stage, replica: usize, stop: CancellationToken) -> usize {
    let diary = Arc::<Mutex<Diary>>::default();
    let mut asking = JoinSet::new();
    let (mut looks, mut creates) = (
        tokio::time::interval(POLL_EVERY),
        tokio::time::interval(CREATE_EVERY),
    );
    let mut number = 0_u32;
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = looks.tick() => drop(asking.spawn(look(stage.clone(), replica, Arc::clone(&diary)))),
            _ = creates.tick() => {
                number += 1;
                drop(asking.spawn(create(stage.clone(), replica, number, Arc::clone(&diary))));
            }
        }
        while asking.try_join_next().is_some() {}
    }
    while asking.join_next().await.is_some() {}
    let diary = diary.lock().unwrap_or_else(PoisonError::into_inner);
    for message in false_readiness(&diary.looks, &diary.creates) {
        stage.ledger.violated(
            "false readyz",
            format!("replica {replica}: {message}"),
            None,
        );
    }
    diary
        .looks
        .iter()
        .filter(|look| look.well && look.life.is_some())
        .count()
}

/// Whether a request succeeded in time, and the process's life if nothing disturbed it meanwhile.
async fn ask(
    stage: &Stage,
    replica: usize,
    request: reqwest::RequestBuilder,
) -> (Seen, Option<reqwest::Response>) {
    let (at, life) = (Instant::now(), stage.replicas[replica].life());
    let answer = tokio::time::timeout(BEFORE, request.send())
        .await
        .ok()
        .and_then(Result::ok);
    let well = answer
        .as_ref()
        .is_some_and(|answer| [StatusCode::OK, StatusCode::ACCEPTED].contains(&answer.status()));
    let undisturbed = !life.is_multiple_of(2) && life == stage.replicas[replica].life();
    (
        Seen {
            at,
            life: undisturbed.then_some(life),
            well,
        },
        answer.filter(|_| well),
    )
}

async fn look(stage: Stage, replica: usize, diary: Arc<Mutex<Diary>>) {
    let (seen, _) = ask(
        &stage,
        replica,
        stage.http.get(stage.replicas[replica].url("/readyz")),
    )
    .await;
    diary
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .looks
        .push(seen);
}

async fn create(stage: Stage, replica: usize, number: u32, diary: Arc<Mutex<Diary>>) {
    if stage.replicas[replica].life().is_multiple_of(2) {
        return;
    }
    let key = format!("{}-look-{replica}-{number:05}", stage.name);
    let region = HONESTY_REGIONS[(number as usize + 3 * replica) % HONESTY_REGIONS.len()];
    let body = json!({
        "table_arn": format!("arn:aws:dynamodb:{region}:{ACCOUNT}:table/{TABLE}"),
        "s3_bucket": BUCKET,
        "s3_prefix": key,
        "labels": {"made-by": "chaos"},
    });
    stage.ledger.change(&key, |order| {
        *order = Order {
            body: body.clone(),
            attempts: 1,
            ..Order::default()
        }
    });
    let request = stage
        .http
        .post(stage.replicas[replica].url("/v1/exports"))
        .header("idempotency-key", &key)
        .json(&body);
    let (mut seen, answer) = ask(&stage, replica, request).await;
    if let Some(answer) = answer {
        let export: serde_json::Value = answer.json().await.unwrap_or_default();
        match export["id"].as_str() {
            Some(id) => stage
                .ledger
                .change(&key, |order| order.ids.push(id.to_owned())),
            None => seen.well = false,
        }
    }
    diary
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .creates
        .push(seen);
}

/// Every period of false responses of `/readyz`, in words.
fn false_readiness(looks: &[Seen], creates: &[Seen]) -> Vec<String> {
    let creates: BTreeMap<Instant, Seen> =
        creates.iter().map(|create| (create.at, *create)).collect();
    let mut looks: Vec<&Seen> = looks.iter().collect();
    looks.sort_by_key(|look| look.at);
    let mut stretches: Vec<(Instant, Instant, usize)> = Vec::new();
    for look in looks {
        if !is_false(look, &creates) {
            continue;
        }
        match stretches.last_mut() {
            Some((_, last, count)) if look.at - *last < AFTER => {
                (*last, *count) = (look.at, *count + 1)
            }
            _ => stretches.push((look.at, look.at, 1)),
        }
    }
    let words = |(first, last, count): (Instant, Instant, usize)| {
        let lasted_s = (last - first).as_secs_f64();
        format!(
            "/readyz returned 200 {count} times in {lasted_s:.1} s although every export requested in {} s or more failed",
            BEFORE.as_secs()
        )
    };
    stretches.into_iter().map(words).collect()
}

fn is_false(look: &Seen, creates: &BTreeMap<Instant, Seen>) -> bool {
    let (Some(life), Some(from)) = (look.life.filter(|_| look.well), look.at.checked_sub(BEFORE))
    else {
        return false;
    };
    let mut near = creates
        .range(from..=look.at + AFTER)
        .map(|(_, create)| create)
        .peekable();
    let is_early = near
        .peek()
        .is_some_and(|first| first.at < from + 2 * CREATE_EVERY);
    let near: Vec<_> = near.collect();
    let is_late = near.last().is_some_and(|last| last.at > look.at);
    is_early
        && is_late
        && near.len() >= ENOUGH
        && near
            .iter()
            .all(|create| !create.well && create.life == Some(life))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Observations at a fixed interval over 20 s.
    fn every(ms: u64, from: Instant, seen: impl Fn(u64) -> (Option<u64>, bool)) -> Vec<Seen> {
        let one = |at_ms| {
            let (life, well) = seen(at_ms);
            Seen {
                at: from + Duration::from_millis(at_ms),
                life,
                well,
            }
        };
        (0..20_000)
            .step_by(usize::try_from(ms).unwrap())
            .map(one)
            .collect()
    }

    fn count(
        looks: impl Fn(u64) -> (Option<u64>, bool),
        creates: impl Fn(u64) -> (Option<u64>, bool),
    ) -> usize {
        let from = Instant::now() + Duration::from_secs(60);
        false_readiness(&every(250, from, looks), &every(500, from, creates)).len()
    }

    #[test]
    fn a_lie_is_seen() {
        assert_eq!(count(|_| (Some(1), true), |_| (Some(1), false)), 1);
        assert_eq!(count(|_| (Some(1), true), |at| (Some(1), at < 8_000)), 1);
    }

    #[test]
    fn what_is_no_lie_is_not_seen() {
        assert_eq!(count(|_| (Some(1), true), |_| (Some(1), true)), 0);
        assert_eq!(
            count(|_| (Some(1), false), |_| (Some(1), false)),
            0,
            "it says that it is not ready"
        );
        assert_eq!(
            count(
                |_| (Some(1), true),
                |at| (Some(1), !(8_000..12_000).contains(&at))
            ),
            0,
            "too short"
        );
        assert_eq!(
            count(|at| (Some(1), at >= 12_000), |at| (Some(1), at >= 12_300)),
            0,
            "it has just come back"
        );
        assert_eq!(
            count(|_| (Some(1), true), |at| (Some(1), at % 4_000 == 0)),
            0,
            "some are taken"
        );
        assert_eq!(
            count(|_| (Some(1), true), |_| (None, false)),
            0,
            "the process was disturbed"
        );
        assert_eq!(
            count(
                |_| (Some(3), true),
                |at| (Some(if at < 16_000 { 1 } else { 3 }), false)
            ),
            0,
            "another life"
        );
    }
}
