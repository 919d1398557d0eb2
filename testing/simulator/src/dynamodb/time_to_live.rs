//! DescribeTimeToLive and UpdateTimeToLive. The setting is stored and returned; no item ever
//! expires.

use serde_json::{Value, json};

use super::context::Context;
use super::error::ApiError;
use super::input::{Input, Violations};
use super::tables::not_found;

pub(super) fn describe(context: &Context<'_>, input: Input<'_>) -> Result<Value, ApiError> {
    let place = context.table(input)?;
    let state = context.world.state();
    let table = state
        .table(&place.account, &place.region, &place.name)
        .ok_or_else(|| not_found(&place.name))?;
    Ok(json!({"TimeToLiveDescription": match &table.time_to_live {
        None => json!({"TimeToLiveStatus": "DISABLED"}),
        Some(attribute) => json!({"TimeToLiveStatus": "ENABLED", "AttributeName": attribute}),
    }}))
}

pub(super) fn update(context: &Context<'_>, input: Input<'_>) -> Result<Value, ApiError> {
    let place = context.table(input)?;
    let wanted = input.structure("TimeToLiveSpecification")?;
    let enabled = wanted.map_or(Ok(None), |wanted| wanted.flag("Enabled"))?;
    let attribute = wanted.map_or(Ok(None), |wanted| wanted.text("AttributeName"))?;
    let mut violations = Violations::default();
    violations.required(wanted.map(|_| ()), "timeToLiveSpecification");
    if wanted.is_some() {
        violations.required(enabled, "timeToLiveSpecification.enabled");
        violations.required(attribute, "timeToLiveSpecification.attributeName");
        violations.length(attribute, "timeToLiveSpecification.attributeName", 1, 255);
    }
    violations.report()?;
    let (enabled, attribute) = (enabled.unwrap_or_default(), attribute.unwrap_or_default());
    let mut state = context.world.change();
    let table = state
        .table_mut(&place.account, &place.region, &place.name)
        .ok_or_else(|| not_found(&place.name))?;
    match (&table.time_to_live, enabled) {
        (Some(current), _) if current != attribute => {
            return Err(ApiError::validation(format!(
                "TimeToLive is active on a different AttributeName: current AttributeName is {current}"
            )));
        }
        (Some(_), true) => return Err(ApiError::validation("TimeToLive is already enabled")),
        (None, false) => return Err(ApiError::validation("TimeToLive is already disabled")),
        (_, enabled) => table.time_to_live = enabled.then(|| attribute.to_owned()),
    }
    Ok(json!({"TimeToLiveSpecification": {"Enabled": enabled, "AttributeName": attribute}}))
}
