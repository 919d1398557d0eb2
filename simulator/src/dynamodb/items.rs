//! PutItem, DeleteItem, BatchWriteItem, GetItem, Scan: enough to fill a table and to look at it.
//!
//! Condition, filter, projection and update expressions are refused, never silently ignored.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::context::Context;
use super::error::ApiError;
use super::input::{Input, Violations};
use crate::item::{Item, MAX_ITEM_BYTES, item_bytes, normalise};
use crate::world::Table;

pub(super) const PAGE_BYTES: u64 = 1024 * 1024;
const MOST_BATCH_WRITES: usize = 25;

pub(super) fn put(context: &Context<'_>, input: Input<'_>) -> Result<Value, ApiError> {
    let place = context.table(input)?;
    refuse(input, &["ConditionExpression", "Expected"])?;
    let item = read(input, "Item")?;
    let mut state = context.world.change();
    let table = state.table_mut(&place.account, &place.region, &place.name).ok_or_else(ApiError::resource_not_found)?;
    let before = write(table, Some(item), None, context.world.clock.now())?;
    old_attributes(input, before)
}

pub(super) fn delete(context: &Context<'_>, input: Input<'_>) -> Result<Value, ApiError> {
    let place = context.table(input)?;
    refuse(input, &["ConditionExpression", "Expected"])?;
    let key = read(input, "Key")?;
    let mut state = context.world.change();
    let table = state.table_mut(&place.account, &place.region, &place.name).ok_or_else(ApiError::resource_not_found)?;
    let before = write(table, None, Some(&key), context.world.clock.now())?;
    old_attributes(input, before)
}

pub(super) fn batch_write(context: &Context<'_>, input: Input<'_>) -> Result<Value, ApiError> {
    let requests = input.structure("RequestItems")?;
    let mut violations = Violations::default();
    violations.required(requests.map(|_| ()), "requestItems");
    violations.report()?;
    let mut writes = Vec::new();
    for (table, requests) in requests.into_iter().flat_map(|requests| requests.0) {
        let place = context.place(table)?;
        for request in requests.as_array().into_iter().flatten() {
            let request = request.as_object().map(Input).ok_or_else(|| ApiError::serialization("Expected a structure"))?;
            writes.push(match (request.structure("PutRequest")?, request.structure("DeleteRequest")?) {
                (Some(put), None) => ((place.account.clone(), place.region.clone(), place.name.clone()), Some(read(put, "Item")?), None),
                (None, Some(delete)) => {
                    ((place.account.clone(), place.region.clone(), place.name.clone()), None, Some(read(delete, "Key")?))
                }
                _ => {
                    return Err(ApiError::validation(
                        "Supplied AttributeValue has more than one datatypes set, must contain exactly one of PutRequest or DeleteRequest",
                    ));
                }
            });
        }
    }
    if writes.is_empty() || writes.len() > MOST_BATCH_WRITES {
        return Err(ApiError::validation("Too many items requested for the BatchWriteItem call"));
    }
    let now = context.world.clock.now();
    let mut state = context.world.change();
    // Every write is checked before the first is done: a batch that is refused has changed nothing.
    let mut keys = Vec::new();
    for ((account, region, name), item, key) in &writes {
        let table = state.table(account, region, name).ok_or_else(ApiError::resource_not_found)?;
        let key = match (item, key) {
            (Some(item), _) => checked_key(table, item)?,
            (None, key) => table.key_only(key.as_ref().unwrap_or(&Map::new())).map_err(ApiError::validation)?,
        };
        if keys.contains(&(&table.id, key.clone())) {
            return Err(ApiError::validation("Provided list of item keys contains duplicates"));
        }
        keys.push((&table.id, key));
    }
    for ((account, region, name), item, key) in writes {
        if let Some(table) = state.table_mut(&account, &region, &name) {
            write(table, item, key.as_ref(), now)?;
        }
    }
    Ok(json!({"UnprocessedItems": {}}))
}

pub(super) fn get(context: &Context<'_>, input: Input<'_>) -> Result<Value, ApiError> {
    let place = context.table(input)?;
    refuse(input, &["ProjectionExpression", "AttributesToGet"])?;
    let key = read(input, "Key")?;
    let state = context.world.state();
    let table = state.table(&place.account, &place.region, &place.name).ok_or_else(ApiError::resource_not_found)?;
    let key = table.key_only(&key).map_err(ApiError::validation)?;
    Ok(table.get(&key).map_or_else(|| json!({}), |item| json!({"Item": **item})))
}

