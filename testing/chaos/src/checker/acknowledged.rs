//! Every acknowledged export still exists under one id, and its idempotency key still refers to it.

use std::collections::{BTreeMap, HashMap};

use reqwest::StatusCode;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::database::ExportRow;
use crate::ledger::Order;
use crate::stage::Stage;
use crate::trouble::REPLICAS;

/// Concurrent requests.
const MAX_CONCURRENT: usize = 8;

/// Requests every acknowledged export from the service, by id and by key, from all replicas in
/// turn.
pub async fn check(stage: &Stage, orders: &BTreeMap<String, Order>, rows: &[ExportRow]) {
    let statuses: HashMap<String, &str> = rows
        .iter()
        .map(|row| (row.id.to_string(), row.export_status.as_str()))
        .collect();
    let mut asking = JoinSet::new();
    for (number, (key, order)) in orders.iter().enumerate() {
        let Some(id) = order.id() else { continue };
        if order.ids.iter().any(|other| other != id) {
            stage.ledger.violated(
                "keys with several ids",
                format!("{key}: {:?}", order.ids),
                Some(id),
            );
        }
        let status = statuses.get(id).map(|status| (*status).to_owned());
        while asking.len() >= MAX_CONCURRENT {
            asking.join_next().await;
        }
        asking.spawn(ask(
            stage.clone(),
            number % REPLICAS,
            key.clone(),
            order.clone(),
            status,
        ));
    }
    while asking.join_next().await.is_some() {}
}

async fn ask(stage: Stage, replica: usize, key: String, order: Order, row_status: Option<String>) {
    let id = order.id().unwrap_or_default();
    let wrong = |figure, what: String| stage.ledger.violated(figure, what, Some(id));
    let url = stage.replicas[replica].url(&format!("/v1/exports/{id}"));
    let Ok((status, export, _)) = answer(stage.http.get(url)).await else {
        return wrong(
            "unexpected responses",
            "GET by id: no answer although nothing is broken".to_owned(),
        );
    };
    if order.deleted.is_some() {
        // A deletion without a response may or may not have happened.
        if order.is_deleted && status != StatusCode::NOT_FOUND {
            wrong(
                "unexpected responses",
                format!("GET returned {status} after the deletion"),
            );
        }
        return;
    }
    if status != StatusCode::OK || row_status.is_none() {
        return wrong(
            "lost",
            format!("{key}: GET by id returned {status}, and its row is {row_status:?}"),
        );
    }
    if export["export_status"].as_str() != row_status.as_deref() {
        wrong(
            "wrong arn or outcome",
            format!(
                "GET says {}, the row {row_status:?}",
                export["export_status"]
            ),
        );
    }
    if order.is_cancelled && row_status.as_deref() != Some("CANCELLED") {
        wrong(
            "end states changed",
            format!("its cancellation was answered with 200, but now it is {row_status:?}"),
        );
    }
    let again = stage
        .http
        .post(stage.replicas[replica].url("/v1/exports"))
        .header("idempotency-key", &key)
        .json(&order.body);
    match answer(again).await {
        Ok((StatusCode::ACCEPTED | StatusCode::OK, export, true))
            if export["id"].as_str() == Some(id) => {}
        Ok((StatusCode::ACCEPTED | StatusCode::OK, export, replayed)) => {
            wrong(
                "keys with several ids",
                format!(
                    "{key} stands for {} now (replayed: {replayed})",
                    export["id"]
                ),
            );
        }
        Ok((status, body, _)) => wrong(
            "unexpected responses",
            format!("the repeated POST returned {status} {body}"),
        ),
        Err(error) => wrong(
            "unexpected responses",
            format!("the repeated POST: {error}"),
        ),
    }
}

/// Status, body and whether it is a replay.
async fn answer(
    request: reqwest::RequestBuilder,
) -> Result<(StatusCode, Value, bool), reqwest::Error> {
    let response = request.send().await?;
    let replayed = response
        .headers()
        .get("idempotent-replayed")
        .is_some_and(|value| value == "true");
    let status = response.status();
    let text = response.text().await?;
    Ok((
        status,
        serde_json::from_str(&text).unwrap_or_default(),
        replayed,
    ))
}
