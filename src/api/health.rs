//! Health and metrics. No authentication, now or later.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use super::ApiState;
use super::problem::{Problem, ProblemType};
use super::problem_docs::problems;
use crate::telemetry;

/// Where the process stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok`.
    #[schema(example = "ok")]
    pub status: &'static str,
}

/// The process lives
///
/// Looks at nothing else: a process that answers need not be restarted.
#[utoipa::path(get, path = "/livez", tag = "Operations", security(()), responses((status = 200, description = "It lives", body = Health)))]
pub async fn livez() -> Json<Health> {
    Json(Health { status: "ok" })
}

problems! {
    /// What can go wrong.
    ReadyProblems: Unavailable
}

/// The process can serve
///
/// The database answers, has this version's schema, and the process is not stopping.
#[utoipa::path(get, path = "/readyz", tag = "Operations", security(()), responses((status = 200, description = "It can serve", body = Health), ReadyProblems))]
pub async fn readyz(State(state): State<ApiState>) -> Result<Json<Health>, Problem> {
    let not_ready = |why: &str| Problem::new(ProblemType::Unavailable, why);
    if state.stopping.is_cancelled() {
        return Err(not_ready("the process is stopping"));
    }
    match state.store.schema_is_current().await {
        Ok(true) => Ok(Json(Health { status: "ok" })),
        Ok(false) => Err(not_ready("the database's schema is older than this version's; run tableferry migrate")),
        Err(_) => Err(not_ready("the database does not answer")),
    }
}

problems! {
    /// What can go wrong.
    MetricsProblems: NotFound
}

/// Metrics for Prometheus
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "Operations",
    security(()),
    responses((status = 200, description = "Metrics in Prometheus's text format", body = String, content_type = "text/plain"), MetricsProblems)
)]
pub async fn metrics(State(state): State<ApiState>) -> Result<impl IntoResponse, Problem> {
    let off = || Problem::new(ProblemType::NotFound, "metrics are switched off (TABLEFERRY_METRICS)");
    let handle = telemetry::metrics().ok_or_else(off)?;
    state.gauges.read(&state).await;
    telemetry::process::record();
    handle.run_upkeep();
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], handle.render()))
}
