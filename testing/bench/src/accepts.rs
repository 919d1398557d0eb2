//! Durable accepts: rate, latency, and the cost of a callback and of an idempotency key; with
//! pgbench inserting the same row into the same tables as the reference.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tokio::process::Command;

use crate::Failed;
use crate::load::{self, Seen};
use crate::report::{Figure, Goal, quantile};
use crate::stage::Stage;

/// How long one load lasts. Requests of 64 clients with and without a key alternate, because the
/// tables grow meanwhile.
const LASTING: Duration = Duration::from_secs(2);
const TURNS: usize = 3;

/// How long the load of 256 clients lasts.
const MANY_LASTING: Duration = Duration::from_secs(6);

/// Warm-up before a load is measured: connections, plans and caches.
const WARM_UP: Duration = Duration::from_secs(1);

/// The client counts with which pgbench is tried; the best one counts.
const PGBENCH_CLIENTS: [u32; 6] = [4, 8, 16, 32, 64, 128];

/// How long pgbench runs with each, in seconds.
const PGBENCH_S: u32 = 3;

const TABLES: usize = 400;

/// The rows that the service inserts for a plain request: the export, its event and its schedule
/// entry, in one statement. Ids grow with time, as the service's do.
const SINGLE_INSERT: &str = r"\set t random(1, 400)
WITH stored AS (
    INSERT INTO exports (id, version, created_at, updated_at, origin, table_arn, account_id, region, s3_bucket, export_format, export_type,
        create_timeout, create_timeout_ms, labels, client_token, client_token_made_at, export_status, status_reason, estimate_basis,
        estimated_duration_ms, price_usd_per_gb)
    SELECT encode(substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::int8) FROM 3) || substring(uuid_send(gen_random_uuid()) FROM 7), 'hex')::uuid,
        1, now(), now(), 'created', 'arn-aws-dynamodb-us-east-1-123456789012-table/Orders' || :t, '123456789012', 'us-east-1',
        'tableferry-exports', 'DYNAMODB_JSON', 'FULL_EXPORT', '60m', 3600000, '{}', gen_random_uuid()::text, now(), 'PENDING',
        'accepted; AWS has not been asked yet', 'known_range', 720000, 0.1
    ON CONFLICT DO NOTHING
    RETURNING id
), scheduled AS (
    INSERT INTO export_schedule (export_id, lane, due_at, delay_ms, phase, deadline_at)
    SELECT id, '123456789012/us-east-1', now(), 0, 'START', now() + interval '1 hour' FROM stored
), inserted_event AS (
    INSERT INTO export_events (export_id, sequence, type, at, export_status, detail)
    SELECT id, 1, 'export.created', now(), 'PENDING', 'accepted by Tableferry' FROM stored
)
SELECT id FROM stored;
";

pub async fn accepts(program: &Path) -> Result<Vec<Figure>, Failed> {
    let stage = Stage::set_up(program).await?;
    let service = stage.service("api").await?;
    let plain =
        |client: usize, n: usize| load::post("/v1/exports", "", &body(client, n).to_string());
    let round = std::process::id();
    let keyed = move |turn: usize, client: usize, n: usize| {
        let mut body = body(client, n);
        body["callback_url"] = json!("http://127.0.0.1:9/hook");
        body["callback_secret"] = json!("whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=");
        load::post(
            "/v1/exports",
            &format!("idempotency-key: {round}-{turn}-{client}-{n}\r\n"),
            &body.to_string(),
        )
    };
    load::run(service.address, 64, WARM_UP, 202, plain).await?;
    let (mut at_64, mut with_key) = (Seen::default(), Seen::default());
    for turn in 0..TURNS {
        at_64 = at_64.and(load::run(service.address, 64, LASTING, 202, plain).await?);
        with_key = with_key.and(
            load::run(service.address, 64, LASTING, 202, move |client, n| {
                keyed(turn, client, n)
            })
            .await?,
        );
    }
    let at_256 = load::run(service.address, 256, MANY_LASTING, 202, plain).await?;
    drop(service);
    let reference = pgbench(&stage).await?;
    let ratio = |rate: f64| rate / reference;
    Ok(vec![
        Figure {
            name: "pgbench at its best, inserts per second",
            value: reference,
            goal: None,
        },
        Figure {
            name: "64 clients, accepts per second",
            value: at_64.per_second(),
            goal: None,
        },
        Figure {
            name: "64 clients, ratio to pgbench",
            value: ratio(at_64.per_second()),
            goal: Some(Goal::AtLeast(2.0)),
        },
        Figure {
            name: "256 clients, accepts per second",
            value: at_256.per_second(),
            goal: None,
        },
        Figure {
            name: "256 clients, ratio to pgbench",
            value: ratio(at_256.per_second()),
            goal: Some(Goal::AtLeast(2.0)),
        },
        Figure {
            name: "64 clients, p50 ms",
            value: quantile(&at_64.latencies_ms, 0.5),
            goal: Some(Goal::AtMost(5.0)),
        },
        Figure {
            name: "64 clients, p99 ms",
            value: quantile(&at_64.latencies_ms, 0.99),
            goal: Some(Goal::AtMost(20.0)),
        },
        Figure {
            name: "256 clients, p99 ms",
            value: quantile(&at_256.latencies_ms, 0.99),
            goal: None,
        },
        Figure {
            name: "with callback and key, ratio to plain",
            value: with_key.per_second() / at_64.per_second(),
            goal: Some(Goal::AtLeast(0.8)),
        },
    ])
}

pub fn body(client: usize, n: usize) -> serde_json::Value {
    let table = (client * 31 + n) % TABLES;
    json!({
        "table_arn": format!("arn:aws:dynamodb:us-east-1:123456789012:table/Orders{table}"),
        "s3_bucket": "tableferry-exports",
    })
}

/// Rows per second of pgbench, each by a prepared statement with its own commit, at the best number
/// of clients.
async fn pgbench(stage: &Stage) -> Result<f64, Failed> {
    let script = stage.folder().join("insert.sql");
    std::fs::write(&script, SINGLE_INSERT)?;
    let mut best: f64 = 0.0;
    for clients in PGBENCH_CLIENTS {
        let output = Command::new(stage.postgres_program("pgbench")?)
            .args(["--no-vacuum", "--protocol=prepared", "--jobs=2"])
            .args([format!("--client={clients}"), format!("--time={PGBENCH_S}")])
            .arg("--file")
            .arg(&script)
            .arg(stage.database_url())
            .stdin(Stdio::null())
            .output()
            .await?;
        let text = String::from_utf8_lossy(&output.stdout);
        let rate = text.lines().find_map(|line| {
            line.strip_prefix("tps = ")?
                .split_whitespace()
                .next()?
                .parse::<f64>()
                .ok()
        });
        best = best.max(
            rate.ok_or_else(|| format!("pgbench: {}", String::from_utf8_lossy(&output.stderr)))?,
        );
    }
    Ok(best)
}
