//! PutItem, DeleteItem, BatchWriteItem. Members that are not supported are rejected, never ignored.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::context::Context;
use super::error::ApiError;
use super::expressions::Expressions;
use super::input::{Input, Violations};
use crate::item::{Item, MAX_ITEM_BYTES, item_bytes, normalise};
use crate::world::Table;

const MAX_BATCH_WRITES: usize = 25;

pub(super) fn put(context: &Context<'_>, input: Input<'_>) -> Result<Value, ApiError> {
    let place = context.table(input)?;
    refuse(input, &["Expected"])?;
    let condition = Expressions::of_write(input)?;
    let item = read(input, "Item")?;
    let mut state = context.world.change();
    let table = state
        .table_mut(&place.account, &place.region, &place.name)
        .ok_or_else(ApiError::resource_not_found)?;
    condition.require(table.get(&checked_key(table, &item)?))?;
    let before = write(table, Some(item), None, context.world.clock.now())?;
    old_attributes(input, before)
}

pub(super) fn delete(context: &Context<'_>, input: Input<'_>) -> Result<Value, ApiError> {
    let place = context.table(input)?;
    refuse(input, &["Expected"])?;
    let condition = Expressions::of_write(input)?;
    let key = read(input, "Key")?;
    let mut state = context.world.change();
    let table = state
        .table_mut(&place.account, &place.region, &place.name)
        .ok_or_else(ApiError::resource_not_found)?;
    condition.require(table.get(&table.key_only(&key).map_err(ApiError::validation)?))?;
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
            let request = request
                .as_object()
                .map(Input)
                .ok_or_else(|| ApiError::serialization("Expected a structure"))?;
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
    if writes.is_empty() || writes.len() > MAX_BATCH_WRITES {
        return Err(ApiError::validation(
            "Too many items requested for the BatchWriteItem call",
        ));
    }
    let now = context.world.clock.now();
    let mut state = context.world.change();
    // All writes are checked before the first one is applied, so a rejected batch changes nothing.
    let mut keys = Vec::new();
    for ((account, region, name), item, key) in &writes {
        let table = state
            .table(account, region, name)
            .ok_or_else(ApiError::resource_not_found)?;
        let key = match (item, key) {
            (Some(item), _) => checked_key(table, item)?,
            (None, key) => table
                .key_only(key.as_ref().unwrap_or(&Map::new()))
                .map_err(ApiError::validation)?,
        };
        if keys.contains(&(&table.id, key.clone())) {
            return Err(ApiError::validation(
                "Provided list of item keys contains duplicates",
            ));
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

/// Writes an item, or deletes the item with a key; checks size and keys.
pub(crate) fn write(
    table: &mut Table,
    item: Option<Item>,
    key: Option<&Item>,
    at: time::OffsetDateTime,
) -> Result<Option<Arc<Item>>, ApiError> {
    let key = match (&item, key) {
        (Some(item), _) => checked_key(table, item)?,
        (None, key) => table
            .key_only(key.unwrap_or(&Map::new()))
            .map_err(ApiError::validation)?,
    };
    Ok(table.write(key, item.map(Arc::new), at))
}

fn checked_key(table: &Table, item: &Item) -> Result<String, ApiError> {
    if item_bytes(item) > MAX_ITEM_BYTES {
        return Err(ApiError::validation(
            "Item size has exceeded the maximum allowed size",
        ));
    }
    table.key_of(item).map_err(ApiError::validation)
}

pub(super) fn read(input: Input<'_>, member: &str) -> Result<Item, ApiError> {
    let given = input.structure(member)?;
    let mut violations = Violations::default();
    violations.required(given.map(|_| ()), &member.to_lowercase());
    violations.report()?;
    given
        .map_or_else(|| Ok(Map::new()), |given| normalise(given.0))
        .map_err(ApiError::validation)
}

fn old_attributes(input: Input<'_>, before: Option<Arc<Item>>) -> Result<Value, ApiError> {
    Ok(match (input.text("ReturnValues")?, before) {
        (Some("ALL_OLD"), Some(before)) => json!({"Attributes": *before}),
        _ => json!({}),
    })
}

pub(super) fn refuse(input: Input<'_>, members: &[&str]) -> Result<(), ApiError> {
    match members.iter().find(|member| input.0.contains_key(**member)) {
        Some(member) => Err(ApiError::validation(format!(
            "{member} is not evaluated by this simulator"
        ))),
        None => Ok(()),
    }
}
