//! The sample export: created over REST like any other, shown event by event, then its files.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tableferry_simulator::Simulator;

use super::receiver::Receiver;
use super::{DevError, SAMPLE_TIMEOUT};
use crate::dev::places::say;

const BUCKET: &str = "tableferry-exports";
const TABLE: &str = "arn:aws:dynamodb:us-east-1:123456789012:table/Orders";

/// Creates the sample export, prints its events and lists its files. Fails if it is not COMPLETED.
pub async fn show(
    service: &str,
    simulator: &Simulator,
    receiver: &Receiver,
) -> Result<(), DevError> {
    #[expect(clippy::disallowed_methods, reason = "our own service on loopback")]
    let http = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(30))
        .build()
        .map_err(failed)?;
    let ask = json!({"table_arn": TABLE, "s3_bucket": BUCKET, "s3_prefix": "first-look", "callback_url": receiver.url, "labels": {"made-by": "make run"}});
    say(&format!(
        "Creating an export of the sample table:\n  POST {service}/v1/exports\n  {ask}\n\n"
    ));
    let began = Instant::now();
    let answer = http
        .post(format!("{service}/v1/exports"))
        .json(&ask)
        .send()
        .await
        .map_err(failed)?;
    let status = answer.status();
    let export: Value = answer.json().await.map_err(failed)?;
    let id = export["id"]
        .as_str()
        .ok_or_else(|| DevError::Sample(format!("the service answered {status}: {export}")))?;
    say(&format!(
        "  {} is its id; these are its events (GET /v1/exports/{id}/events):\n",
        id
    ));
    follow(&http, service, id, began).await?;
    let export: Value = http
        .get(format!("{service}/v1/exports/{id}"))
        .send()
        .await
        .map_err(failed)?
        .json()
        .await
        .map_err(failed)?;
    if export["export_status"] != "COMPLETED" {
        return Err(DevError::Sample(export.to_string()));
    }
    let (items, bytes) = (&export["item_count"], &export["billed_size_in_bytes"]);
    say(&format!(
        "\n  COMPLETED: {items} items, {bytes} bytes billed, manifest at {}\n",
        export["manifest_files_s3_key"]
    ));
    let received = tokio::time::timeout(Duration::from_secs(10), async {
        receiver.received.lock().await.recv().await
    })
    .await;
    if let Ok(Some(line)) = received {
        say(&format!("  Webhook received: {line}\n"));
    }
    list_files(&http, simulator, export["arn"].as_str().unwrap_or_default()).await
}

/// Prints each event until the export has ended.
async fn follow(
    http: &reqwest::Client,
    service: &str,
    id: &str,
    began: Instant,
) -> Result<(), DevError> {
    let mut response = http
        .get(format!("{service}/v1/exports/{id}/events"))
        .header("accept", "text/event-stream")
        .timeout(SAMPLE_TIMEOUT)
        .send()
        .await
        .map_err(failed)?;
    let mut text = String::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        text.push_str(&String::from_utf8_lossy(&chunk));
        while let Some((message, rest)) = text.split_once("\n\n") {
            if let Some(data) = message.lines().find_map(|line| line.strip_prefix("data: ")) {
                let event: Value = serde_json::from_str(data).unwrap_or_default();
                let kind = event["type"].as_str().unwrap_or_default();
                let detail = event["detail"].as_str().unwrap_or_default();
                say(&format!(
                    "  {:>5.1} s  {kind:<18} {detail}\n",
                    began.elapsed().as_secs_f64()
                ));
            }
            text = rest.to_owned();
        }
    }
    Ok(())
}

/// Lists the export's files in S3.
async fn list_files(
    http: &reqwest::Client,
    simulator: &Simulator,
    arn: &str,
) -> Result<(), DevError> {
    let export_id = arn.rsplit('/').next().unwrap_or_default();
    let url = format!(
        "{}/{BUCKET}?list-type=2&prefix=first-look/AWSDynamoDB/{export_id}",
        simulator.s3_url()
    );
    let listing = http
        .get(&url)
        .send()
        .await
        .map_err(failed)?
        .text()
        .await
        .map_err(failed)?;
    let between = |text: &str, tag: &str| {
        let (_, rest) = text.split_once(&format!("<{tag}>"))?;
        rest.split_once(&format!("</{tag}>"))
            .map(|(value, _)| value.to_owned())
    };
    let files: Vec<_> = listing
        .split("<Contents>")
        .skip(1)
        .filter_map(|object| Some((between(object, "Key")?, between(object, "Size")?)))
        .collect();
    if files.is_empty() {
        return Err(DevError::Sample(format!(
            "no files are listed at {url}: {listing}"
        )));
    }
    say(&format!(
        "\n  Files in s3://{BUCKET} (on this disk in {}):\n",
        simulator.data_dir().display()
    ));
    for (key, size) in files {
        say(&format!("  {size:>9} bytes  {key}\n"));
    }
    Ok(())
}

fn failed(error: reqwest::Error) -> DevError {
    DevError::Sample(error.to_string())
}
