//! The control interface over HTTP, below `/_control/` of the DynamoDB listener.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Control, ControlError};
use crate::faults::Fault;
use crate::seed::{BucketSeed, TableSeed};
use crate::world::World;

pub(crate) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/_control/health", get(health))
        .route("/_control/state", get(state))
        .route("/_control/calls", get(calls).delete(clear_calls))
        .route("/_control/exports", get(exports))
        .route("/_control/exports/finish", post(finish_exports))
        .route("/_control/clock", get(clock).post(set_clock))
        .route(
            "/_control/faults",
            get(faults).post(add_fault).delete(clear_faults),
        )
        .route("/_control/buckets", post(create_bucket))
        .route("/_control/buckets/{name}", delete(delete_bucket))
        .route("/_control/tables", post(create_table))
        .route("/_control/kms-keys", post(add_kms_key))
        .route("/_control/roles", post(require_external_id))
}

impl IntoResponse for ControlError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::NoSuchTable(_) => StatusCode::NOT_FOUND,
            _ => StatusCode::BAD_REQUEST,
        };
        (status, Json(json!({"error": self.to_string()}))).into_response()
    }
}

async fn health() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

async fn state(State(world): State<Arc<World>>) -> Json<Value> {
    let buckets = world.store.bucket_names();
    let state = world.state();
    let tables = state.tables().filter(|table| !table.deleted).map(|table| {
        json!({"arn": table.arn, "id": table.id, "items": table.item_count(), "bytes": table.size_bytes(), "point_in_time_recovery": table.recovery.is_some()})
    });
    Json(json!({
        "now": time_text(world.clock.now()),
        "frozen": world.clock.is_frozen(),
        "tables": tables.collect::<Vec<_>>(),
        "buckets": buckets.into_iter().map(|(name, info)| json!({"name": name, "owner": info.owner, "region": info.region, "deny_exports": info.deny_exports})).collect::<Vec<_>>(),
        "kms_keys": state.kms_keys,
        "exports_in_progress": state.due(None).len(),
    }))
}

async fn calls(State(world): State<Arc<World>>) -> Response {
    Json(Control::new(world).calls()).into_response()
}

async fn clear_calls(State(world): State<Arc<World>>) -> StatusCode {
    Control::new(world).clear_calls();
    StatusCode::NO_CONTENT
}

async fn exports(State(world): State<Arc<World>>) -> Response {
    world.finish_due().await;
    Json(Control::new(world).exports()).into_response()
}

async fn finish_exports(State(world): State<Arc<World>>) -> Response {
    let control = Control::new(world);
    control.finish_exports().await;
    Json(control.exports()).into_response()
}

async fn clock(State(world): State<Arc<World>>) -> Json<Value> {
    Json(json!({"now": time_text(world.clock.now()), "frozen": world.clock.is_frozen()}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockChange {
    advance_ms: Option<u64>,
    frozen: Option<bool>,
}

async fn set_clock(
    State(world): State<Arc<World>>,
    Json(change): Json<ClockChange>,
) -> Json<Value> {
    let control = Control::new(Arc::clone(&world));
    if let Some(frozen) = change.frozen {
        control.freeze(frozen);
    }
    if let Some(advance_ms) = change.advance_ms {
        control.advance(Duration::from_millis(advance_ms)).await;
    }
    clock(State(world)).await
}

async fn faults(State(world): State<Arc<World>>) -> Response {
    Json(Control::new(world).faults()).into_response()
}

async fn add_fault(State(world): State<Arc<World>>, Json(fault): Json<Fault>) -> StatusCode {
    Control::new(world).add_fault(fault);
    StatusCode::NO_CONTENT
}

async fn clear_faults(State(world): State<Arc<World>>) -> StatusCode {
    Control::new(world).clear_faults();
    StatusCode::NO_CONTENT
}

async fn create_bucket(
    State(world): State<Arc<World>>,
    Json(bucket): Json<BucketSeed>,
) -> Result<StatusCode, ControlError> {
    Control::new(world).create_bucket(bucket)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn delete_bucket(
    State(world): State<Arc<World>>,
    Path(name): Path<String>,
) -> Result<StatusCode, ControlError> {
    Control::new(world).delete_bucket(&name)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn create_table(
    State(world): State<Arc<World>>,
    Json(table): Json<TableSeed>,
) -> Result<StatusCode, ControlError> {
    Control::new(world).create_table(&table)?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKey {
    arn: String,
}

async fn add_kms_key(State(world): State<Arc<World>>, Json(key): Json<NewKey>) -> StatusCode {
    Control::new(world).add_kms_key(key.arn);
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Role {
    arn: String,
    external_id: String,
}

async fn require_external_id(
    State(world): State<Arc<World>>,
    Json(role): Json<Role>,
) -> StatusCode {
    Control::new(world).require_external_id(role.arn, role.external_id);
    StatusCode::NO_CONTENT
}

fn time_text(at: time::OffsetDateTime) -> String {
    at.format(&time::format_description::well_known::Rfc3339)
        .unwrap_or_default()
}
