//! Pages of 50 among a million exports, 16 clients: every filter alone and every pair, with common
//! and rare values, and pages far into the list.
//!
//! The values of different filters are independent. Statuses: 93 % COMPLETED, 4 % FAILED, 2 %
//! IN_PROGRESS, 1 % PENDING. Tables: one has 5 % of all exports, the other 4,999 have about 190
//! each. Buckets: one has 30 %, 19 share the rest, one has a hundred exports. Types: 70 % full.
//! Labels: `env` has three values, `team` fifty, `run` a thousand; the service's own code computes
//! their bloom filters. Creation times are spread evenly over 60 days.

use std::path::Path;

use crate::Failed;
use crate::database;
use crate::load::{self, Client};
use crate::report::{Figure, Goal, quantile};
use crate::stage::{Service, Stage};

const EXPORTS: usize = 1_000_000;

/// The number of clients, and how often each requests every page.
const CLIENTS: usize = 16;
const TIMES: usize = 25;

/// Warm-up requests of each client, until the service has opened its connections to Postgres and
/// prepared the statements on each.
const WARM_UP: usize = 3;

/// Filters by name, each with a common and a rare value.
const FILTERS: [(&str, [&str; 2]); 6] = [
    (
        "status",
        ["export_status=COMPLETED", "export_status=PENDING"],
    ),
    (
        "table",
        [
            "table_arn=arn:aws:dynamodb:us-east-1:123456789012:table/Table0",
            "table_arn=arn:aws:dynamodb:us-east-1:123456789012:table/Table77",
        ],
    ),
    ("bucket", ["s3_bucket=bucket-0", "s3_bucket=bucket-rare"]),
    (
        "type",
        ["export_type=FULL_EXPORT", "export_type=INCREMENTAL_EXPORT"],
    ),
    ("label", ["label=env:e1", "label=run:r7"]),
    ("created", ["created_after=", "created_before="]),
];

pub async fn pages(program: &Path) -> Result<Vec<Figure>, Failed> {
    let stage = Stage::set_up(program).await?;
    let service = stage.service("api").await?;
    let mut connection = database::connect(&stage).await?;
    database::run(&mut connection, rows()).await?;
    for table in ["exports", "export_labels"] {
        database::run(&mut connection, format!("VACUUM ANALYZE {table}")).await?;
    }
    let mut queries = queries(&mut connection).await?;
    queries.extend(far_in(&service).await?);

    let scans_before = sequential_scans(&mut connection).await?;
    let mut measured = Vec::new();
    for query in queries {
        let path = format!("/v1/exports?{query}");
        let answers = asked(&service, path).await?;
        measured.push((quantile(&answers, 0.99), quantile(&answers, 0.5), query));
    }
    let scans = sequential_scans(&mut connection).await? - scans_before;
    measured.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (p99, p50, query) in measured.iter().take(8) {
        eprintln!("bench: lists: p99 {p99:.1} ms, p50 {p50:.1} ms: {query}");
    }
    let p99: Vec<f64> = measured.iter().rev().map(|(p99, ..)| *p99).collect();
    #[expect(clippy::cast_precision_loss, reason = "a few")]
    let scans = scans as f64;
    Ok(vec![
        Figure {
            name: "p99 of the slowest page, ms",
            value: quantile(&p99, 1.0),
            goal: Some(Goal::AtMost(10.0)),
        },
        Figure {
            name: "p99 of the middle page, ms",
            value: quantile(&p99, 0.5),
            goal: None,
        },
        Figure {
            name: "sequential scans",
            value: scans,
            goal: Some(Goal::AtMost(0.0)),
        },
    ])
}

/// A page for each filter alone and each pair, with each of their values.
async fn queries(connection: &mut sqlx::PgConnection) -> Result<Vec<String>, Failed> {
    let time = "SELECT to_char((now() - interval '30 days') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')";
    let middle: String = sqlx::query_scalar(time).fetch_one(connection).await?;
    let whole = |value: &str| {
        if value.ends_with("ed_after=") || value.ends_with("ed_before=") {
            format!("{value}{middle}")
        } else {
            value.to_owned()
        }
    };
    let mut queries = vec![String::new()];
    for (n, (_, values)) in FILTERS.iter().enumerate() {
        for value in values.map(whole) {
            queries.push(value.clone());
            for (_, others) in &FILTERS[n + 1..] {
                queries.extend(others.map(whole).map(|other| format!("{value}&{other}")));
            }
        }
    }
    queries.push("label=env:e1&label=team:t3".to_owned());
    queries.push("label=run:r7&label=team:t3".to_owned());
    Ok(queries)
}

/// Pages far into the list: those after 100 pages of 200 exports.
async fn far_in(service: &Service) -> Result<Vec<String>, Failed> {
    let mut client = Client::connect(service.address).await?;
    let mut queries = Vec::new();
    for filter in ["", "export_status=COMPLETED", "label=env:e1"] {
        let mut token = String::new();
        for _ in 0..100 {
            let query = if token.is_empty() {
                format!("page_size=200&{filter}")
            } else {
                format!("page_size=200&{filter}&page_token={token}")
            };
            let answer = client
                .send(&load::get(&format!(
                    "/v1/exports?{}",
                    query.trim_end_matches('&')
                )))
                .await?;
            let page: serde_json::Value = serde_json::from_slice(answer.body)?;
            token = page["next_page_token"]
                .as_str()
                .ok_or("the pages ended early")?
                .to_owned();
        }
        queries.push(
            format!("{filter}&page_token={token}")
                .trim_start_matches('&')
                .to_owned(),
        );
    }
    Ok(queries)
}

