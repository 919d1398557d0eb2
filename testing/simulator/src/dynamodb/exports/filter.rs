//! FilterSpecification: what AWS rejects when an export is requested.

use dynamodb_expressions::{Fault, Specification};
use serde_json::Value;

use crate::dynamodb::error::ApiError;
use crate::dynamodb::input::Input;
use crate::filter;
use crate::world::Table;

const EXPRESSIONS: [&str; 3] = [
    "FilterExpression",
    "ProjectionExpression",
    "KeyConditionExpression",
];

/// Checks that do not need the table.
pub(super) fn check_shape(filter: &Value) -> Result<Specification, ApiError> {
    let Some(input) = filter.as_object().map(Input) else {
        return Err(invalid("The specification can not be empty"));
    };
    let mut expressions = 0;
    for name in EXPRESSIONS {
        expressions += usize::from(input.text(name)?.is_some());
    }
    let names = input.structure("ExpressionAttributeNames")?;
    let values = input.structure("ExpressionAttributeValues")?;
    for (name, _) in names.into_iter().flat_map(|names| names.0) {
        names.map_or(Ok(None), |names| names.text(name))?;
    }
    if expressions == 0 && (names.is_some() || values.is_some()) {
        return Err(invalid(
            "ExpressionAttributeNames and ExpressionAttributeValues can only be specified when using expressions",
        ));
    }
    filter::read(filter).map_err(refusal)
}

/// Checks that need the table.
pub(super) fn check_keys(filter: &Value, table: &Table) -> Result<(), ApiError> {
    check_shape(filter)?
        .check_keys(&filter::key_schema(table))
        .map_err(refusal)
}

/// AWS reports only one error.
fn refusal(faults: Vec<Fault>) -> ApiError {
    invalid(&faults.first().map(ToString::to_string).unwrap_or_default())
}

fn invalid(text: &str) -> ApiError {
    ApiError::invalid_request(format_args!("Invalid FilterSpecification: {text}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_aws_refuses_is_refused() {
        for refused in [
            json!({}),
            json!({"FilterExpression": " "}),
            json!({"ExpressionAttributeNames": {"#a": "b"}}),
            json!({"FilterExpression": 5}),
            json!({"FilterExpression": "x".repeat(4097)}),
            json!({"FilterExpression": vec!["a = b"; 151].join(" OR ")}),
            json!({"FilterExpression": "a = b", "ExpressionAttributeNames": {"#a": "b"}}),
        ] {
            assert!(check_shape(&refused).is_err(), "{refused}");
        }
        assert!(check_shape(&json!({"FilterExpression": "attribute_exists(pk)"})).is_ok());
    }
}
