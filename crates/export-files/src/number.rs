//! DynamoDB's numbers: what is one, and how it stands in plain JSON.

use serde_json::{Number, Value};

/// The largest whole number that is a JSON number: up to here every reader, also one that knows
/// only doubles, keeps each of them apart.
const MOST_WHOLE: i64 = 1 << 53;

/// Decimal fractions of so many significant digits survive a double: read as one and printed again,
/// they have the same digits.
const MOST_FRACTION_DIGITS: usize = 15;

/// DynamoDB's numbers have at most 130 places before or after the point, a double some 300. Others
/// are left as they are spelled.
const MOST_PLACES: i64 = 300;

/// Whether a text is a decimal number, as DynamoDB writes one.
#[must_use]
pub fn is_number(text: &str) -> bool {
    Decimal::of(text).is_some_and(|decimal| decimal.is_of_dynamodb())
}

/// A number in plain JSON. A whole number of at most 2^53 in magnitude is a JSON integer, a
/// fraction of at most 15 significant digits a JSON number; any other is a string of all its
/// digits, without an exponent.
#[must_use]
pub fn plain_number(text: &str) -> Value {
    let Some((decimal, written_out)) =
        Decimal::of(text).and_then(|decimal| decimal.written_out().map(|digits| (decimal, digits)))
    else {
        return Value::String(text.to_owned());
    };
    let number = if decimal.is_whole() {
        written_out
            .parse::<i64>()
            .ok()
            .filter(|whole| whole.abs() <= MOST_WHOLE)
            .map(Number::from)
    } else if decimal.digits.len() <= MOST_FRACTION_DIGITS {
        written_out.parse::<f64>().ok().and_then(Number::from_f64)
    } else {
        None
    };
    number.map_or_else(|| Value::String(written_out), Value::Number)
}

/// A decimal number in one form, however it was spelled: 0.`digits` times ten to the `exponent`.
#[derive(Debug, PartialEq, Eq)]
struct Decimal {
    negative: bool,
    /// Significant digits, without zeros at either end; none for zero.
    digits: String,
    exponent: i64,
}

impl Decimal {
    fn of(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (text, 0),
        };
        let (negative, mantissa) = mantissa
            .strip_prefix('-')
            .map_or((false, mantissa), |rest| (true, rest));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        if all.is_empty() || !all.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let significant = all.trim_start_matches('0');
        let leading = i64::try_from(all.len() - significant.len()).ok()?;
        let digits = significant.trim_end_matches('0').to_owned();
        if digits.is_empty() {
            return Some(Self {
                negative: false,
                digits,
                exponent: 0,
            });
        }
        let exponent = exponent.checked_add(i64::try_from(whole.len()).ok()? - leading)?;
        Some(Self {
            negative,
            digits,
            exponent,
        })
    }

    /// Whether DynamoDB can hold it: 38 digits, from 1E-130 to 9.99…E+125 ("Supported data types",
    /// numbers).
    fn is_of_dynamodb(&self) -> bool {
        self.digits.len() <= 38 && (self.digits.is_empty() || (-129..=126).contains(&self.exponent))
    }

    fn is_whole(&self) -> bool {
        i64::try_from(self.digits.len()).is_ok_and(|length| self.exponent >= length)
    }

    /// All digits without an exponent; `None` if they are more than any number of DynamoDB's has.
    fn written_out(&self) -> Option<String> {
        if self.exponent.abs() > MOST_PLACES {
            return None;
        }
        let sign = if self.negative { "-" } else { "" };
        let digits = if self.digits.is_empty() {
            "0"
        } else {
            &self.digits
        };
        Some(match usize::try_from(self.exponent) {
            Ok(places) if self.is_whole() => format!("{sign}{digits:0<places$}"),
            Ok(places) if places > 0 => {
                format!("{sign}{}.{}", &digits[..places], &digits[places..])
            }
            _ => format!(
                "{sign}0.{}{digits}",
                "0".repeat(usize::try_from(-self.exponent).unwrap_or_default())
            ),
        })
    }
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

    /// What is a JSON number has exactly DynamoDB's digits, after a double too.
    #[test]
    fn a_fraction_survives_a_double() {
        for exponent in [-130_i32, -17, -5, -1, 0, 3, 14] {
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
                assert_eq!(
                    Decimal::of(&number.to_string()),
                    Decimal::of(&text),
                    "{text}"
                );
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
