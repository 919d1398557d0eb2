//! FilterSpecification: checked for shape, sizes and the use of keys, echoed, never evaluated.

use serde_json::Value;

use crate::dynamodb::error::ApiError;
use crate::dynamodb::input::Input;
use crate::world::Table;

const MOST_BYTES: usize = 4 * 1024;
const MOST_OPERATORS: usize = 300;
const EXPRESSIONS: [&str; 3] = ["FilterExpression", "ProjectionExpression", "KeyConditionExpression"];
const WORD_OPERATORS: [&str; 11] =
    ["AND", "OR", "NOT", "IN", "BETWEEN", "ATTRIBUTE_EXISTS", "ATTRIBUTE_NOT_EXISTS", "ATTRIBUTE_TYPE", "BEGINS_WITH", "CONTAINS", "SIZE"];

/// What can be said of a filter without its table.
pub(super) fn check_shape(filter: &Value) -> Result<(), ApiError> {
    let Some(input) = filter.as_object().map(Input) else { return Err(invalid("The specification can not be empty")) };
    let mut expressions = 0;
    for name in EXPRESSIONS {
        let Some(text) = input.text(name)? else { continue };
        expressions += 1;
        if text.trim().is_empty() {
            return Err(invalid(&format!("{name} can not be empty")));
        }
        if text.len() > MOST_BYTES {
            return Err(invalid(&format!(
                "{name}: Expression size has exceeded the maximum allowed size; expression size: {}",
                text.len()
            )));
        }
        let operators = words(text).filter(|word| is_operator(word)).count();
        if operators > MOST_OPERATORS {
            return Err(invalid(&format!("{name}: The expression contains too many operators; operator count: {operators}")));
        }
    }
    let names = input.structure("ExpressionAttributeNames")?;
    let values = input.structure("ExpressionAttributeValues")?;
    if expressions == 0 && names.is_none() && values.is_none() {
        return Err(invalid("The specification can not be empty"));
    }
    if expressions == 0 {
        return Err(invalid("ExpressionAttributeNames and ExpressionAttributeValues can only be specified when using expressions"));
    }
    for (name, _) in names.into_iter().flat_map(|names| names.0) {
        names.map_or(Ok(None), |names| names.text(name))?;
    }
    Ok(())
}

/// What can be said of a filter with its table: a key condition fixes the partition key, and a filter beside it
/// stays away from the keys.
pub(super) fn check_keys(filter: &Value, table: &Table) -> Result<(), ApiError> {
    let Some(condition) = filter["KeyConditionExpression"].as_str() else { return Ok(()) };
    let resolve = |word: &str| filter["ExpressionAttributeNames"][word].as_str().unwrap_or(word).to_owned();
    let condition: Vec<&str> = words(condition).collect();
    let fixed = condition.windows(2).any(|pair| pair[1] == "=" && resolve(pair[0]) == table.partition_key.name);
    if !fixed {
        return Err(invalid(&format!("KeyConditionExpression: Query condition missed key schema element: {}", table.partition_key.name)));
    }
    let keys: Vec<&str> = std::iter::once(&table.partition_key).chain(&table.sort_key).map(|key| key.name.as_str()).collect();
    let touched = filter["FilterExpression"].as_str().and_then(|text| words(text).map(resolve).find(|word| keys.contains(&word.as_str())));
    match touched {
        Some(key) => Err(invalid(&format!("FilterExpression can only contain non-primary key attributes: Primary key attribute: {key}"))),
        None => Ok(()),
    }
}

fn invalid(text: &str) -> ApiError {
    ApiError::invalid_request(format_args!("Invalid FilterSpecification: {text}"))
}

fn is_operator(word: &str) -> bool {
    ["=", "<>", "<", "<=", ">", ">="].contains(&word) || WORD_OPERATORS.contains(&word.to_ascii_uppercase().as_str())
}

/// The words of an expression: names, placeholders, comparators.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_comparator = |c: char| "=<>".contains(c);
    let is_name = |c: char| c.is_alphanumeric() || "_#:.-".contains(c);
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c| !is_comparator(c) && !is_name(c));
        let first = rest.chars().next()?;
        let end = if is_comparator(first) { rest.find(|c| !is_comparator(c)) } else { rest.find(|c| !is_name(c)) };
        let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after;
        Some(word)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_are_names_placeholders_and_comparators() {
        let found: Vec<&str> = words("#pk=:v AND begins_with(sk, :p)").collect();
        assert_eq!(found, ["#pk", "=", ":v", "AND", "begins_with", "sk", ":p"]);
    }

    #[test]
    fn empty_long_and_busy_filters_are_refused() {
        assert!(check_shape(&json!({})).is_err());
        assert!(check_shape(&json!({"FilterExpression": " "})).is_err());
        assert!(check_shape(&json!({"ExpressionAttributeNames": {"#a": "b"}})).is_err());
        assert!(check_shape(&json!({"FilterExpression": "x".repeat(4097)})).is_err());
        assert!(check_shape(&json!({"FilterExpression": "a = :v OR ".repeat(151)})).is_err());
        assert!(check_shape(&json!({"FilterExpression": "attribute_exists(pk)"})).is_ok());
    }
}
