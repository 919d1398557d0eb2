//! Reads the fields of a JSON object one by one and collects everything that is wrong, so that a
//! caller hears of all errors at once.

use serde_json::{Map, Value};

use super::problem::FieldError;
use crate::domain::filter::pointer;
use crate::domain::invalid::Invalid;

/// An object that is being read. A field that is null counts as left out.
#[derive(Debug)]
pub struct Fields<'a> {
    object: &'a Map<String, Value>,
    at: String,
    known: Vec<&'static str>,
}

/// Everything found wrong so far.
pub type Errors = Vec<FieldError>;

impl<'a> Fields<'a> {
    /// Begins to read an object that stands at this JSON pointer (empty for the body itself).
    #[must_use]
    pub fn of(object: &'a Map<String, Value>, at: &str) -> Self {
        Self {
            object,
            at: at.to_owned(),
            known: Vec::new(),
        }
    }

    /// The pointer of a field.
    #[must_use]
    pub fn pointer(&self, name: &str) -> String {
        format!("{}{}", self.at, pointer(name))
    }

    /// The raw value of a field.
    pub fn value(&mut self, name: &'static str) -> Option<&'a Value> {
        if !self.known.contains(&name) {
            self.known.push(name);
        }
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// A string, read by `parse`; `None` when it is left out or wrong.
    pub fn text<T>(
        &mut self,
        name: &'static str,
        errors: &mut Errors,
        parse: impl FnOnce(&str) -> Result<T, Invalid>,
    ) -> Option<T> {
        let value = self.value(name)?;
        let parsed = match value.as_str() {
            Some(text) => parse(text),
            None => Err(Invalid::new(format!(
                "must be a string, not {}",
                kind(value)
            ))),
        };
        parsed
            .map_err(|e| errors.push(FieldError::new(self.pointer(name), &e)))
            .ok()
    }

    /// A string that must be there.
    pub fn required_text<T>(
        &mut self,
        name: &'static str,
        errors: &mut Errors,
        parse: impl FnOnce(&str) -> Result<T, Invalid>,
    ) -> Option<T> {
        if self.object.get(name).is_none_or(Value::is_null) {
            errors.push(FieldError::new(
                self.pointer(name),
                &Invalid::new("is required"),
            ));
        }
        self.text(name, errors, parse)
    }

    /// `true` or `false`; `None` when it is left out or wrong.
    pub fn boolean(&mut self, name: &'static str, errors: &mut Errors) -> Option<bool> {
        let value = self.value(name)?;
        if value.as_bool().is_none() {
            let what = Invalid::new(format!("must be true or false, not {}", kind(value)));
            errors.push(FieldError::new(self.pointer(name), &what));
        }
        value.as_bool()
    }

    /// A whole number, read by `parse`; `None` when it is left out or wrong.
    pub fn whole_number<T>(
        &mut self,
        name: &'static str,
        errors: &mut Errors,
        parse: impl FnOnce(i64) -> Result<T, Invalid>,
    ) -> Option<T> {
        let value = self.value(name)?;
        let parsed = match value.as_i64().or_else(|| without_fraction(value)) {
            Some(number) => parse(number),
            // A whole number that is too large is out of every range of ours.
            None if value.is_u64() => parse(i64::MAX),
            None => Err(Invalid::new(format!(
                "must be a whole number, not {}",
                if value.is_number() {
                    "a fraction"
                } else {
                    kind(value)
                }
            ))),
        };
        parsed
            .map_err(|e| errors.push(FieldError::new(self.pointer(name), &e)))
            .ok()
    }

    /// A list of strings, each read by `parse`; empty when it is left out. Each that is wrong is
    /// named by its place.
    pub fn texts<T>(
        &mut self,
        name: &'static str,
        most: usize,
        errors: &mut Errors,
        mut parse: impl FnMut(&str) -> Result<T, Invalid>,
    ) -> Vec<T> {
        let at = self.pointer(name);
        let Some(value) = self.value(name) else {
            return Vec::new();
        };
        let list = match value.as_array() {
            Some(list) if list.len() <= most => list,
            Some(_) => {
                errors.push(FieldError::new(
                    at,
                    &Invalid::new(format!("must have at most {most} entries")),
                ));
                return Vec::new();
            }
            None => {
                errors.push(FieldError::new(
                    at,
                    &Invalid::new(format!("must be an array, not {}", kind(value))),
                ));
                return Vec::new();
            }
        };
        let mut read = Vec::new();
        for (place, one) in list.iter().enumerate() {
            let text = one
                .as_str()
                .ok_or_else(|| Invalid::new(format!("must be a string, not {}", kind(one))));
            match text.and_then(&mut parse) {
                Ok(one) => read.push(one),
                Err(e) => errors.push(FieldError::new(format!("{at}/{place}"), &e)),
            }
        }
        read
    }

    /// A number, read by `parse`; `None` when it is left out or wrong.
    pub fn number<T>(
        &mut self,
        name: &'static str,
        errors: &mut Errors,
        parse: impl FnOnce(f64) -> Result<T, Invalid>,
    ) -> Option<T> {
        let value = self.value(name)?;
        let parsed = value
            .as_f64()
            .ok_or_else(|| Invalid::new(format!("must be a number, not {}", kind(value))))
            .and_then(parse);
        parsed
            .map_err(|e| errors.push(FieldError::new(self.pointer(name), &e)))
            .ok()
    }

    /// An object within.
    pub fn object(&mut self, name: &'static str, errors: &mut Errors) -> Option<Fields<'a>> {
        let value = self.value(name)?;
        let at = self.pointer(name);
        match value.as_object() {
            Some(object) => Some(Fields::of(object, &at)),
            None => {
                errors.push(FieldError::new(
                    at,
                    &Invalid::new(format!("must be an object, not {}", kind(value))),
                ));
                None
            }
        }
    }

    /// Every member, for objects whose keys are the caller's.
    pub fn members(&self) -> impl Iterator<Item = (&'a String, &'a Value)> {
        self.object.iter()
    }

    /// Reports every field that was not asked for.
    pub fn finish(self, errors: &mut Errors) {
        for name in self
            .object
            .keys()
            .filter(|name| !self.known.contains(&name.as_str()))
        {
            let what = format!("is not a known field; known are {}", self.known.join(", "));
            errors.push(FieldError::new(self.pointer(name), &Invalid::new(what)));
        }
    }
}

/// A whole number that is written with a point, such as 5.0: JSON makes no difference. Beyond 2^53
/// the point hides digits.
fn without_fraction(value: &Value) -> Option<i64> {
    let number = value
        .as_f64()
        .filter(|number| number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0)?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "whole, and bounded just above"
    )]
    Some(number as i64)
}

/// A JSON value's kind in words.
#[must_use]
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
