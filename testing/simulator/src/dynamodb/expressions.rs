//! The expressions of item operations. What they mean is the crate `dynamodb-expressions`; a
//! condition is a filter of one item.

use std::sync::Arc;

use dynamodb_expressions::{Fault, Specification};
use serde_json::{Map, Value, json};

use super::error::ApiError;
use super::input::Input;
use crate::filter;
use crate::item::Item;
use crate::world::Table;

const FILTER: &str = "FilterExpression";
const OTHERS: [&str; 2] = ["ProjectionExpression", "KeyConditionExpression"];
const PLACEHOLDERS: [&str; 2] = ["ExpressionAttributeNames", "ExpressionAttributeValues"];

/// The expressions of one call.
pub(super) struct Expressions {
    specification: Option<Specification>,
}

impl Expressions {
    /// Of a call that filters, projects or has a key condition.
    pub(super) fn of_read(input: Input<'_>) -> Result<Self, ApiError> {
        Self::read(input, FILTER)
    }

    /// Of a call that writes on a condition.
    pub(super) fn of_write(input: Input<'_>) -> Result<Self, ApiError> {
        Self::read(input, "ConditionExpression")
    }

    fn read(input: Input<'_>, test: &str) -> Result<Self, ApiError> {
        let mut given = Map::new();
        if let Some(text) = input.text(test)? {
            given.insert(FILTER.to_owned(), json!(text));
        }
        for name in OTHERS {
            if let Some(text) = input.text(name)? {
                given.insert(name.to_owned(), json!(text));
            }
        }
        let is_empty = given.is_empty();
        for name in PLACEHOLDERS {
            if let Some(members) = input.structure(name)? {
                if is_empty {
                    return Err(ApiError::validation(format!(
                        "{name} can only be specified when using expressions"
                    )));
                }
                given.insert(name.to_owned(), json!(members.0));
            }
        }
        if is_empty {
            return Ok(Self {
                specification: None,
            });
        }
        let specification =
            filter::read(&Value::Object(given)).map_err(|faults| refusal(&faults, test))?;
        Ok(Self {
            specification: Some(specification),
        })
    }

    /// Refuses a call without a key condition, or with one that does not suit the table.
    pub(super) fn check_key_condition(&self, table: &Table) -> Result<(), ApiError> {
        match &self.specification {
            Some(specification) if specification.has_key_condition() => specification
                .check_keys(&filter::key_schema(table))
                .map_err(|faults| refusal(&faults, FILTER)),
            _ => Err(ApiError::validation(
                "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.",
            )),
        }
    }

    /// Whether an item meets the key condition.
    pub(super) fn reads(&self, item: &Item) -> bool {
        self.specification
            .as_ref()
            .is_none_or(|specification| specification.reads(item).unwrap_or_default())
    }

    /// Whether an item meets the filter.
    pub(super) fn keeps(&self, item: &Item) -> bool {
        self.specification
            .as_ref()
            .is_none_or(|specification| specification.keeps(item).unwrap_or_default())
    }

    /// Refuses a write whose condition the item, or its absence, does not meet.
    pub(super) fn require(&self, item: Option<&Arc<Item>>) -> Result<(), ApiError> {
        let none = Map::new();
        if self.keeps(item.map_or(&none, |item| item)) {
            Ok(())
        } else {
            Err(ApiError::modelled(
                "ConditionalCheckFailedException",
                "The conditional request failed",
            ))
        }
    }

    /// What is shown of an item.
    pub(super) fn project(&self, item: &Item) -> Item {
        let projection = self
            .specification
            .as_ref()
            .and_then(Specification::projection);
        projection.map_or_else(|| item.clone(), |projection| projection.apply(item))
    }
}

/// AWS names one thing that is wrong.
fn refusal(faults: &[Fault], test: &str) -> ApiError {
    ApiError::validation(
        faults
            .first()
            .map(ToString::to_string)
            .unwrap_or_default()
            .replace(FILTER, test),
    )
}
