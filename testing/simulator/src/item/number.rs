//! DynamoDB's numbers: up to 38 significant digits, returned in plain decimal form.

use dynamodb_expressions::{Number, NumberError};

/// The form in which DynamoDB returns a number: no padding, plus sign or exponent. The error is
/// AWS's message.
pub(crate) fn normalise(text: &str) -> Result<String, String> {
    Number::parse(text).map(|number| number.to_string()).map_err(|error| match error {
        NumberError::NotANumber => format!("The parameter cannot be converted to a numeric value: {text}"),
        NumberError::TooManyDigits => "Attempting to store more than 38 significant digits in a Number".to_owned(),
        NumberError::Overflow => "Number overflow. Attempting to store a number with magnitude larger than supported range".to_owned(),
        NumberError::Underflow => "Number underflow. Attempting to store a number with magnitude smaller than supported range".to_owned(),
    })
}

/// The sum or difference of two numbers in plain form.
pub(crate) fn add(one: &str, other: &str, minus: bool) -> Result<String, String> {
    let fraction_length = |text: &str| {
        text.split_once('.')
            .map_or(0, |(_, fraction)| fraction.len())
    };
    let scale = fraction_length(one).max(fraction_length(other));
    // Whole numbers of the smallest unit that both use.
    let units = |text: &str| {
        format!(
            "{}{}",
            text.replace('.', ""),
            "0".repeat(scale - fraction_length(text))
        )
        .parse::<i128>()
        .ok()
    };
    let sum = units(one).zip(units(other)).and_then(|(one, other)| {
        if minus {
            one.checked_sub(other)
        } else {
            one.checked_add(other)
        }
    });
    let sum = sum.ok_or(
        "Number overflow. Attempting to store a number with magnitude larger than supported range",
    )?;
    normalise(&format!("{sum}e-{scale}"))
}

#[cfg(test)]
mod tests {
    use super::add;

    #[test]
    fn sums_are_exact() {
        for (one, other, sum) in [
            ("1", "2", "3"),
            ("0.1", "0.2", "0.3"),
            ("-5", "0.25", "-4.75"),
            ("99999999999999999999", "1", "100000000000000000000"),
        ] {
            assert_eq!(add(one, other, false).as_deref(), Ok(sum));
            assert_eq!(add(sum, other, true).as_deref(), Ok(one));
        }
    }
}
