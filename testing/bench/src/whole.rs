//! Many small exports from the request to COMPLETED, through every part of one process: accepted
//! over HTTP, started at the simulator, polled, and completed; first without a webhook endpoint,
//! then with one that is notified of every completed export.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

use crate::Failed;
use crate::database;
use crate::load::{self, Client};
use crate::processor;
use crate::receivers::{Counter, counting};
use crate::report::{Figure, Goal};
use crate::stage::{Limits, Stage};

const EXPORTS: usize = 10_000;

const CLIENTS: usize = 32;

/// Accounts over which they are spread; each is a lane.
const ACCOUNTS: usize = 50;

/// Maximum duration for all exports.
const PATIENCE: Duration = Duration::from_secs(180);

pub async fn to_the_end(program: &Path) -> Result<Vec<Figure>, Failed> {
    let (without, mut figures) = run(program, None).await?;
    let (with, _) = run(program, Some(Arc::default())).await?;
    figures.push(Figure {
        name: "COMPLETED per second with an endpoint",
        value: with,
        goal: None,
    });
    figures.push(Figure {
        name: "ratio to no endpoint",
        value: with / without,
        goal: Some(Goal::AtLeast(0.85)),
    });
    Ok(figures)
}

/// The exports COMPLETED per second, and all figures. With a counter, an endpoint is notified of
/// every completed export, and the run waits for the last notification.
async fn run(program: &Path, heard: Option<Arc<Counter>>) -> Result<(f64, Vec<Figure>), Failed> {
    let stage = Stage::with_tables(program, ACCOUNTS).await?;
    let service = stage
        .service_with(
            "all",
            Limits::None,
            &[("TABLEFERRY_POLL_INTERVAL_MIN_MS", "1000")],
        )
        .await?;
    if let Some(heard) = &heard {
        let endpoint =
            json!({"url": counting(Arc::clone(heard)).await?, "event_types": ["export.completed"]});
        stage
            .post(format!("{}/v1/webhook-endpoints", service.url), &endpoint)
            .await?;
    }
    let before = (stage.postgres_cpu_s()?, processor::of(std::process::id())?);
    let began = Instant::now();
    let next = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (next, address) = (Arc::clone(&next), service.address);
        clients.spawn(async move {
            let mut client = Client::connect(address).await?;
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= EXPORTS {
                    return Ok::<_, Failed>(());
                }
                let table = format!(
                    "arn:aws:dynamodb:us-east-1:{}:table/Ten",
                    100_000_000_000 + n % ACCOUNTS
                );
                let body =
                    json!({"table_arn": table, "s3_bucket": "tableferry-exports"}).to_string();
                let answer = client.send(&load::post("/v1/exports", "", &body)).await?;
                if answer.status != 202 {
                    return Err(format!("the service answered {}", answer.status).into());
                }
            }
        });
    }
    while let Some(done) = clients.join_next().await {
        done??;
    }
    let accepted = began.elapsed();
    let mut connection = database::connect(&stage).await?;
    let wanted = i64::try_from(EXPORTS)?;
    while database::count(&mut connection, "export_status = 'COMPLETED'").await? < wanted {
        if began.elapsed() > PATIENCE {
            let left = database::count(&mut connection, "export_status <> 'COMPLETED'").await?;
            return Err(format!("{left} of {EXPORTS} exports were not COMPLETED in time").into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let took = began.elapsed();
    if let Some(heard) = &heard {
        tokio::time::timeout(PATIENCE, heard.wait_for(EXPORTS))
            .await
            .map_err(|_| "not every end was delivered in time")?;
    }
    let after = (stage.postgres_cpu_s()?, processor::of(std::process::id())?);
    let items: i64 = sqlx::query_scalar("SELECT coalesce(sum(item_count), 0)::bigint FROM exports")
        .fetch_one(&mut connection)
        .await?;
    if items != wanted * 10 {
        return Err(format!("{items} items were exported instead of {}", wanted * 10).into());
    }
    #[expect(clippy::cast_precision_loss, reason = "ten thousand")]
    let rate = |time: Duration| EXPORTS as f64 / time.as_secs_f64();
    let figures = vec![
        Figure {
            name: "accepted per second meanwhile",
            value: rate(accepted),
            goal: None,
        },
        Figure {
            name: "COMPLETED per second",
            value: rate(took),
            goal: Some(Goal::AtLeast(1000.0)),
        },
        Figure {
            name: "service, CPU seconds",
            value: service.cpu_s()?,
            goal: None,
        },
        Figure {
            name: "Postgres, CPU seconds",
            value: after.0 - before.0,
            goal: None,
        },
        Figure {
            name: "simulator and load, CPU seconds",
            value: after.1 - before.1,
            goal: None,
        },
    ];
    Ok((rate(took), figures))
}
