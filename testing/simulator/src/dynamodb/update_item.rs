//! UpdateItem: update expressions over whole attributes.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::context::Context;
use super::error::ApiError;
use super::expressions::Expressions;
use super::input::Input;
use super::items::{read, refuse, write};
use super::update_expression::Update;
use crate::item::Item;

pub(super) fn update(context: &Context<'_>, input: Input<'_>) -> Result<Value, ApiError> {
    let place = context.table(input)?;
    refuse(input, &["AttributeUpdates", "Expected"])?;
    let update = Update::of(input)?;
    let condition = condition(input)?;
    let key = read(input, "Key")?;
    let mut state = context.world.change();
    let table = state
        .table_mut(&place.account, &place.region, &place.name)
        .ok_or_else(ApiError::resource_not_found)?;
    let text = table.key_only(&key).map_err(ApiError::validation)?;
    let before = table.get(&text).cloned();
    condition.require(before.as_ref())?;
    let old = before.as_deref().cloned().unwrap_or_else(|| key.clone());
    let new = update.apply(&old)?;
    if let Some(name) = key.keys().find(|name| new.get(*name) != old.get(*name)) {
        return Err(ApiError::validation(format!(
            "One or more parameter values were invalid: Cannot update attribute {name}. This attribute is part of the key"
        )));
    }
    write(table, Some(new.clone()), None, context.world.clock.now())?;
    let touched = |item: &Item| -> Item {
        item.iter()
            .filter(|(name, _)| update.touches(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    };
    let shown = match input.text("ReturnValues")? {
        Some("ALL_NEW") => Some(new),
        Some("UPDATED_NEW") => Some(touched(&new)),
        Some("ALL_OLD") => before.map(Arc::unwrap_or_clone),
        Some("UPDATED_OLD") => before.map(|item| touched(&item)),
        _ => None,
    };
    Ok(shown.map_or_else(|| json!({}), |item| json!({"Attributes": item})))
}

/// The condition alone, with the placeholders that it uses. The update uses the others.
fn condition(input: Input<'_>) -> Result<Expressions, ApiError> {
    let Some(text) = input.text("ConditionExpression")? else {
        return Expressions::of_write(Input(&Map::new()));
    };
    let words: Vec<&str> = text
        .split(|letter: char| !letter.is_alphanumeric() && !"_#:".contains(letter))
        .collect();
    let mut alone = Map::from_iter([("ConditionExpression".to_owned(), json!(text))]);
    for name in ["ExpressionAttributeNames", "ExpressionAttributeValues"] {
        let used = input
            .structure(name)?
            .into_iter()
            .flat_map(|members| members.0)
            .filter(|(name, _)| words.contains(&name.as_str()));
        let used: Map<String, Value> = used
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        if !used.is_empty() {
            alone.insert(name.to_owned(), Value::Object(used));
        }
    }
    Expressions::of_write(Input(&alone))
}
