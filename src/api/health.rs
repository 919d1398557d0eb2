//! Health and metrics, without authentication.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use super::ApiState;
use super::problem::docs::problems;
use super::problem::{Problem, ProblemType};
use crate::telemetry;

/// The status of the process.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok`.
    #[schema(example = "ok")]
    pub status: &'static str,
}

/// Liveness
///
/// Checks only the process itself. The response is 503 if a worker has made no progress for 5
/// minutes; restart the process then.
#[utoipa::path(get, path = "/livez", tag = "Operations", security(()), responses((status = 200, description = "The process is alive", body = Health), HealthProblems))]
pub async fn get_liveness(State(state): State<ApiState>) -> Result<Json<Health>, Problem> {
    match state.progress.stuck(Instant::now()) {
        Some((worker, since)) => {
            let detail = format!(
                "the {worker} worker has made no progress for {} s",
                since.as_secs()
            );
            Err(Problem::new(ProblemType::Unavailable, detail))
        }
        None => Ok(Json(Health { status: "ok" })),
    }
}

problems!(HealthProblems = NONE, Unavailable);

/// How long storing new exports may fail before the process is not ready.
const FAILING_LIMIT: Duration = Duration::from_secs(3);

/// Readiness
///
/// The response is 200 if the database answers within 5 seconds, accepts writes and has the schema
/// of this version, new exports can be stored, and the process is not stopping. Otherwise `detail`
/// says which of these is not the case.
#[utoipa::path(get, path = "/readyz", tag = "Operations", security(()), responses((status = 200, description = "The process is ready", body = Health), HealthProblems))]
pub async fn get_readiness(State(state): State<ApiState>) -> Result<Json<Health>, Problem> {
    let not_ready = |why: &str| Problem::new(ProblemType::Unavailable, why);
    if state.signals.stopping.is_cancelled() {
        return Err(not_ready("the process is stopping"));
    }
    if let Err(problem) = state.store.health().await {
        return Err(not_ready(&problem.to_string()));
    }
    if state.is_unprepared.load(Ordering::Relaxed) {
        return Err(not_ready(
            "the process could not check or migrate the database's schema yet; its log says why",
        ));
    }
    match state.accepts.failing_for() {
        Some(since) if since > FAILING_LIMIT => Err(not_ready(&format!(
            "no new export could be stored for {} s",
            since.as_secs()
        ))),
        _ => Ok(Json(Health { status: "ok" })),
    }
}

problems!(MetricsProblems = NONE, NotFound);

/// Metrics for Prometheus
///
/// The metrics of this process, in Prometheus's text format. The response is 404 if the operator
/// has disabled metrics.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "Operations",
    security(()),
    responses((status = 200, description = "Metrics in Prometheus's text format", body = String, content_type = "text/plain"), MetricsProblems)
)]
pub async fn get_metrics(State(state): State<ApiState>) -> Result<impl IntoResponse, Problem> {
    let off = || {
        Problem::new(
            ProblemType::NotFound,
            "metrics are switched off (TABLEFERRY_METRICS)",
        )
    };
    let handle = telemetry::metrics().ok_or_else(off)?;
    state.gauges.read(&state).await;
    telemetry::process::record();
    handle.run_upkeep();
    Ok((
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4")],
        handle.render(),
    ))
}
