//! DynamoDB JSON without its type tags: `{"Id": {"N": "103"}}` becomes `{"Id": 103}`.
//!
//! A number becomes a JSON number where a double holds it exactly, and stays a string otherwise. Binary values stay base64, and
//! sets become arrays.

use serde_json::{Map, Number, Value};

/// A record without type tags: an item, or a change with its `Keys`, `NewImage`, `OldImage` and `Metadata`.
#[must_use]
pub fn plain_record(record: &Value) -> Value {
    match record {
        Value::Object(parts) => {
            parts.iter().map(|(name, part)| (name.clone(), part.as_object().map_or_else(|| part.clone(), plain_item))).collect()
        }
        other => other.clone(),
    }
}

/// An item without type tags.
#[must_use]
pub fn plain_item(item: &Map<String, Value>) -> Value {
    item.iter().map(|(name, value)| (name.clone(), plain(value))).collect()
}

/// A value without its tag. What is no attribute value is left as it is.
fn plain(value: &Value) -> Value {
    let Some((tag, inner)) = value.as_object().filter(|typed| typed.len() == 1).and_then(|typed| typed.iter().next()) else {
        return value.clone();
    };
    let list = |each: fn(&Value) -> Value| inner.as_array().map_or_else(|| inner.clone(), |all| all.iter().map(each).collect());
    match tag.as_str() {
        "S" | "B" | "BOOL" | "SS" | "BS" => inner.clone(),
        "NULL" => Value::Null,
        "N" => plain_number(inner),
        "NS" => list(plain_number),
        "L" => list(plain),
        "M" => inner.as_object().map_or_else(|| inner.clone(), plain_item),
        _ => value.clone(),
    }
}

fn plain_number(value: &Value) -> Value {
    let exact = value.as_str().and_then(|text| {
        let double: f64 = text.parse().ok().filter(|double: &f64| double.is_finite())?;
        // The shortest digits that stand for this double: the same number only if nothing was lost.
        if Digits::of(text)? != Digits::of(&format!("{double:e}"))? {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "below 2^53 a whole double is a whole i64")]
        if double.fract() == 0.0 && double.abs() < 9_007_199_254_740_992.0 {
            return Some(Number::from(double as i64));
        }
        Number::from_f64(double)
    });
    exact.map_or_else(|| value.clone(), Value::Number)
}

/// A decimal number in one form: significant digits without zeros at either end, and the place of the first.
#[derive(Debug, PartialEq, Eq)]
struct Digits {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Digits {
    fn of(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (text, 0),
        };
        let (negative, mantissa) = mantissa.strip_prefix('-').map_or((false, mantissa), |rest| (true, rest));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        if all.is_empty() || !all.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let significant = all.trim_start_matches('0');
        let leading = i64::try_from(all.len() - significant.len()).ok()?;
        let digits = significant.trim_end_matches('0').to_owned();
        if digits.is_empty() {
            return Some(Self { negative: false, digits, exponent: 0 });
        }
        let exponent = exponent.checked_add(i64::try_from(whole.len()).ok()? - leading)?;
        Some(Self { negative, digits, exponent })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_numbers_where_nothing_is_lost() {
        for (text, plain) in [
            ("103", json!(103)),
            ("-1.50", json!(-1.5)),
            ("0", json!(0)),
            ("-0", json!(0)),
            ("0.1", json!(0.1)),
            ("9007199254740991", json!(9_007_199_254_740_991_i64)),
            ("9007199254740993", json!("9007199254740993")),
            ("0.1234567890123456789", json!("0.1234567890123456789")),
            ("100000000000000000000", json!(1e20)),
            ("12345678901234567890123456789012345678", json!("12345678901234567890123456789012345678")),
            ("1E-130", json!(1e-130)),
            ("NaN", json!("NaN")),
            ("inf", json!("inf")),
            ("", json!("")),
        ] {
            assert_eq!(plain_number(&json!(text)), plain, "{text}");
        }
    }

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
