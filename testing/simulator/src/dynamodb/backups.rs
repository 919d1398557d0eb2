//! UpdateContinuousBackups and DescribeContinuousBackups: point-in-time recovery of a table.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::context::Context;
use super::error::ApiError;
use super::input::{Input, Violations};
use crate::clock::epoch_seconds;
use crate::world::{PointInTimeRecovery, Table};

/// The longest recovery period, and the default.
pub(crate) const MAX_RECOVERY_DAYS: i64 = 35;

pub(super) fn update(context: &Context<'_>, input: Input<'_>) -> Result<Value, ApiError> {
    let place = context.table(input)?;
    let wanted = input.structure("PointInTimeRecoverySpecification")?;
    let mut violations = Violations::default();
    violations.required(wanted.map(|_| ()), "pointInTimeRecoverySpecification");
    let enabled = wanted.map_or(Ok(None), |wanted| wanted.flag("PointInTimeRecoveryEnabled"))?;
    let days = wanted.map_or(Ok(None), |wanted| wanted.integer("RecoveryPeriodInDays"))?;
    if wanted.is_some() {
        violations.required(
            enabled,
            "pointInTimeRecoverySpecification.pointInTimeRecoveryEnabled",
        );
    }
    if let Some(days) = days {
        let member = "pointInTimeRecoverySpecification.recoveryPeriodInDays";
        violations.check(
            days >= 1,
            member,
            days,
            "have value greater than or equal to 1",
        );
        violations.check(
            days <= MAX_RECOVERY_DAYS,
            member,
            days,
            "have value less than or equal to 35",
        );
    }
    violations.report()?;
    let now = context.world.clock.now();
    let mut state = context.world.change();
    let table = state
        .table_mut(&place.account, &place.region, &place.name)
        .ok_or_else(|| ApiError::export_table_not_found(&place.name))?;
    table.recovery = match (enabled, table.recovery) {
        (Some(true), Some(on)) => Some(PointInTimeRecovery {
            recovery_days: days.unwrap_or(on.recovery_days),
            ..on
        }),
        (Some(true), None) => Some(PointInTimeRecovery {
            enabled_at: now,
            recovery_days: days.unwrap_or(MAX_RECOVERY_DAYS),
        }),
        _ => None,
    };
    Ok(describe_table(table, now))
}

pub(super) fn describe(context: &Context<'_>, input: Input<'_>) -> Result<Value, ApiError> {
    let place = context.table(input)?;
    let now = context.world.clock.now();
    let state = context.world.state();
    let table = state
        .table(&place.account, &place.region, &place.name)
        .ok_or_else(|| ApiError::export_table_not_found(&place.name))?;
    Ok(describe_table(table, now))
}

fn describe_table(table: &Table, now: OffsetDateTime) -> Value {
    let recovery = match table.recovery {
        None => json!({"PointInTimeRecoveryStatus": "DISABLED"}),
        Some(recovery) => {
            let whole = |at: OffsetDateTime| epoch_seconds(at.replace_nanosecond(0).unwrap_or(at));
            json!({
                "PointInTimeRecoveryStatus": "ENABLED",
                "RecoveryPeriodInDays": recovery.recovery_days,
                "EarliestRestorableDateTime": whole(recovery.earliest(now)),
                "LatestRestorableDateTime": whole(recovery.latest(now)),
            })
        }
    };
    json!({"ContinuousBackupsDescription": {
        "ContinuousBackupsStatus": "ENABLED",
        "PointInTimeRecoveryDescription": recovery,
    }})
}
