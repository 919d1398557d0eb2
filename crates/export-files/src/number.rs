//! Numbers of records: which texts DynamoDB would write, and how a number is written as plain JSON.

use dynamodb_expressions::Number;
use serde_json::Value;

/// The largest whole number written as a JSON number, 2^53: readers that only know doubles still
/// tell whole numbers up to here apart.
const MAX_WHOLE: i64 = 1 << 53;

/// Maximum significant digits of a fraction that keeps all its digits when it is read as a double
/// and printed again.
const MAX_FRACTION_DIGITS: usize = 15;

/// Whether a text is a number as DynamoDB writes one: without a plus sign.
#[must_use]
pub fn is_number(text: &str) -> bool {
    parse(text).is_some()
}

/// A number in plain JSON. A whole number of at most 2^53 in magnitude is a JSON integer, a
/// fraction of at most 15 significant digits a JSON number; any other is a string of all its
/// digits, without an exponent. A text that is not a DynamoDB number stays as it is.
#[must_use]
pub fn plain_number(text: &str) -> Value {
    let Some(number) = parse(text) else {
        return Value::String(text.to_owned());
    };
    let digits = number.to_string();
    let plain = if number.is_whole() {
        digits
            .parse::<i64>()
            .ok()
            .filter(|whole| whole.abs() <= MAX_WHOLE)
            .map(serde_json::Number::from)
    } else if number.significant_digits() <= MAX_FRACTION_DIGITS {
        digits
            .parse::<f64>()
            .ok()
            .and_then(serde_json::Number::from_f64)
    } else {
        None
    };
    plain.map_or_else(|| Value::String(digits), Value::Number)
}

fn parse(text: &str) -> Option<Number> {
    if text.starts_with('+') {
        return None;
    }
    Number::parse(text).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whole_numbers_are_integers_up_to_2_to_the_53rd_and_texts_beyond() {
        for (text, plain) in [
            ("103", json!(103)),
            ("0", json!(0)),
            ("-0", json!(0)),
            ("-0.0", json!(0)),
            ("5.0", json!(5)),
            ("1E+2", json!(100)),
            ("1e2", json!(100)),
            ("12.5E1", json!(125)),
            ("-9007199254740991", json!(-9_007_199_254_740_991_i64)),
            ("9007199254740992", json!(9_007_199_254_740_992_i64)),
            ("9007199254740993", json!("9007199254740993")),
            ("1700000000000000000", json!("1700000000000000000")),
            ("1700000000123456789", json!("1700000000123456789")),
            (
                "100000000000000000000000",
                json!("100000000000000000000000"),
            ),
            ("1E+23", json!("100000000000000000000000")),
            ("-1e20", json!("-100000000000000000000")),
            (
                "12345678901234567890123456789012345678",
                json!("12345678901234567890123456789012345678"),
            ),
        ] {
            assert_eq!(plain_number(text), plain, "{text}");
            assert!(is_number(text), "{text}");
        }
        assert_eq!(
            plain_number("1E+125"),
            json!(format!("1{}", "0".repeat(125)))
        );
        // As text: no point and no exponent ever.
        assert_eq!(
            plain_number("9007199254740992").to_string(),
            "9007199254740992"
        );
    }

    #[test]
    fn fractions_are_numbers_up_to_15_digits_and_texts_beyond() {
        for (text, plain) in [
            ("-1.50", json!(-1.5)),
            ("0.1", json!(0.1)),
            ("123456789012.345", json!(123_456_789_012.345)),
            ("1234567890123.456", json!("1234567890123.456")),
            ("0.1234567890123456789", json!("0.1234567890123456789")),
            ("-12.3456789012345678900", json!("-12.34567890123456789")),
            ("1234567890123456.5", json!("1234567890123456.5")),
            ("1E-130", json!(1e-130)),
            (
                "0.0000000000000000000000001234567890123456789",
                json!("0.0000000000000000000000001234567890123456789"),
            ),
            ("1234567890123456789E-20", json!("0.01234567890123456789")),
        ] {
            assert_eq!(plain_number(text), plain, "{text}");
        }
    }

    /// A JSON number keeps exactly DynamoDB's digits, also through a double.
    #[test]
    fn a_fraction_survives_a_double() {
        for exponent in [-115_i32, -17, -5, -1, 0, 3, 14] {
            for digits in [
                "1",
                "999999999999999",
                "123456789012345",
                "900719925474099",
                "100000000000001",
            ] {
                let text = format!("0.{digits}E{exponent}");
                let Value::Number(number) = plain_number(&text) else {
                    panic!("{text}")
                };
                assert_eq!(parse(&number.to_string()), parse(&text), "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_number_is_left_as_it_is() {
        for text in [
            "",
            "-",
            ".",
            "NaN",
            "inf",
            "1x",
            "0x1",
            "1 ",
            "+1",
            "1e",
            "1e1.5",
            "--1",
            "1.2.3",
            "١",
            "1_0",
            "1e99999999999999999999",
        ] {
            assert!(!is_number(text), "{text}");
            assert_eq!(plain_number(text), json!(text), "{text}");
        }
        assert_eq!(plain_number("1E+5000"), json!("1E+5000"));
        assert_eq!(plain_number("1.5E-5000"), json!("1.5E-5000"));
    }
}
