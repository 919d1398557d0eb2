//! The checker: after everything has ended, compares what was acknowledged, what is recorded, what
//! the simulator started and what the receivers got.

mod acknowledged;
mod deliveries;
mod endpoints;
mod history;
mod starts;

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::ledger::{Order, Violation};
use crate::settle::Settled;
use crate::stage::Stage;
use crate::{Failed, database};

/// What must never happen, in the order of the final table.
pub const FIGURES: [&str; 20] = [
    "lost",
    "keys with several ids",
    "started twice",
    "unaccounted starts",
    "wrong arn or outcome",
    "stale writes",
    "end states left",
    "not ended in time",
    "deliveries missing",
    "deliveries of nothing",
    "invalid signatures",
    "sent while disabled",
    "endpoints given up",
    "unexpected answers",
    "disorderly stops",
    "replicas that died",
    "work left lying",
    "replicas that did not resume",
    "readyz not honest",
    "pool slots leaked",
];

/// What the checker found.
#[derive(Debug)]
pub struct Outcome {
    /// Exports that were acknowledged.
    pub acknowledged: usize,
    /// Keys whose clients gave up without an answer.
    pub unacknowledged: usize,
    /// Exports that the simulator accepted.
    pub started: usize,
    /// How many records stand in each state.
    pub by_status: BTreeMap<String, usize>,
    /// Webhooks that came to each receiver, repetitions included.
    pub webhooks: Vec<(String, Count)>,
    /// The most attempts that one delivery took.
    pub most_attempts: i32,
    /// Everything that must not be.
    pub violations: Vec<Violation>,
}

/// How many webhooks came to a receiver.
#[derive(Debug, Clone, Copy)]
pub struct Count {
    /// All.
    pub all: usize,
    /// Those that it did not answer with 2xx in time.
    pub refused: usize,
}

/// A record of an export: a row, or what a client saw before it deleted the record.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its id.
    pub id: String,
    /// The key it was asked for with.
    pub key: String,
    /// The token of its start.
    pub token: Option<String>,
    /// Its name at AWS.
    pub arn: Option<String>,
    /// Where it stands.
    pub status: String,
    /// Whether it says that AWS may run it.
    pub in_doubt: bool,
    /// Whether somebody is told of its end.
    pub has_callback: bool,
    /// Its labels, as they were asked for.
    pub labels: BTreeMap<String, String>,
}

/// Compares everything with everything.
///
/// # Errors
/// The database does not answer.
pub async fn check(stage: &Stage, settled: &Settled) -> Result<Outcome, Failed> {
    let orders = stage.ledger.orders();
    let rows = database::exports(&stage.pool).await?;
    let histories = database::histories(&stage.pool).await?;
    let scheduled: BTreeSet<Uuid> = database::scheduled(&stage.pool)
        .await?
        .into_iter()
        .collect();
    let simulated = stage.aws.exports();

    if settled.exports > 0 || settled.deliveries > 0 {
        let patience_s = settled.after.as_secs();
        for (id, reason) in database::stragglers(&stage.pool).await? {
            stage.ledger.violated(
                "not ended in time",
                format!("{reason} after {patience_s} s"),
                Some(&id).filter(|id| !id.is_empty()).map(String::as_str),
            );
        }
    }
    let known: BTreeSet<String> = rows.iter().map(|row| row.id.to_string()).collect();
    let deleted: Vec<Record> = orders
        .iter()
        .filter_map(|(key, order)| deleted(key, order))
        .filter(|r| !known.contains(&r.id))
        .collect();
    let kept: Vec<Record> = rows.iter().map(|row| kept(row, &orders)).collect();
    let records = [kept.as_slice(), deleted.as_slice()].concat();

    acknowledged::check(stage, &orders, &rows).await;
    endpoints::check(stage).await;
    let mut violations = stage.ledger.violations();
    for row in &rows {
        violations.extend(history::judge(
            row,
            histories.get(&row.id).map_or(&[], Vec::as_slice),
            scheduled.contains(&row.id),
        ));
    }
    violations.extend(starts::judge(&records, &simulated));
    let hearers = deliveries::hearers(stage);
    violations.extend(deliveries::judge(&kept, &histories, &deleted, &hearers));

    let mut by_status = BTreeMap::new();
    for record in &records {
        *by_status.entry(record.status.clone()).or_default() += 1;
    }
    let acknowledged = orders.values().filter(|order| order.id().is_some()).count();
    let count = |came: &[deliveries::Webhook]| Count {
        all: came.len(),
        refused: came.iter().filter(|one| !one.was_answered).count(),
    };
    Ok(Outcome {
        acknowledged,
        unacknowledged: orders.len() - acknowledged,
        started: simulated.len(),
        by_status,
        webhooks: hearers
            .iter()
            .map(|hearer| (hearer.name.clone(), count(&hearer.came)))
            .collect(),
        most_attempts: database::most_attempts(&stage.pool).await?,
        violations,
    })
}

fn kept(row: &database::ExportRow, orders: &BTreeMap<String, Order>) -> Record {
    let key = row.idempotency_key.clone().unwrap_or_default();
    Record {
        id: row.id.to_string(),
        labels: orders.get(&key).map(labels).unwrap_or_default(),
        key,
        token: row.client_token.clone(),
        arn: row.export_arn.clone(),
        status: row.export_status.clone(),
        in_doubt: row.start_in_doubt,
        has_callback: row.callback_url.is_some(),
    }
}

fn labels(order: &Order) -> BTreeMap<String, String> {
    let labels = order.body["labels"].as_object().into_iter().flatten();
    labels
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// The record that a client deleted, as it saw it last.
fn deleted(key: &str, order: &Order) -> Option<Record> {
    let seen = order.deleted.as_ref()?;
    let text = |field: &str| seen[field].as_str().map(str::to_owned);
    Some(Record {
        id: text("id").unwrap_or_default(),
        key: key.to_owned(),
        token: text("client_token"),
        arn: text("arn"),
        status: text("export_status").unwrap_or_default(),
        in_doubt: seen["export_status"] == "TIMED_OUT"
            && seen["arn"].is_null()
            && seen["failure"]["retryable"] == false,
        has_callback: !seen["callback_url"].is_null(),
        labels: labels(order),
    })
}
