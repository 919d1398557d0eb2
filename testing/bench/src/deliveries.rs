//! Webhooks: delay until the first attempt, and delivery rate while one endpoint hangs.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::Failed;
use crate::receivers::{Counter, counting, hanging, timing};
use crate::report::{Figure, Goal, quantile};
use crate::stage::{Service, Stage};

/// Exports that end in the first case.
const ENDS: usize = 600;

/// Exports that end in the second case; each causes ten deliveries.
const EXPORTS: usize = 1500;

/// Endpoints that answer.
const FAST: usize = 9;

/// Concurrent requests during preparation, and in the reference.
const SIDE_BY_SIDE: usize = 64;

/// Maximum duration of a case.
const PATIENCE: Duration = Duration::from_secs(120);

/// From an ended export's `updated_at` to the arrival at a receiver. That time is read just before
/// the end is committed, so it includes the commit. Exports of a table that AWS does not know end
/// immediately.
pub async fn first_attempt(program: &Path) -> Result<Vec<Figure>, Failed> {
    let stage = Stage::set_up(program).await?;
    let service = stage.service("all").await?;
    let (ages, mut heard) = mpsc::unbounded_channel();
    let url = timing(ages).await?;
    stage
        .post(
            format!("{}/v1/webhook-endpoints", service.url),
            &json!({"url": url}),
        )
        .await?;
    let mut pace = tokio::time::interval(Duration::from_millis(10));
    for n in 0..ENDS {
        pace.tick().await;
        let account = 100_000_000_000 + n % 50;
        let table = format!("arn:aws:dynamodb:us-east-1:{account}:table/NoSuchTable");
        stage
            .post(
                format!("{}/v1/exports", service.url),
                &json!({"table_arn": table, "s3_bucket": "tableferry-exports"}),
            )
            .await?;
    }
    let all = async {
        let mut ages = Vec::new();
        while ages.len() < ENDS {
            ages.extend(heard.recv().await);
        }
        ages
    };
    let mut ages = tokio::time::timeout(PATIENCE, all)
        .await
        .map_err(|_| "not every end was announced in time")?;
    ages.sort_by(f64::total_cmp);
    Ok(vec![
        Figure {
            name: "p50 ms",
            value: quantile(&ages, 0.5),
            goal: None,
        },
        Figure {
            name: "p99 ms",
            value: quantile(&ages, 0.99),
            goal: Some(Goal::AtMost(250.0)),
        },
        Figure {
            name: "maximum ms",
            value: quantile(&ages, 1.0),
            goal: None,
        },
    ])
}

/// A process that only serves the API records the ends of exports; then a process that only runs
/// workers delivers them to nine endpoints that answer and one that hangs. The reference sends the
/// same number of bare requests to the same nine.
pub async fn one_of_ten_hangs(program: &Path) -> Result<Vec<Figure>, Failed> {
    let stage = Arc::new(Stage::set_up(program).await?);
    let api = Arc::new(stage.service("api").await?);
    let counter = Arc::new(Counter::default());
    let mut urls = Vec::new();
    for _ in 0..FAST {
        urls.push(counting(Arc::clone(&counter)).await?);
    }
    for url in urls.iter().chain([&hanging().await?]) {
        let endpoint = json!({"url": url, "event_types": ["export.cancelled"]});
        stage
            .post(format!("{}/v1/webhook-endpoints", api.url), &endpoint)
            .await?;
    }
    end_exports(&stage, &api).await?;

    let began = Instant::now();
    let worker = stage.service("worker").await?;
    let wanted = EXPORTS * FAST;
    tokio::time::timeout(PATIENCE, counter.wait_for(wanted))
        .await
        .map_err(|_| "not everything was delivered in time")?;
    let rate = per_second(wanted, began.elapsed());
    drop(worker);

    let bare = reference(&urls, wanted).await?;
    Ok(vec![
        Figure {
            name: "deliveries per second",
            value: rate,
            goal: Some(Goal::AtLeast(1000.0)),
        },
        Figure {
            name: "bare requests per second",
            value: bare,
            goal: None,
        },
        Figure {
            name: "ratio to bare requests",
            value: rate / bare,
            goal: None,
        },
    ])
}

async fn end_exports(stage: &Arc<Stage>, api: &Arc<Service>) -> Result<(), Failed> {
    let mut tasks = JoinSet::new();
    for n in 0..EXPORTS {
        if tasks.len() >= SIDE_BY_SIDE
            && let Some(done) = tasks.join_next().await
        {
            done??;
        }
        let (stage, api) = (Arc::clone(stage), Arc::clone(api));
        tasks.spawn(async move {
            let table = format!(
                "arn:aws:dynamodb:us-east-1:{}:table/Orders",
                100_000_000_000 + n
            );
            let body = json!({"table_arn": table, "s3_bucket": "tableferry-exports"});
            let export = stage.post(format!("{}/v1/exports", api.url), &body).await?;
            let id = export["id"].as_str().ok_or("an export without an id")?;
            stage
                .post(format!("{}/v1/exports/{id}/cancel", api.url), &json!({}))
                .await
                .map(drop)
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

/// Bare requests of about the same size, each on its own connection, like webhooks.
async fn reference(urls: &[String], wanted: usize) -> Result<f64, Failed> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a measurement talks to loopback only"
    )]
    let http = reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(0)
        .build()?;
    let body = "x".repeat(1500);
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for n in 0..wanted {
        if tasks.len() >= SIDE_BY_SIDE
            && let Some(done) = tasks.join_next().await
        {
            done?;
        }
        let request = http.post(&urls[n % urls.len()]).body(body.clone());
        tasks.spawn(async move {
            // A refused connection would show in the rate; on loopback there are none.
            let _ = request.send().await;
        });
    }
    while let Some(done) = tasks.join_next().await {
        done?;
    }
    Ok(per_second(wanted, began.elapsed()))
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand")]
fn per_second(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}
