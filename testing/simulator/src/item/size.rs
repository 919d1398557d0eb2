//! The size of an item: names and values, by AWS's published size rules.

use dynamodb_expressions::attribute_bytes;

use super::Item;

/// The maximum size of an item, in bytes.
pub(crate) const MAX_ITEM_BYTES: u64 = 400 * 1024;

pub(crate) fn item_bytes(item: &Item) -> u64 {
    item.iter()
        .map(|(name, value)| bytes(name.len()) + attribute_bytes(value))
        .sum()
}

fn bytes(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::item_bytes;

    #[test]
    fn sizes_follow_the_published_rules() {
        for (item, size) in [
            (json!({"pk": {"S": "abc"}}), 5),
            (json!({"n": {"N": "1234"}}), 1 + 3),
            (json!({"n": {"N": "-15"}}), 1 + 3),
            (json!({"b": {"B": "aGVsbG8="}}), 1 + 5),
            (json!({"z": {"NULL": true}}), 2),
            (json!({"l": {"L": [{"S": "ab"}]}}), 1 + 3 + 1 + 2),
            (
                json!({"m": {"M": {"k": {"BOOL": true}}}}),
                1 + 3 + 1 + 1 + 1,
            ),
            (json!({"s": {"SS": ["a", "bc"]}}), 1 + 3),
        ] {
            assert_eq!(item_bytes(item.as_object().unwrap()), size, "{item}");
        }
    }
}
