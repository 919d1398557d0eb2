//! DynamoDB's numbers: decimal, up to 38 significant digits, compared by value.

use std::cmp::Ordering;
use std::fmt;

/// Maximum significant digits of a number.
const MAX_DIGITS: usize = 38;

/// An exact decimal number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Number {
    negative: bool,
    /// Significant digits without zeros at either end; empty for zero.
    digits: String,
    /// The value is `0.digits × 10^point`.
    point: i64,
}

/// Why a text is not a valid DynamoDB number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberError {
    /// It is not a decimal number.
    NotANumber,
    /// It has more than 38 significant digits.
    TooManyDigits,
    /// Its magnitude is above 9.99…E+125.
    Overflow,
    /// Its magnitude is below 1E-130.
    Underflow,
}

impl Number {
    /// Parses a number as in DynamoDB JSON.
    pub fn parse(text: &str) -> Result<Self, NumberError> {
        let (negative, unsigned) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (
                mantissa,
                exponent
                    .parse::<i32>()
                    .map_err(|_| NumberError::NotANumber)?,
            ),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NumberError::NotANumber);
        }
        let significant = digits.trim_matches('0');
        if significant.is_empty() {
            return Ok(Self::zero());
        }
        if significant.len() > MAX_DIGITS {
            return Err(NumberError::TooManyDigits);
        }
        let length = |text: &str| i64::try_from(text.len()).unwrap_or(i64::MAX);
        let leading = length(&digits) - length(digits.trim_start_matches('0'));
        let point = length(whole) + i64::from(exponent) - leading;
        match point {
            127.. => Err(NumberError::Overflow),
            ..-129 => Err(NumberError::Underflow),
            _ => Ok(Self {
                negative,
                digits: significant.to_owned(),
                point,
            }),
        }
    }

    /// Whether it has no fraction.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        i64::try_from(self.digits.len()).is_ok_and(|length| self.point >= length)
    }

    /// The number of digits without the zeros at either end; 0 for zero.
    #[must_use]
    pub fn significant_digits(&self) -> usize {
        self.digits.len()
    }

    fn zero() -> Self {
        Self {
            negative: false,
            digits: String::new(),
            point: 0,
        }
    }

    /// Compares the magnitudes, without the signs.
    fn cmp_magnitude(&self, other: &Self) -> Ordering {
        match (self.digits.is_empty(), other.digits.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => self
                .point
                .cmp(&other.point)
                .then_with(|| self.digits.cmp(&other.digits)),
        }
    }
}

impl From<usize> for Number {
    fn from(count: usize) -> Self {
        // At most 20 digits, so it always parses.
        Self::parse(&count.to_string()).unwrap_or_else(|_| Self::zero())
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => self.cmp_magnitude(other),
            (true, true) => other.cmp_magnitude(self),
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The form in which DynamoDB returns numbers: no padding, no plus sign, no exponent.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.digits.is_empty() {
            return f.write_str("0");
        }
        let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
        let length = i64::try_from(self.digits.len()).unwrap_or(i64::MAX);
        f.write_str(if self.negative { "-" } else { "" })?;
        if self.point <= 0 {
            write!(f, "0.{}{}", zeros(-self.point), self.digits)
        } else if self.point >= length {
            write!(f, "{}{}", self.digits, zeros(self.point - length))
        } else {
            let (whole, fraction) = self
                .digits
                .split_at(usize::try_from(self.point).unwrap_or(0));
            write!(f, "{whole}.{fraction}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Number, NumberError};

    #[test]
    fn plain_decimal_form() {
        for (given, kept) in [
            ("103", "103"),
            ("0", "0"),
            ("-0.0", "0"),
            ("+5", "5"),
            ("007.50", "7.5"),
            ("1e3", "1000"),
            ("1.25E-2", "0.0125"),
            ("0.001", "0.001"),
            ("-120.0300", "-120.03"),
            ("100", "100"),
        ] {
            assert_eq!(Number::parse(given).unwrap().to_string(), kept, "{given}");
        }
    }

    #[test]
    fn not_numbers() {
        for bad in [
            "",
            "a",
            "1.2.3",
            "--1",
            ".",
            "1e",
            "NaN",
            "inf",
            "1e999999999999",
            " 1",
            "é",
        ] {
            assert_eq!(Number::parse(bad), Err(NumberError::NotANumber), "{bad}");
        }
        assert_eq!(
            Number::parse(&"9".repeat(39)),
            Err(NumberError::TooManyDigits)
        );
        assert_eq!(Number::parse("1e126"), Err(NumberError::Overflow));
        assert_eq!(Number::parse("1e-131"), Err(NumberError::Underflow));
    }

    #[test]
    fn order_is_by_value() {
        let in_order = [
            "-1e125", "-100", "-12", "-1.5", "-1", "-0.01", "0", "1e-130", "0.01", "0.1", "1",
            "1.5", "9", "10", "100.01", "1e125",
        ];
        let numbers: Vec<Number> = in_order
            .iter()
            .map(|text| Number::parse(text).unwrap())
            .collect();
        assert!(numbers.is_sorted(), "{numbers:?}");
        assert_eq!(
            Number::parse("10.0").unwrap(),
            Number::parse("1e1").unwrap()
        );
    }
}
