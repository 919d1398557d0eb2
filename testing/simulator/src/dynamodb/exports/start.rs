//! ExportTableToPointInTime. The checks run in AWS's order: throttle, request members, account,
//! ARN, members against each other, table, client token, times and recovery, quota. A call that
//! fails any of them does not use up its client token.

use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::describe::describe_export;
use super::{filter, request, window};
use crate::dynamodb::context::Context;
use crate::dynamodb::error::ApiError;
use crate::dynamodb::input::Input;
use crate::output;
use crate::world::{Export, Failure, Scope, State, World};

/// How long after the start an export fails if S3 or KMS rejects it.
const FAILURE_AFTER: Duration = Duration::seconds(10);

pub(in crate::dynamodb) async fn start(
    context: &Context<'_>,
    input: Input<'_>,
) -> Result<Value, ApiError> {
    let world = context.world;
    throttle(context)?;
    let (request, token) = request::read(input)?;
    context.admit(&request.table_arn)?;
    let arn = request::table(&request.table_arn)?;
    request::check_couplings(&request)?;
    let now = world.clock.now();
    let export = {
        let mut state = world.change();
        let missing = || ApiError::export_table_not_found(&request.table_arn);
        let table = state
            .table(&arn.account, &context.caller.region, &arn.table)
            .ok_or_else(missing)?;
        if table.arn != request.table_arn {
            return Err(missing());
        }
        if let Some(first) = token
            .as_ref()
            .and_then(|token| state.export_of_token(&arn.account, &arn.region, token, now))
        {
            return if first.request == request {
                Ok(json!({"ExportDescription": describe_export(first)}))
            } else {
                Err(ApiError::modelled(
                    "ExportConflictException",
                    "Export conflict: Duplicate request detected with conflicting parameters",
                ))
            };
        }
        if let Some(filter) = &request.filter_specification {
            filter::check_keys(filter, table)?;
        }
        let started_at = if request.incremental_export_specification.is_some() {
            window::whole_seconds(now)
        } else {
            now.replace_millisecond(now.millisecond()).unwrap_or(now)
        };
        let scope = window::scope(&request, table, now)?;
        let (table_id, live_items, live_bytes) =
            (table.id.clone(), table.item_count(), table.size_bytes());
        if let Some(most) = world.limits.concurrent_exports
            && state.in_flight_of(&arn.account, &arn.region) >= most
        {
            let message = format!(
                "Subscriber limit exceeded: only {most} exports can be in progress at the same time"
            );
            return Err(ApiError::modelled("LimitExceededException", message));
        }
        let id = new_id(&mut state, &request.table_arn, started_at);
        let token = token.unwrap_or_else(|| {
            uuid::Builder::from_random_bytes(state.random.u128(..).to_be_bytes())
                .into_uuid()
                .to_string()
        });
        let mut export = Export {
            arn: format!("{}/export/{id}", request.table_arn),
            id,
            account: arn.account,
            region: arn.region,
            table_id,
            client_token: token,
            request,
            scope,
            started_at,
            accepted_at: now,
            due_at: now,
            doom: None,
            finish: None,
            finishing: std::sync::Arc::default(),
        };
        export.doom = doom(world, &state, &export, &arn.table);
        let nominal = if export.doom.is_some() {
            FAILURE_AFTER
        } else {
            duration(scope, live_items, live_bytes, &mut state.random)
        };
        export.due_at = now.saturating_add(nominal / world.speed);
        state.add_export(export.clone());
        export
    };
    if export.doom.is_none() {
        let (store, probe) = (std::sync::Arc::clone(&world.store), export.clone());
        let written =
            tokio::task::spawn_blocking(move || output::write_probe(&store, &probe, now)).await;
        if !matches!(written, Ok(Ok(()))) {
            tracing::warn!(arn = %export.arn, "the write probe of an export could not be written");
        }
    }
    world.due_changed.notify_one();
    tracing::info!(arn = %export.arn, due_at = %export.due_at, "export started");
    Ok(json!({"ExportDescription": describe_export(&export)}))
}

/// Every call counts, whether it is accepted or not.
fn throttle(context: &Context<'_>) -> Result<(), ApiError> {
    let world = context.world;
    let key = format!("start {} {}", context.caller.account, context.caller.region);
    let admitted = world
        .state()
        .throttle
        .admit(&key, world.limits.start_calls, world.clock.now());
    if admitted {
        Ok(())
    } else {
        Err(ApiError::throttled())
    }
}

/// Milliseconds of the start, and eight hexadecimal digits.
fn new_id(state: &mut State, table_arn: &str, started_at: OffsetDateTime) -> String {
    let millis = started_at.unix_timestamp_nanos() / 1_000_000;
    loop {
        let id = format!("{millis:014}-{:08x}", state.random.u32(..));
        if state.export(&format!("{table_arn}/export/{id}")).is_none() {
            return id;
        }
    }
}

fn doom(world: &World, state: &State, export: &Export, table: &str) -> Option<Failure> {
    let planned = world.faults().next_export_failure(table, &export.region);
    planned.or_else(|| world.obstacle(export, &state.kms_keys))
}

/// AWS's durations: about 140 s for an empty table, about 12 minutes for a small one, more with
/// size.
fn duration(
    scope: Scope,
    live_items: u64,
    live_bytes: u64,
    random: &mut fastrand::Rng,
) -> Duration {
    let spread = Duration::seconds_f64(random.f64() * 20.0);
    match (scope, live_items) {
        (Scope::Incremental { .. }, 0) => Duration::seconds(120) + spread,
        (Scope::Full { .. }, 0) => Duration::seconds(135) + spread,
        _ => {
            let megabytes = u32::try_from(live_bytes / 1_000_000).unwrap_or(u32::MAX);
            Duration::seconds(700) + spread + Duration::seconds_f64(f64::from(megabytes) / 20.0)
        }
    }
}
