//! GetItem, BatchGetItem, Query, Scan.

use std::cmp::Ordering;
use std::sync::Arc;

use dynamodb_expressions::Value as Attribute;
use serde_json::{Map, Value, json};

use super::context::Context;
use super::error::ApiError;
use super::expressions::Expressions;
use super::input::{Input, Violations};
use super::items::{read, refuse};
use crate::item::{Item, item_bytes, normalise};
use crate::world::Table;

const PAGE_BYTES: u64 = 1024 * 1024;
const MAX_KEYS: usize = 100;
const MAX_BATCH_BYTES: u64 = 16 * 1024 * 1024;

pub(super) fn get(context: &Context<'_>, input: Input<'_>) -> Result<Value, ApiError> {
    let place = context.table(input)?;
    refuse(input, &["AttributesToGet"])?;
    let expressions = Expressions::of_read(input)?;
    let key = read(input, "Key")?;
    let state = context.world.state();
    let table = state
        .table(&place.account, &place.region, &place.name)
        .ok_or_else(ApiError::resource_not_found)?;
    let key = table.key_only(&key).map_err(ApiError::validation)?;
    Ok(table.get(&key).map_or_else(
        || json!({}),
        |item| json!({"Item": expressions.project(item)}),
    ))
}

pub(super) fn batch_get(context: &Context<'_>, input: Input<'_>) -> Result<Value, ApiError> {
    let requests = input.structure("RequestItems")?;
    let mut violations = Violations::default();
    violations.required(requests.map(|_| ()), "requestItems");
    violations.report()?;
    let mut wanted = Vec::new();
    for (table, request) in requests.into_iter().flat_map(|requests| requests.0) {
        let request = request
            .as_object()
            .map(Input)
            .ok_or_else(|| ApiError::serialization("Expected a structure"))?;
        refuse(request, &["AttributesToGet"])?;
        let expressions = Arc::new(Expressions::of_read(request)?);
        for key in request.list("Keys")?.into_iter().flatten() {
            let key = key
                .as_object()
                .ok_or_else(|| ApiError::serialization("Expected a structure"))?;
            wanted.push((
                table,
                normalise(key).map_err(ApiError::validation)?,
                Arc::clone(&expressions),
            ));
        }
    }
    if wanted.is_empty() || wanted.len() > MAX_KEYS {
        return Err(ApiError::validation(
            "Too many items requested for the BatchGetItem call",
        ));
    }
    let state = context.world.state();
    let (mut found, mut left) = (Map::new(), Map::new());
    let (mut bytes, mut seen) = (0, Vec::new());
    for (name, key, expressions) in wanted {
        let place = context.place(name)?;
        let table = state
            .table(&place.account, &place.region, &place.name)
            .ok_or_else(ApiError::resource_not_found)?;
        let text = table.key_only(&key).map_err(ApiError::validation)?;
        if seen.contains(&(&table.id, text.clone())) {
            return Err(ApiError::validation(
                "Provided list of item keys contains duplicates",
            ));
        }
        let item = table.get(&text);
        bytes += item.map_or(0, |item| item_bytes(item));
        let (into, value) = match item {
            _ if bytes > MAX_BATCH_BYTES => (&mut left, Some(json!(key))),
            item => (
                &mut found,
                item.map(|item| json!(expressions.project(item))),
            ),
        };
        into.entry(name)
            .or_insert_with(|| json!([]))
            .as_array_mut()
            .into_iter()
            .for_each(|list| list.extend(value.clone()));
        seen.push((&table.id, text));
    }
    let left: Map<String, Value> = left
        .into_iter()
        .map(|(table, keys)| (table, json!({"Keys": keys})))
        .collect();
    Ok(json!({"Responses": found, "UnprocessedKeys": left}))
}

pub(super) fn query(context: &Context<'_>, input: Input<'_>) -> Result<Value, ApiError> {
    let place = context.table(input)?;
    refuse(
        input,
        &[
            "IndexName",
            "KeyConditions",
            "QueryFilter",
            "AttributesToGet",
        ],
    )?;
    let expressions = Expressions::of_read(input)?;
    let paging = Paging::of(input)?;
    let is_forward = input.flag("ScanIndexForward")?.unwrap_or(true);
    let state = context.world.state();
    let table = state
        .table(&place.account, &place.region, &place.name)
        .ok_or_else(ApiError::resource_not_found)?;
    expressions.check_key_condition(table)?;
    if let Some(start) = &paging.start {
        table
            .key_only(start)
            .map_err(|_| ApiError::validation("The provided starting key is invalid"))?;
    }
    let order = |one: &Item, other: &Item| {
        let order = compare(sort_value(table, one), sort_value(table, other));
        if is_forward { order } else { order.reverse() }
    };
    let mut items: Vec<&Arc<Item>> = table
        .scan_after(None)
        .map(|(_, item)| item)
        .filter(|item| expressions.reads(item))
        .collect();
    items.sort_by(|one, other| order(one, other));
    let items = items.into_iter().filter(|item| {
        paging
            .start
            .as_ref()
            .is_none_or(|start| order(item, start).is_gt())
    });
    Ok(paging.page(table, items, &expressions))
}