/// The latencies of this page, in milliseconds, sorted.
async fn asked(service: &Service, path: String) -> Result<Vec<f64>, Failed> {
    let bytes = load::get(&path);
    let request = move |_, _| bytes.clone();
    load::times(service.address, CLIENTS, WARM_UP, 200, request.clone()).await?;
    load::times(service.address, CLIENTS, TIMES, 200, request)
        .await
        .map(|seen| seen.latencies_ms)
}

/// The number of sequential scans of the two tables that lists read.
async fn sequential_scans(connection: &mut sqlx::PgConnection) -> Result<i64, Failed> {
    // Other connections report their counts when they have been idle for a second.
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    let statement = "SELECT sum(seq_scan)::bigint FROM pg_stat_user_tables WHERE relname IN ('exports', 'export_labels')";
    Ok(sqlx::query_scalar(statement).fetch_one(connection).await?)
}

fn rows() -> String {
    format!(
        "CREATE TEMP TABLE made AS
            SELECT n, at, encode(substring(int8send((extract(epoch FROM at) * 1000)::int8) FROM 3) || substring(uuid_send(gen_random_uuid()) FROM 7), 'hex')::uuid AS id,
                CASE WHEN random() < 0.05 THEN 0 ELSE 1 + floor(random() * 4999)::int END AS t,
                CASE WHEN n % 10000 = 0 THEN 'rare' WHEN random() < 0.3 THEN '0' ELSE (1 + floor(random() * 18)::int)::text END AS bucket,
                CASE WHEN random() < 0.93 THEN 'COMPLETED' WHEN random() < 0.57 THEN 'FAILED' WHEN random() < 0.67 THEN 'IN_PROGRESS' ELSE 'PENDING' END AS status,
                random() < 0.7 AS is_full,
                jsonb_build_object('env', 'e' || floor(random() * 3)::int, 'team', 't' || floor(random() * 50)::int, 'run', 'r' || floor(random() * 1000)::int) AS labels
            FROM (SELECT n, now() - (n::float8 / {EXPORTS}) * interval '60 days' AS at FROM generate_series(1, {EXPORTS}) n) spread;
        INSERT INTO exports (id, version, created_at, updated_at, origin, table_arn, account_id, region, s3_bucket, export_format, export_type, export_from_time,
            export_view_type, create_timeout, create_timeout_ms, labels, client_token, client_token_made_at, export_status, export_arn, start_time, end_time, item_count,
            billed_size_in_bytes, manifest_key, failure_source, failure_code, failure_message, estimate_basis, estimated_duration_ms, price_usd_per_gb)
        SELECT id, 3, at, at, 'created', 'arn:aws:dynamodb:us-east-1:123456789012:table/Table' || t, '123456789012', 'us-east-1', 'bucket-' || bucket, 'DYNAMODB_JSON',
            CASE WHEN is_full THEN 'FULL_EXPORT' ELSE 'INCREMENTAL_EXPORT' END, CASE WHEN NOT is_full THEN at END, CASE WHEN NOT is_full THEN 'NEW_IMAGE' END,
            '60m', 3600000, labels, id::text, at, status, CASE WHEN status <> 'PENDING' THEN 'arn:aws:dynamodb:us-east-1:123456789012:table/Table' || t || '/export/' || id END,
            CASE WHEN status <> 'PENDING' THEN at END, CASE WHEN status IN ('COMPLETED', 'FAILED') THEN at + interval '5 minutes' END,
            CASE WHEN status = 'COMPLETED' THEN 10 END, CASE WHEN status = 'COMPLETED' THEN 1000 END, CASE WHEN status = 'COMPLETED' THEN 'AWSDynamoDB/x/manifest-summary.json' END,
            CASE WHEN status = 'FAILED' THEN 'aws' END, CASE WHEN status = 'FAILED' THEN 'S3NoSuchBucket' END, CASE WHEN status = 'FAILED' THEN 'no such bucket' END,
            'known_range', 720000, 0.1
        FROM made ORDER BY made.id;
        CREATE FUNCTION pg_temp.mark(text) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$ SELECT 1::bigint << (get_byte(sha256(convert_to($1, 'UTF8')), 0) & 63) $$;
        INSERT INTO export_labels (label, export_id, marks)
        SELECT each.key || ':' || each.value, id, pg_temp.mark('bucket:bucket-' || bucket) | pg_temp.mark('table:arn:aws:dynamodb:us-east-1:123456789012:table/Table' || t)
            | pg_temp.mark(CASE WHEN is_full THEN 'type:FULL_EXPORT' ELSE 'type:INCREMENTAL_EXPORT' END)
            | (SELECT bit_or(pg_temp.mark('label:' || own.key || ':' || own.value)) FROM jsonb_each_text(labels) AS own)
        FROM made, jsonb_each_text(labels) AS each"
    )
}
