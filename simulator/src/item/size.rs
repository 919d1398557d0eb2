//! How many bytes an item counts for: names and values by AWS's published item size rules.

use serde_json::Value;

use super::Item;

/// The most an item may count for.
pub(crate) const MAX_ITEM_BYTES: u64 = 400 * 1024;

/// Bytes of an item.
pub(crate) fn item_bytes(item: &Item) -> u64 {
    item.iter().map(|(name, value)| bytes(name.len()) + attribute_bytes(value)).sum()
}

fn attribute_bytes(value: &Value) -> u64 {
    let Some((kind, inner)) = value.as_object().and_then(|typed| typed.iter().next()) else { return 0 };
    let text_bytes = |value: &Value| value.as_str().map_or(0, |text| bytes(text.len()));
    let elements = || inner.as_array().into_iter().flatten();
    match kind.as_str() {
        "S" => text_bytes(inner),
        "N" => number_bytes(inner),
        "B" => binary_bytes(inner),
        "SS" => elements().map(text_bytes).sum(),
        "NS" => elements().map(number_bytes).sum(),
        "BS" => elements().map(binary_bytes).sum(),
        "L" => 3 + elements().map(|element| 1 + attribute_bytes(element)).sum::<u64>(),
        "M" => {
            let members = inner.as_object().into_iter().flatten();
            3 + members.map(|(name, value)| 1 + bytes(name.len()) + attribute_bytes(value)).sum::<u64>()
        }
        _ => 1,
    }
}

/// One byte per two significant digits, one for the exponent, one for a sign.
fn number_bytes(value: &Value) -> u64 {
    let text = value.as_str().unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let significant = bytes(digits.trim_matches('0').len());
    significant.div_ceil(2) + 1 + u64::from(text.starts_with('-'))
}

fn binary_bytes(value: &Value) -> u64 {
    let encoded = value.as_str().unwrap_or_default();
    bytes(encoded.trim_end_matches('=').len()) * 3 / 4
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
            (json!({"m": {"M": {"k": {"BOOL": true}}}}), 1 + 3 + 1 + 1 + 1),
            (json!({"s": {"SS": ["a", "bc"]}}), 1 + 3),
        ] {
            assert_eq!(item_bytes(item.as_object().unwrap()), size, "{item}");
        }
    }
}
