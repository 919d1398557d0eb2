//! BatchGetItem: items of several tables by their keys.

use serde_json::{Map, Value, json};

use super::context::Context;
use super::error::ApiError;
use super::input::{Input, Violations};
use super::items::refuse;
use crate::item::{item_bytes, normalise};

const MOST_KEYS: usize = 100;
const MOST_BYTES: u64 = 16 * 1024 * 1024;

pub(super) fn batch_get(context: &Context<'_>, input: Input<'_>) -> Result<Value, ApiError> {
    let requests = input.structure("RequestItems")?;
    let mut violations = Violations::default();
    violations.required(requests.map(|_| ()), "requestItems");
    violations.report()?;
    let mut wanted = Vec::new();
    for (table, request) in requests.into_iter().flat_map(|requests| requests.0) {
        let request = request.as_object().map(Input).ok_or_else(|| ApiError::serialization("Expected a structure"))?;
        refuse(request, &["ProjectionExpression", "AttributesToGet"])?;
        for key in request.list("Keys")?.into_iter().flatten() {
            let key = key.as_object().ok_or_else(|| ApiError::serialization("Expected a structure"))?;
            wanted.push((table, normalise(key).map_err(ApiError::validation)?));
        }
    }
    if wanted.is_empty() || wanted.len() > MOST_KEYS {
        return Err(ApiError::validation("Too many items requested for the BatchGetItem call"));
    }
    let state = context.world.state();
    let (mut found, mut left) = (Map::new(), Map::new());
    let (mut bytes, mut seen) = (0, Vec::new());
    for (name, key) in wanted {
        let place = context.place(name)?;
        let table = state.table(&place.account, &place.region, &place.name).ok_or_else(ApiError::resource_not_found)?;
        let text = table.key_only(&key).map_err(ApiError::validation)?;
        if seen.contains(&(&table.id, text.clone())) {
            return Err(ApiError::validation("Provided list of item keys contains duplicates"));
        }
        let item = table.get(&text);
        bytes += item.map_or(0, |item| item_bytes(item));
        let (into, value) = match item {
            _ if bytes > MOST_BYTES => (&mut left, Some(json!(key))),
            item => (&mut found, item.map(|item| json!(**item))),
        };
        into.entry(name).or_insert_with(|| json!([])).as_array_mut().into_iter().for_each(|list| list.extend(value.clone()));
        seen.push((&table.id, text));
    }
    let left: Map<String, Value> = left.into_iter().map(|(table, keys)| (table, json!({"Keys": keys}))).collect();
    Ok(json!({"Responses": found, "UnprocessedKeys": left}))
}