pub(super) fn scan(context: &Context<'_>, input: Input<'_>) -> Result<Value, ApiError> {
    let place = context.table(input)?;
    refuse(input, &["FilterExpression", "ProjectionExpression", "AttributesToGet", "ScanFilter", "IndexName"])?;
    let (limit, segment, segments) = (input.integer("Limit")?, input.integer("Segment")?, input.integer("TotalSegments")?);
    let mut violations = Violations::default();
    if let Some(limit) = limit {
        violations.check(limit >= 1, "limit", limit, "have value greater than or equal to 1");
    }
    violations.report()?;
    let count_only = input.text("Select")? == Some("COUNT");
    let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let start = input.structure("ExclusiveStartKey")?.map(|key| normalise(key.0)).transpose().map_err(ApiError::validation)?;
    let state = context.world.state();
    let table = state.table(&place.account, &place.region, &place.name).ok_or_else(ApiError::resource_not_found)?;
    let after = start.map(|key| table.key_only(&key)).transpose();
    let after = after.map_err(|_| ApiError::validation("The provided starting key is invalid"))?;
    let segments = segments.and_then(|segments| u32::try_from(segments).ok()).unwrap_or(1);
    let segment = segment.and_then(|segment| usize::try_from(segment).ok()).unwrap_or(0);
    let mut found: Vec<&Arc<Item>> = Vec::new();
    let (mut bytes, mut more) = (0, false);
    for (_, item) in table.scan_after(after.as_deref()).filter(|(_, item)| table.partition_of(item, segments) == segment) {
        if found.len() >= limit || bytes >= PAGE_BYTES {
            more = true;
            break;
        }
        bytes += item_bytes(item);
        found.push(item);
    }
    let mut answer = json!({"Count": found.len(), "ScannedCount": found.len()});
    // Like AWS: a scan that stops at its limit gives a key even when nothing follows.
    if let (true, Some(last)) = (more || found.len() == limit, found.last()) {
        answer["LastEvaluatedKey"] = json!(table.key_attributes(last));
    }
    if !count_only {
        answer["Items"] = found.into_iter().map(|item| json!(**item)).collect();
    }
    Ok(answer)
}

/// Writes an item, or deletes the one of a key; checks size and keys.
pub(crate) fn write(
    table: &mut Table,
    item: Option<Item>,
    key: Option<&Item>,
    at: time::OffsetDateTime,
) -> Result<Option<Arc<Item>>, ApiError> {
    let key = match (&item, key) {
        (Some(item), _) => checked_key(table, item)?,
        (None, key) => table.key_only(key.unwrap_or(&Map::new())).map_err(ApiError::validation)?,
    };
    Ok(table.write(key, item.map(Arc::new), at))
}

fn checked_key(table: &Table, item: &Item) -> Result<String, ApiError> {
    if item_bytes(item) > MAX_ITEM_BYTES {
        return Err(ApiError::validation("Item size has exceeded the maximum allowed size"));
    }
    table.key_of(item).map_err(ApiError::validation)
}

pub(super) fn read(input: Input<'_>, member: &str) -> Result<Item, ApiError> {
    let given = input.structure(member)?;
    let mut violations = Violations::default();
    violations.required(given.map(|_| ()), &member.to_lowercase());
    violations.report()?;
    given.map_or_else(|| Ok(Map::new()), |given| normalise(given.0)).map_err(ApiError::validation)
}

fn old_attributes(input: Input<'_>, before: Option<Arc<Item>>) -> Result<Value, ApiError> {
    Ok(match (input.text("ReturnValues")?, before) {
        (Some("ALL_OLD"), Some(before)) => json!({"Attributes": *before}),
        _ => json!({}),
    })
}

pub(super) fn refuse(input: Input<'_>, members: &[&str]) -> Result<(), ApiError> {
    match members.iter().find(|member| input.0.contains_key(**member)) {
        Some(member) => Err(ApiError::validation(format!("{member} is not evaluated by this simulator"))),
        None => Ok(()),
    }
}
