//! Items in DynamoDB JSON: validation, and the size in bytes that AWS counts.

mod number;
mod size;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value};

pub(crate) use number::add as add_numbers;
pub(crate) use size::{MAX_ITEM_BYTES, item_bytes};

/// An item: attribute names and their typed values, as on the wire.
pub(crate) type Item = Map<String, Value>;

const DEEPEST: usize = 32;

/// Checks every attribute and converts it to the form that DynamoDB returns (for example, numbers
/// without padding). The error is AWS's message.
pub(crate) fn normalise(item: &Item) -> Result<Item, String> {
    item.iter()
        .map(|(name, value)| Ok((checked_name(name)?, attribute(value, 0)?)))
        .collect()
}

/// Names are not empty, at any depth.
fn checked_name(name: &str) -> Result<String, String> {
    if name.is_empty() {
        return Err("One or more parameter values were invalid: Attribute names must have at least one character".to_owned());
    }
    Ok(name.to_owned())
}

fn attribute(value: &Value, depth: usize) -> Result<Value, String> {
    if depth > DEEPEST {
        return Err("Nesting Levels have exceeded supported limits".to_owned());
    }
    let typed = value.as_object().ok_or(
        "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
    )?;
    let mut members = typed.iter();
    let (Some((kind, inner)), None) = (members.next(), members.next()) else {
        return Err(if typed.is_empty() {
            "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
                .to_owned()
        } else {
            "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes".to_owned()
        });
    };
    let normal = match kind.as_str() {
        "S" => Value::String(text(inner)?.to_owned()),
        "N" => Value::String(number::normalise(text(inner)?)?),
        "B" => binary(inner)?,
        "BOOL" if inner.is_boolean() => inner.clone(),
        "NULL" if inner.as_bool() == Some(true) => inner.clone(),
        "NULL" => {
            return Err("One or more parameter values were invalid: Null attribute value types must have the value of true".to_owned());
        }
        "M" => {
            let members = inner.as_object().ok_or_else(bad_type)?;
            let members: Result<Map<_, _>, String> = members
                .iter()
                .map(|(name, value)| Ok((checked_name(name)?, attribute(value, depth + 1)?)))
                .collect();
            Value::Object(members?)
        }
        "L" => {
            let elements = inner.as_array().ok_or_else(bad_type)?;
            Value::Array(
                elements
                    .iter()
                    .map(|element| attribute(element, depth + 1))
                    .collect::<Result<_, String>>()?,
            )
        }
        "SS" => set(inner, "string", |element| {
            Ok(Value::String(text(element)?.to_owned()))
        })?,
        "NS" => set(inner, "number", |element| {
            Ok(Value::String(number::normalise(text(element)?)?))
        })?,
        "BS" => set(inner, "binary", binary)?,
        _ => return Err(
            "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
                .to_owned(),
        ),
    };
    Ok(Value::Object(Map::from_iter([(kind.clone(), normal)])))
}

fn set(
    inner: &Value,
    what: &str,
    element: impl Fn(&Value) -> Result<Value, String>,
) -> Result<Value, String> {
    let elements: Vec<Value> = inner
        .as_array()
        .ok_or_else(bad_type)?
        .iter()
        .map(element)
        .collect::<Result<_, _>>()?;
    if elements.is_empty() {
        return Err(format!(
            "One or more parameter values were invalid: An {what} set  may not be empty"
        ));
    }
    let twice = elements
        .iter()
        .enumerate()
        .any(|(at, element)| elements[..at].contains(element));
    if twice {
        return Err(
            "One or more parameter values were invalid: Input collection contains duplicates."
                .to_owned(),
        );
    }
    Ok(Value::Array(elements))
}

fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(bad_type)
}

fn binary(value: &Value) -> Result<Value, String> {
    let encoded = text(value)?;
    BASE64
        .decode(encoded)
        .map_err(|_| "Bad base64 in a binary attribute value".to_owned())?;
    Ok(Value::String(encoded.to_owned()))
}

fn bad_type() -> String {
    "Supplied AttributeValue holds a value of another type than it names".to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(value: Value) -> Result<Value, String> {
        attribute(&value, 0)
    }

    #[test]
    fn numbers_lose_their_padding_at_every_depth() {
        let nested =
            check(json!({"L": [{"M": {"n": {"N": "007.50"}}}, {"NS": ["1.0", "2"]}]})).unwrap();
        assert_eq!(
            nested,
            json!({"L": [{"M": {"n": {"N": "7.5"}}}, {"NS": ["1", "2"]}]})
        );
    }

    #[test]
    fn what_is_no_attribute_value_is_refused() {
        for bad in [
            json!("text"),
            json!({}),
            json!({"S": "a", "N": "1"}),
            json!({"S": 1}),
            json!({"NULL": false}),
            json!({"SS": []}),
            json!({"SS": ["a", "a"]}),
            json!({"NS": ["1", "1.0"]}),
            json!({"B": "not base64!"}),
            json!({"X": "a"}),
        ] {
            assert!(check(bad.clone()).is_err(), "{bad}");
        }
    }
}
