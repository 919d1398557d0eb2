//! The checker: after everything has ended, it compares what was acknowledged, what is recorded,
//! what the simulator started and what the receivers got.

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

/// Violations, in the order of the final table.
pub const FIGURES: [&str; 20] = [
    "lost",
    "keys with several ids",
    "started twice",
    "starts without a record",
    "wrong arn or outcome",
    "stale writes",
    "end states changed",
    "not ended in time",
    "missing deliveries",
    "unexpected deliveries",
    "invalid signatures",
    "sent while disabled",
    "endpoints disabled",
    "unexpected responses",
    "unclean stops",
    "replica crashes",
    "work not taken over",
    "replicas not recovered",
    "false readyz",
    "pool slots leaked",
];

/// The checker's results.
#[derive(Debug)]
pub struct Outcome {
    pub acknowledged: usize,
    /// Keys whose clients gave up without a response.
    pub unacknowledged: usize,
    pub started: usize,
    /// The number of records by state.
    pub by_status: BTreeMap<String, usize>,
    /// Webhooks by receiver, including repetitions.
    pub webhooks: Vec<(String, Count)>,
    /// The highest number of attempts of one delivery.
    pub most_attempts: i32,
    pub violations: Vec<Violation>,
}

/// The number of webhooks at a receiver.
#[derive(Debug, Clone, Copy)]
pub struct Count {
    pub all: usize,
    /// Those that it did not answer with 2xx in time.
    pub refused: usize,
}

/// A record of an export: a row, or what a client saw before it deleted the record.
#[derive(Debug, Clone)]
pub struct Record {
    pub id: String,
    /// The idempotency key of its request.
    pub key: String,
    /// The client token of its start.
    pub token: Option<String>,
    /// Its ARN at AWS.
    pub arn: Option<String>,
    pub status: String,
    /// Whether it says that AWS may be running it.
    pub in_doubt: bool,
    /// Whether its end is sent to a callback.
    pub has_callback: bool,
    /// The labels of its request.
    pub labels: BTreeMap<String, String>,
}

/// Runs every check.
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
    let recipients = deliveries::recipients(stage);
    violations.extend(deliveries::judge(&kept, &histories, &deleted, &recipients));

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
        webhooks: recipients
            .iter()
            .map(|recipient| (recipient.name.clone(), count(&recipient.came)))
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

/// The last state that a client saw of a record before it deleted it.
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
