//! 100,000 exports in flight over 400 accounts and regions, polled by one process under AWS's usual
//! limits, except for the pace of polls: with 250 exports in a lane, 5.4 polls per second become
//! due, so the default of 5 would delay them even on an idle machine.
//!
//! Their tables have history: each export started at some time in the last ten minutes and is
//! likely to end 500 to 590 seconds after its start. AWS is a minimal server that reports every
//! export as in progress, so nothing ends and every poll finds no change.

use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, HeaderName};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::Failed;
use crate::database;
use crate::load::{self, Client};
use crate::report::{Figure, Goal};
use crate::stage::{Limits, Stage};

const EXPORTS: usize = 100_000;

/// Accounts and regions over which they are spread.
const LANES: usize = 400;

/// Polls per second that a lane may have.
const POLLS_PER_S: &str = "10";

/// Warm-up: the service catches up with what became due while it started.
const SETTLING: Duration = Duration::from_secs(15);

/// Duration of the measurement.
const LASTING: Duration = Duration::from_secs(30);

pub async fn polled(program: &Path) -> Result<Vec<Figure>, Failed> {
    let mut stage = Stage::set_up(program).await?;
    stage.set_aws_url(aws().await?);
    drop(stage.service("api").await?); // creates the schema
    let mut connection = database::connect(&stage).await?;
    database::run(&mut connection, rows()).await?;
    let service = stage
        .service_with(
            "all",
            Limits::Aws,
            &[("TABLEFERRY_LOOK_RATE_PER_S", POLLS_PER_S)],
        )
        .await?;
    tokio::time::sleep(SETTLING).await;

    let before = (
        polls(&service.address).await?,
        database::wal_bytes(&mut connection).await?,
        service.cpu_s()?,
    );
    tokio::time::sleep(LASTING).await;
    let after = (
        polls(&service.address).await?,
        database::wal_bytes(&mut connection).await?,
        service.cpu_s()?,
    );
    let made = after.0.count - before.0.count;
    if made < 1.0 {
        return Err("no export was polled".into());
    }
    Ok(vec![
        Figure {
            name: "polls per second",
            value: made / LASTING.as_secs_f64(),
            goal: None,
        },
        Figure {
            name: "poll lag p99, at most ms",
            value: after.0.quantile_ms(&before.0, 0.99),
            goal: Some(Goal::AtMost(1000.0)),
        },
        Figure {
            name: "WAL of an unchanged poll, bytes",
            value: (after.1 - before.1) / made,
            goal: Some(Goal::AtMost(600.0)),
        },
        Figure {
            name: "service, cores",
            value: (after.2 - before.2) / LASTING.as_secs_f64(),
            goal: Some(Goal::AtMost(1.0)),
        },
        Figure {
            name: "service, peak memory MB",
            value: service.peak_memory_mb()?,
            goal: Some(Goal::AtMost(200.0)),
        },
    ])
}

/// A fake AWS that reports every export as in progress.
async fn aws() -> Result<String, Failed> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let router = Router::new().route("/", post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(url)
}

async fn answer(headers: HeaderMap, body: String) -> ([(HeaderName, &'static str); 1], String) {
    let target = headers
        .get("x-amz-target")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let asked: Value = serde_json::from_str(&body).unwrap_or_default();
    let said = if target.ends_with("DescribeExport") {
        json!({"ExportDescription": {"ExportArn": asked["ExportArn"], "ExportStatus": "IN_PROGRESS"}})
    } else {
        json!({"ExportSummaries": []})
    };
    (
        [(
            HeaderName::from_static("content-type"),
            "application/x-amz-json-1.0",
        )],
        said.to_string(),
    )
}

/// Exports in progress, each due for a poll when the service itself would schedule it: at the next
/// age for early failures, or every ten seconds while the end is likely.
fn rows() -> String {
    format!(
        "CREATE TEMP TABLE made AS
            SELECT n, gen_random_uuid() AS id, 100000000000 + n % {LANES} AS account, random() * 600 AS age_s FROM generate_series(1, {EXPORTS}) n;
        INSERT INTO exports (id, version, created_at, updated_at, origin, table_arn, account_id, region, s3_bucket, export_format, export_type,
            create_timeout, create_timeout_ms, labels, client_token, client_token_made_at, export_status, export_arn, start_time,
            estimate_basis, estimated_duration_ms, price_usd_per_gb, likely_end_from_ms, likely_end_to_ms)
        SELECT id, 2, now() - age_s * interval '1 second', now(), 'created', table_arn, account::text, 'us-east-1', 'tableferry-exports', 'DYNAMODB_JSON',
            'FULL_EXPORT', '60m', 3600000, '{{}}', id::text, now(), 'IN_PROGRESS', table_arn || '/export/01795400121093-' || substr(id::text, 1, 8),
            now() - age_s * interval '1 second', 'past_exports_of_this_table', 540000, 0.1, 500000, 590000
        FROM made, LATERAL (SELECT 'arn:aws:dynamodb:us-east-1:' || account || ':table/Orders' || n AS table_arn) named;
        INSERT INTO export_schedule (export_id, lane, due_at, delay_ms, phase, deadline_at)
        SELECT id, account || '/us-east-1', now() + interval '1 second' * CASE
                WHEN age_s < 60 THEN 60 - age_s WHEN age_s < 240 THEN 240 - age_s WHEN age_s < 500 THEN 500 - age_s + random() * 5
                ELSE random() * 10 END,
            11800, 'FOLLOW', now() + interval '1 hour'
        FROM made;
        ANALYZE exports, export_schedule;
        CHECKPOINT"
    )
}

/// The histogram of how late polls were.
#[derive(Debug, Clone, Default)]
struct Polls {
    count: f64,
    /// How many polls were at most this many seconds late.
    buckets: Vec<(f64, f64)>,
}

impl Polls {
    /// The upper bound, in milliseconds, of the bucket that contains this quantile of the polls
    /// since `before`.
    fn quantile_ms(&self, before: &Self, share: f64) -> f64 {
        let wanted = (self.count - before.count) * share;
        let earlier = |at: f64| {
            before
                .buckets
                .iter()
                .find(|(bound, _)| *bound == at)
                .map_or(0.0, |(_, count)| *count)
        };
        let bucket = self
            .buckets
            .iter()
            .find(|(bound, count)| count - earlier(*bound) >= wanted);
        bucket.map_or(f64::INFINITY, |(bound, _)| bound * 1000.0)
    }
}

async fn polls(address: &std::net::SocketAddr) -> Result<Polls, Failed> {
    let mut client = Client::connect(*address).await?;
    let answer = client.send(&load::get("/metrics")).await?;
    let mut polls = Polls::default();
    for line in String::from_utf8_lossy(answer.body)
        .lines()
        .filter(|line| line.contains("phase=\"look\""))
    {
        let Some((name, value)) = line.rsplit_once(' ') else {
            continue;
        };
        if name.starts_with("tableferry_export_poll_lag_seconds_count") {
            polls.count += value.parse::<f64>()?;
        } else if name.starts_with("tableferry_export_poll_lag_seconds_bucket")
            && let Some(bound) = name
                .split("le=\"")
                .nth(1)
                .and_then(|rest| rest.split('"').next())
                .and_then(|text| text.parse().ok())
        {
            polls.buckets.push((bound, value.parse()?));
        }
    }
    Ok(polls)
}
