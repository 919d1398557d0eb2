//! DynamoDB's numbers: up to 38 significant digits, handed back in plain decimal form.

const MOST_DIGITS: usize = 38;

/// The form in which DynamoDB returns a number: no padding, no plus sign, no exponent.
pub(crate) fn normalise(text: &str) -> Result<String, String> {
    let not_a_number = || format!("The parameter cannot be converted to a numeric value: {text}");
    let (negative, unsigned) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| not_a_number())?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(not_a_number());
    }
    // The value is 0.<digits> x 10^point.
    let leading = digits.len() - digits.trim_start_matches('0').len();
    let significant = digits.trim_matches('0');
    if significant.is_empty() {
        return Ok("0".to_owned());
    }
    let point = i64::try_from(whole.len()).unwrap_or(i64::MAX) + i64::from(exponent) - i64::try_from(leading).unwrap_or(0);
    if significant.len() > MOST_DIGITS {
        return Err("Attempting to store more than 38 significant digits in a Number".to_owned());
    }
    if point > 126 {
        return Err("Number overflow. Attempting to store a number with magnitude larger than supported range".to_owned());
    }
    if point < -129 {
        return Err("Number underflow. Attempting to store a number with magnitude smaller than supported range".to_owned());
    }
    let sign = if negative { "-" } else { "" };
    let length = i64::try_from(significant.len()).unwrap_or(i64::MAX);
    let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
    Ok(if point <= 0 {
        format!("{sign}0.{}{significant}", zeros(-point))
    } else if point >= length {
        format!("{sign}{significant}{}", zeros(point - length))
    } else {
        let (whole, fraction) = significant.split_at(usize::try_from(point).unwrap_or(0));
        format!("{sign}{whole}.{fraction}")
    })
}

#[cfg(test)]
mod tests {
    use super::normalise;

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
            assert_eq!(normalise(given).as_deref(), Ok(kept), "{given}");
        }
    }

    #[test]
    fn not_numbers() {
        for bad in ["", "a", "1.2.3", "--1", ".", "1e", "NaN", "1e999999999999"] {
            assert!(normalise(bad).is_err(), "{bad}");
        }
        assert!(normalise(&"9".repeat(39)).is_err());
        assert!(normalise("1e126").is_err());
        assert!(normalise("1e-131").is_err());
    }
}
