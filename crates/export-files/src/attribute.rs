//! DynamoDB JSON without its type tags: `{"Id": {"N": "103"}}` becomes `{"Id": 103}`.
//!
//! Numbers follow [`plain_number`]. Binary values stay base64, and sets become arrays.

use serde_json::{Map, Value};

use super::number::plain_number;

/// A record without type tags: an item, or a change with its `Keys`, `NewImage`, `OldImage` and
/// `Metadata`.
#[must_use]
pub fn plain_record(record: &Value) -> Value {
    match record {
        Value::Object(parts) => parts
            .iter()
            .map(|(name, part)| {
                (
                    name.clone(),
                    part.as_object().map_or_else(|| part.clone(), plain_item),
                )
            })
            .collect(),
        other => other.clone(),
    }
}

/// The item of a record of a full export; a change is returned unchanged.
#[must_use]
pub fn without_wrapper(record: Value) -> Value {
    match record {
        Value::Object(mut parts) if parts.len() == 1 && parts.contains_key("Item") => {
            parts.remove("Item").unwrap_or_default()
        }
        other => other,
    }
}

/// An item without type tags.
#[must_use]
pub fn plain_item(item: &Map<String, Value>) -> Value {
    item.iter()
        .map(|(name, value)| (name.clone(), plain(value)))
        .collect()
}

/// A value without its tag. Anything else is returned unchanged.
fn plain(value: &Value) -> Value {
    let Some((tag, inner)) = value
        .as_object()
        .filter(|typed| typed.len() == 1)
        .and_then(|typed| typed.iter().next())
    else {
        return value.clone();
    };
    let list = |each: fn(&Value) -> Value| {
        inner
            .as_array()
            .map_or_else(|| inner.clone(), |all| all.iter().map(each).collect())
    };
    match tag.as_str() {
        "S" | "B" | "BOOL" | "SS" | "BS" => inner.clone(),
        "NULL" => Value::Null,
        "N" => number(inner),
        "NS" => list(number),
        "L" => list(plain),
        "M" => inner.as_object().map_or_else(|| inner.clone(), plain_item),
        _ => value.clone(),
    }
}

fn number(value: &Value) -> Value {
    value.as_str().map_or_else(|| value.clone(), plain_number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tags_go_at_every_depth() {
        let record = json!({
            "Keys": {"pk": {"S": "a"}},
            "NewImage": {"L": {"L": [{"N": "1"}, {"M": {"x": {"NULL": true}}}]}, "NS": {"NS": ["1", "2.5"]}, "B": {"B": "aGk="}, "BS": {"BS": ["aGk="]}, "T": {"BOOL": false}},
            "Metadata": {"WriteTimestampMicros": {"N": "1700000000000000"}},
        });
        let plain = json!({
            "Keys": {"pk": "a"},
            "NewImage": {"L": [1, {"x": null}], "NS": [1, 2.5], "B": "aGk=", "BS": ["aGk="], "T": false},
            "Metadata": {"WriteTimestampMicros": 1_700_000_000_000_000_i64},
        });
        assert_eq!(plain_record(&record), plain);
    }
}
