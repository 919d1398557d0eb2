//! The size of attribute values, by AWS's published rules for item sizes.

use serde_json::Value as Json;

/// Bytes of a value in DynamoDB JSON, without the attribute's name.
#[must_use]
pub fn attribute_bytes(value: &Json) -> u64 {
    let Some((kind, inner)) = value.as_object().and_then(|typed| typed.iter().next()) else {
        return 0;
    };
    let text_bytes = |value: &Json| value.as_str().map_or(0, |text| bytes(text.len()));
    let elements = || inner.as_array().into_iter().flatten();
    match kind.as_str() {
        "S" => text_bytes(inner),
        "N" => number_bytes(inner),
        "B" => binary_bytes(inner),
        "SS" => elements().map(text_bytes).sum(),
        "NS" => elements().map(number_bytes).sum(),
        "BS" => elements().map(binary_bytes).sum(),
        "L" => {
            3 + elements()
                .map(|element| 1 + attribute_bytes(element))
                .sum::<u64>()
        }
        "M" => {
            let members = inner.as_object().into_iter().flatten();
            3 + members
                .map(|(name, value)| 1 + bytes(name.len()) + attribute_bytes(value))
                .sum::<u64>()
        }
        _ => 1,
    }
}

/// One byte per two significant digits, one for the exponent, one for a sign.
fn number_bytes(value: &Json) -> u64 {
    let text = value.as_str().unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let significant = bytes(digits.trim_matches('0').len());
    significant.div_ceil(2) + 1 + u64::from(text.starts_with('-'))
}

fn binary_bytes(value: &Json) -> u64 {
    let encoded = value.as_str().unwrap_or_default();
    bytes(encoded.trim_end_matches('=').len()) * 3 / 4
}

fn bytes(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
