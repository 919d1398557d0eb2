//! ListTagsOfResource, TagResource, UntagResource: the tags of tables.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::context::{Context, Place};
use super::error::ApiError;
use super::input::{Input, Violations};
use crate::arn::{TableArn, owner_of};

const MAX_TAGS: usize = 50;

pub(super) fn list(context: &Context<'_>, input: Input<'_>) -> Result<Value, ApiError> {
    let place = resource(context, input)?;
    let state = context.world.state();
    let table = state
        .table(&place.account, &place.region, &place.name)
        .ok_or_else(|| not_found(&place))?;
    Ok(
        json!({"Tags": table.tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect::<Vec<_>>()}),
    )
}

pub(super) fn add(context: &Context<'_>, input: Input<'_>) -> Result<Value, ApiError> {
    let place = resource(context, input)?;
    let given = input.list("Tags")?;
    let mut violations = Violations::default();
    violations.required(given, "tags");
    violations.report()?;
    let tags = read(given.map_or(&[][..], Vec::as_slice))?;
    if tags.is_empty() {
        return Err(ApiError::validation(
            "Atleast one Tag needs to be provided as Input.",
        ));
    }
    let mut state = context.world.change();
    let table = state
        .table_mut(&place.account, &place.region, &place.name)
        .ok_or_else(|| not_found(&place))?;
    let mut all = table.tags.clone();
    all.extend(tags);
    if all.len() > MAX_TAGS {
        return Err(ApiError::validation(
            "Number of Tags exceed the current limit for the provided ResourceArn",
        ));
    }
    table.tags = all;
    Ok(json!({}))
}

pub(super) fn remove(context: &Context<'_>, input: Input<'_>) -> Result<Value, ApiError> {
    let place = resource(context, input)?;
    let keys = input.list("TagKeys")?;
    let mut violations = Violations::default();
    violations.required(keys, "tagKeys");
    violations.report()?;
    let mut state = context.world.change();
    let table = state
        .table_mut(&place.account, &place.region, &place.name)
        .ok_or_else(|| not_found(&place))?;
    for key in keys.into_iter().flatten().filter_map(Value::as_str) {
        table.tags.remove(key);
    }
    Ok(json!({}))
}

pub(super) fn read(given: &[Value]) -> Result<BTreeMap<String, String>, ApiError> {
    let mut tags = BTreeMap::new();
    for tag in given {
        let key = tag["Key"].as_str().unwrap_or_default();
        if key.is_empty() || key.chars().count() > 128 {
            return Err(ApiError::validation(format!(
                "The Tag Key provided is invalid, Key: {key}"
            )));
        }
        let value = tag["Value"].as_str().ok_or_else(|| {
            ApiError::validation("The Tag Value provided is invalid, Value: null")
        })?;
        if tags.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(ApiError::validation(format!(
                "Duplicate Tag Keys provided as input: Duplicate Tag Key found {key}"
            )));
        }
    }
    Ok(tags)
}

fn resource(context: &Context<'_>, input: Input<'_>) -> Result<Place, ApiError> {
    let given = input.text("ResourceArn")?;
    let mut violations = Violations::default();
    violations.required(given, "resourceArn");
    violations.length(given, "resourceArn", 1, 1283);
    violations.report()?;
    let given = given.unwrap_or_default();
    let invalid = |text: &str| {
        ApiError::validation(format!("One or more parameter values were invalid: {text}"))
    };
    if !given.starts_with("arn:") {
        return Err(invalid(&format!("ARNs must start with 'arn:': {given}")));
    }
    context.admit(given)?;
    if owner_of(given).is_none_or(|(_, service, _)| service != "dynamodb") {
        return Err(invalid(&format!(
            "Provided Arn is not a DynamoDB resource arn: {given}"
        )));
    }
    let arn = TableArn::parse(given).map_err(|_| {
        invalid(&format!("Invalid resource arn provided, only table or stream is accepted. Provided resource arn: {given}"))
    })?;
    if arn.region != context.caller.region {
        return Err(ApiError::validation(format!(
            "Invalid TableArn: Invalid ResourceArn provided as input {given}"
        )));
    }
    Ok(Place {
        account: arn.account,
        region: arn.region,
        name: arn.table,
    })
}

fn not_found(place: &Place) -> ApiError {
    let Place {
        account,
        region,
        name,
    } = place;
    let arn = format!(
        "arn:{}:dynamodb:{region}:{account}:table/{name}",
        crate::arn::partition_of(region)
    );
    ApiError::modelled(
        "ResourceNotFoundException",
        format!("Requested resource not found: ResourcArn: {arn} not found"),
    )
}
