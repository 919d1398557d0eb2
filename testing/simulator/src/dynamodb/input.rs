//! Reads a request's members. A member of the wrong type is a SerializationException; constraint
//! violations are collected and reported together, in AWS's words.

use serde_json::{Map, Value};

use super::error::ApiError;

/// The members of a request or of a structure in it. Unknown members are ignored, as AWS does.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a>(pub(crate) &'a Map<String, Value>);

impl<'a> Input<'a> {
    pub(crate) fn text(self, name: &str) -> Result<Option<&'a str>, ApiError> {
        self.member(name, "String", Value::as_str)
    }

    pub(crate) fn number(self, name: &str) -> Result<Option<f64>, ApiError> {
        self.member(name, "Double", Value::as_f64)
    }

    pub(crate) fn integer(self, name: &str) -> Result<Option<i64>, ApiError> {
        self.member(name, "Integer", Value::as_i64)
    }

    pub(crate) fn flag(self, name: &str) -> Result<Option<bool>, ApiError> {
        self.member(name, "Boolean", Value::as_bool)
    }

    pub(crate) fn structure(self, name: &str) -> Result<Option<Input<'a>>, ApiError> {
        self.member(name, "Structure", |value| value.as_object().map(Input))
    }

    pub(crate) fn list(self, name: &str) -> Result<Option<&'a Vec<Value>>, ApiError> {
        self.member(name, "List", Value::as_array)
    }

    fn member<T>(
        self,
        name: &str,
        wanted: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, ApiError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match read(value) {
                Some(read) => Ok(Some(read)),
                None => Err(ApiError::serialization(format!(
                    "{} can not be converted to {wanted}",
                    token(value)
                ))),
            },
        }
    }
}

fn token(value: &Value) -> &'static str {
    match value {
        Value::Null => "NULL_VALUE",
        Value::Bool(true) => "TRUE_VALUE",
        Value::Bool(false) => "FALSE_VALUE",
        Value::Number(number) if number.is_f64() => "DECIMAL_VALUE",
        Value::Number(_) => "NUMBER_VALUE",
        Value::String(_) => "STRING_VALUE",
        Value::Array(_) => "START_ARRAY",
        Value::Object(_) => "START_OBJECT",
    }
}

/// The constraint violations of one request.
#[derive(Debug, Default)]
pub(crate) struct Violations(Vec<String>);

impl Violations {
    pub(crate) fn check(
        &mut self,
        holds: bool,
        member: &str,
        value: impl std::fmt::Display,
        rule: &str,
    ) {
        if !holds {
            self.0.push(format!(
                "Value '{value}' at '{member}' failed to satisfy constraint: Member must {rule}"
            ));
        }
    }

    pub(crate) fn required<T>(&mut self, value: Option<T>, member: &str) {
        if value.is_none() {
            self.0.push(format!(
                "Value null at '{member}' failed to satisfy constraint: Member must not be null"
            ));
        }
    }

    pub(crate) fn length(&mut self, value: Option<&str>, member: &str, least: usize, most: usize) {
        if let Some(value) = value {
            let length = value.chars().count();
            self.check(
                length >= least,
                member,
                value,
                &format!("have length greater than or equal to {least}"),
            );
            self.check(
                length <= most,
                member,
                value,
                &format!("have length less than or equal to {most}"),
            );
        }
    }

    pub(crate) fn one_of(&mut self, value: Option<&str>, member: &str, allowed: &[&str]) {
        if let Some(value) = value {
            self.check(
                allowed.contains(&value),
                member,
                value,
                &format!("satisfy enum value set: [{}]", allowed.join(", ")),
            );
        }
    }

    pub(crate) fn pattern(
        &mut self,
        value: Option<&str>,
        member: &str,
        pattern: &str,
        fits: impl FnOnce(&str) -> bool,
    ) {
        if let Some(value) = value {
            self.check(
                fits(value),
                member,
                value,
                &format!("satisfy regular expression pattern: {pattern}"),
            );
        }
    }

    /// `Ok`, or one ValidationException that lists all violations.
    pub(crate) fn report(self) -> Result<(), ApiError> {
        match self.0.len() {
            0 => Ok(()),
            1 => Err(ApiError::validation(format!(
                "1 validation error detected: {}",
                self.0.join("; ")
            ))),
            count => Err(ApiError::validation(format!(
                "{count} validation errors detected: {}",
                self.0.join("; ")
            ))),
        }
    }
}
