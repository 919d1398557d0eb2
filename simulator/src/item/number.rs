//! DynamoDB's numbers: up to 38 significant digits, handed back in plain decimal form.

use dynamodb_expressions::{Number, NumberError};

/// The form in which DynamoDB returns a number: no padding, no plus sign, no exponent. The error is AWS's sentence.
pub(crate) fn normalise(text: &str) -> Result<String, String> {
    Number::parse(text).map(|number| number.to_string()).map_err(|error| match error {
        NumberError::NotANumber => format!("The parameter cannot be converted to a numeric value: {text}"),
        NumberError::TooManyDigits => "Attempting to store more than 38 significant digits in a Number".to_owned(),
        NumberError::Overflow => "Number overflow. Attempting to store a number with magnitude larger than supported range".to_owned(),
        NumberError::Underflow => "Number underflow. Attempting to store a number with magnitude smaller than supported range".to_owned(),
    })
}