pub(super) fn scan(context: &Context<'_>, input: Input<'_>) -> Result<Value, ApiError> {
    let place = context.table(input)?;
    refuse(input, &["AttributesToGet", "ScanFilter", "IndexName"])?;
    let expressions = Expressions::of_read(input)?;
    let (segment, segments) = (input.integer("Segment")?, input.integer("TotalSegments")?);
    let paging = Paging::of(input)?;
    let state = context.world.state();
    let table = state
        .table(&place.account, &place.region, &place.name)
        .ok_or_else(ApiError::resource_not_found)?;
    let after = paging
        .start
        .as_ref()
        .map(|key| table.key_only(key))
        .transpose();
    let after = after.map_err(|_| ApiError::validation("The provided starting key is invalid"))?;
    let segments = segments
        .and_then(|segments| u32::try_from(segments).ok())
        .unwrap_or(1);
    let segment = segment
        .and_then(|segment| usize::try_from(segment).ok())
        .unwrap_or(0);
    let items = table
        .scan_after(after.as_deref())
        .map(|(_, item)| item)
        .filter(|item| table.partition_of(item, segments) == segment);
    Ok(paging.page(table, items, &expressions))
}

/// Where a page begins and ends.
struct Paging {
    limit: usize,
    start: Option<Item>,
    count_only: bool,
}

impl Paging {
    fn of(input: Input<'_>) -> Result<Self, ApiError> {
        let limit = input.integer("Limit")?;
        let mut violations = Violations::default();
        if let Some(limit) = limit {
            violations.check(
                limit >= 1,
                "limit",
                limit,
                "have value greater than or equal to 1",
            );
        }
        violations.report()?;
        let start = input
            .structure("ExclusiveStartKey")?
            .map(|key| normalise(key.0))
            .transpose()
            .map_err(ApiError::validation)?;
        let count_only = input.text("Select")? == Some("COUNT");
        Ok(Self {
            limit: limit
                .and_then(|limit| usize::try_from(limit).ok())
                .unwrap_or(usize::MAX),
            start,
            count_only,
        })
    }

    /// One page of items. The limit and the page's size in bytes apply before the filter.
    fn page<'a>(
        &self,
        table: &Table,
        items: impl Iterator<Item = &'a Arc<Item>>,
        expressions: &Expressions,
    ) -> Value {
        let (mut kept, mut last) = (Vec::new(), None);
        let (mut scanned, mut bytes, mut more) = (0, 0, false);
        for item in items {
            if scanned >= self.limit || bytes >= PAGE_BYTES {
                more = true;
                break;
            }
            scanned += 1;
            bytes += item_bytes(item);
            last = Some(item);
            if expressions.keeps(item) {
                kept.push(expressions.project(item));
            }
        }
        let mut answer = json!({"Count": kept.len(), "ScannedCount": scanned});
        // As at AWS, a page that ends at its limit returns a key even if no items follow.
        if let (true, Some(last)) = (more || scanned == self.limit, last) {
            answer["LastEvaluatedKey"] = json!(table.key_attributes(last));
        }
        if !self.count_only {
            answer["Items"] = kept.into_iter().map(Value::Object).collect();
        }
        answer
    }
}

fn sort_value(table: &Table, item: &Item) -> Option<Attribute> {
    Attribute::from_json(item.get(&table.sort_key.as_ref()?.name)?).ok()
}

/// The sort keys of a table all have the same type.
fn compare(one: Option<Attribute>, other: Option<Attribute>) -> Ordering {
    match (one, other) {
        (Some(Attribute::S(one)), Some(Attribute::S(other))) => one.cmp(&other),
        (Some(Attribute::N(one)), Some(Attribute::N(other))) => one.cmp(&other),
        (Some(Attribute::B(one)), Some(Attribute::B(other))) => one.cmp(&other),
        _ => Ordering::Equal,
    }
}
