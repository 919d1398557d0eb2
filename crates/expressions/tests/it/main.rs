//! The crate from outside: tables of good and bad expressions, and properties of made-up ones.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

mod accepted;
mod evaluated;
mod keys;
mod made_up;
mod projected;
mod properties;
mod refused;

use std::collections::BTreeMap;

use dynamodb_expressions::{Fault, Given, Specification};
use serde_json::Value;

/// Names by placeholder.
pub const NAMES: [(&str, &str); 4] = [("#s", "Status"), ("#a", "a"), ("#P", "P"), ("#d", "d")];

/// Checks a filter expression with as many of `names` and `values` as it uses.
pub fn check_filter(expression: &str, values: &Value) -> Result<Specification, Vec<Fault>> {
    let given = given(expression, values);
    Given {
        filter: Some(expression),
        ..given
    }
    .check()
}

/// Checks a key condition likewise.
pub fn check_key_condition(expression: &str, values: &Value) -> Result<Specification, Vec<Fault>> {
    let given = given(expression, values);
    Given {
        key_condition: Some(expression),
        ..given
    }
    .check()
}

/// Checks a projection likewise.
pub fn check_projection(expression: &str) -> Result<Specification, Vec<Fault>> {
    let given = given(expression, &Value::Null);
    Given {
        projection: Some(expression),
        ..given
    }
    .check()
}

fn given<'a>(expression: &str, values: &'a Value) -> Given<'a> {
    let names: BTreeMap<_, _> = NAMES
        .into_iter()
        .filter(|(name, _)| expression.contains(name))
        .collect();
    let values = values
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.as_str(), value))
        .collect();
    Given {
        names,
        values,
        ..Given::default()
    }
}

/// The faults of a refusal in AWS's words.
pub fn words(refused: Result<Specification, Vec<Fault>>) -> Vec<String> {
    refused
        .expect_err("it must be refused")
        .iter()
        .map(ToString::to_string)
        .collect()
}
