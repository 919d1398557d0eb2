//! The expressions of item operations. The crate `dynamodb-expressions` evaluates them; a condition
//! is evaluated as a filter of one item.

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
    /// For a call that filters, projects or has a key condition.
    pub(super) fn of_read(input: Input<'_>) -> Result<Self, ApiError> {
        Self::read(input, FILTER)
    }

    /// For a conditional write.
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

    /// Rejects a call without a key condition, or with one that does not fit the table.
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

    /// Whether an item matches the key condition.
    pub(super) fn reads(&self, item: &Item) -> bool {
        self.specification
            .as_ref()
            .is_none_or(|specification| specification.reads(item).unwrap_or_default())
    }

    /// Whether an item matches the filter.
    pub(super) fn keeps(&self, item: &Item) -> bool {
        self.specification
            .as_ref()
            .is_none_or(|specification| specification.keeps(item).unwrap_or_default())
    }

    /// Rejects a write if the item, or its absence, does not meet the condition.
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

    /// Applies the projection to an item.
    pub(super) fn project(&self, item: &Item) -> Item {
        let projection = self
            .specification
            .as_ref()
            .and_then(Specification::projection);
        projection.map_or_else(|| item.clone(), |projection| projection.apply(item))
    }
}

/// AWS reports only one error.
fn refusal(faults: &[Fault], test: &str) -> ApiError {
    ApiError::validation(
        faults
            .first()
            .map(ToString::to_string)
            .unwrap_or_default()
            .replace(FILTER, test),
    )
}
