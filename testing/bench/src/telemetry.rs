//! The cost of telemetry: the accept rate with metrics, traces and log lines, next to a process
//! without them.

use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use tokio::net::TcpListener;

use crate::Failed;
use crate::accepts::body;
use crate::load;
use crate::report::{Figure, Goal};
use crate::stage::{Limits, Stage};

/// The number of clients, as in the case `accepts`.
const CLIENTS: usize = 64;

/// How long one load lasts, and its warm-up. The variants alternate and are loaded equally often,
/// because the machine's speed drifts.
const LASTING: Duration = Duration::from_secs(2);
const WARM_UP: Duration = Duration::from_millis(500);
const TURNS: u32 = 4;

pub async fn costs(program: &Path) -> Result<Vec<Figure>, Failed> {
    let stage = Stage::set_up(program).await?;
    let collector = collector().await?;
    let silent: &[(&str, &str)] = &[("TABLEFERRY_METRICS", "false"), ("TABLEFERRY_LOG", "off")];
    let metrics: &[(&str, &str)] = &[("TABLEFERRY_LOG", "off")];
    let lines: &[(&str, &str)] = &[("TABLEFERRY_LOG", "info,sqlx=error")];
    let traced = |share| {
        let sampler = [
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", share),
        ];
        [
            sampler[0],
            sampler[1],
            ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.as_str()),
            ("TABLEFERRY_LOG", "off"),
        ]
    };
    let ways = [silent, metrics, &traced("0.01"), &traced("1"), lines];
    let mut rates = [0.0; 5];
    for _ in 0..TURNS {
        for (way, rate) in ways.iter().zip(&mut rates) {
            let service = stage.service_with("api", Limits::None, way).await?;
            let plain = |client: usize, n: usize| {
                load::post("/v1/exports", "", &body(client, n).to_string())
            };
            load::run(service.address, CLIENTS, WARM_UP, 202, plain).await?;
            *rate += load::run(service.address, CLIENTS, LASTING, 202, plain)
                .await?
                .per_second();
        }
    }
    let [silent, metrics, few, all, lines] = rates;
    let goal = Some(Goal::AtLeast(0.95));
    Ok(vec![
        Figure {
            name: "silent, accepts per second",
            value: silent / f64::from(TURNS),
            goal: None,
        },
        Figure {
            name: "metrics, ratio to silent",
            value: metrics / silent,
            goal,
        },
        Figure {
            name: "metrics, 1 % of traces, ratio to silent",
            value: few / silent,
            goal,
        },
        Figure {
            name: "metrics, all traces, ratio to silent",
            value: all / silent,
            goal: None,
        },
        Figure {
            name: "metrics, a log line each, ratio to silent",
            value: lines / silent,
            goal: None,
        },
    ])
}

/// Accepts anything it is sent. Returns its URL.
async fn collector() -> Result<String, Failed> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move {
        axum::serve(
            listener,
            Router::new().route("/v1/traces", post(async || ())),
        )
        .await
    });
    Ok(url)
}
