//! Request bodies, each declared once: [`body!`] makes the schema for the document and the fields
//! to read from one list.
//!
//! All errors of a body are reported at once, each with a JSON pointer. A field that is null counts
//! as left out.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::rc::Rc;

use serde_json::{Map, Value};

use super::problem::{FieldError, Problem};
use crate::domain::aws::s3::S3SseAlgorithm;
use crate::domain::export::filter::pointer;
use crate::domain::export::request::{ExportFormat, ExportType, ExportViewType};
use crate::domain::invalid::Invalid;

/// Declares a body, or an object within one. The struct documents the JSON; nothing is ever parsed
/// into it. Its fields are read through the second struct, one [`Field`] per field, whose methods
/// depend on the field's type.
macro_rules! body {
    (
        $(#[$meta:meta])*
        pub struct $name:ident, read as $fields:ident {
            $($(#[$field_meta:meta])* pub $field:ident: $type:ty,)*
        }
    ) => {
        #[derive(Debug, Clone, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
        #[serde(deny_unknown_fields)]
        $(#[$meta])*
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        #[derive(Debug)]
        pub(in crate::api) struct $fields<'a> {
            $(pub(in crate::api) $field: $crate::api::fields::Field<'a, $type>,)*
        }

        impl $crate::api::fields::Body for $name {
            const NAMES: &'static [&'static str] = &[$(stringify!($field)),*];
            type Fields<'a> = $fields<'a>;

            fn fields<'a>(object: &$crate::api::fields::Object<'a>) -> $fields<'a> {
                $fields { $($field: object.field(stringify!($field)),)* }
            }
        }
    };
}
pub(super) use body;

/// A declared body.
pub(in crate::api) trait Body {
    /// The names of its fields; a body with any other is rejected.
    const NAMES: &'static [&'static str];

    type Fields<'a>;

    fn fields<'a>(object: &Object<'a>) -> Self::Fields<'a>;
}

/// Reads a body: `read` returns `None` if it lacks a value, having reported why. Unknown fields
/// are reported after all others.
pub(in crate::api) fn read<B: Body, T>(
    body: &Map<String, Value>,
    read: impl for<'a> FnOnce(B::Fields<'a>) -> Option<T>,
) -> Result<T, Problem> {
    let errors = RefCell::default();
    let object = Object {
        members: body,
        at: "".into(),
        errors: &errors,
    };
    let value = object.read::<B, T>(read);
    let errors = errors.take();
    match value {
        Some(value) if errors.is_empty() => Ok(value),
        None if errors.is_empty() => {
            tracing::error!("a body was rejected without a reason");
            Err(Problem::internal())
        }
        _ => Err(Problem::invalid_fields(errors)),
    }
}

/// A JSON object that is being read.
#[derive(Debug, Clone)]
pub(in crate::api) struct Object<'a> {
    members: &'a Map<String, Value>,
    /// Its JSON pointer; empty for the body itself.
    at: Rc<str>,
    errors: &'a RefCell<Vec<FieldError>>,
}

impl<'a> Object<'a> {
    pub fn field<T>(&self, name: &'static str) -> Field<'a, T> {
        Field {
            object: self.clone(),
            name,
            r#type: PhantomData,
        }
    }

    fn read<B: Body, T>(&self, read: impl FnOnce(B::Fields<'a>) -> Option<T>) -> Option<T> {
        let value = read(B::fields(self));
        let unknown = self.members.keys();
        for name in unknown.filter(|name| !B::NAMES.contains(&name.as_str())) {
            let at = format!("{}{}", self.at, pointer(name));
            self.report(FieldError::new(at, &Invalid::unknown_field(B::NAMES)));
        }
        value
    }

    fn report(&self, error: FieldError) {
        self.errors.borrow_mut().push(error);
    }
}

/// A field of an object; `T` is the type that its schema declares.
#[derive(Debug)]
pub(in crate::api) struct Field<'a, T> {
    object: Object<'a>,
    name: &'static str,
    r#type: PhantomData<T>,
}

impl<'a, T> Field<'a, T> {
    /// The value as it was sent; `None` if it is left out or null.
    pub fn value(&self) -> Option<&'a Value> {
        let value = self.object.members.get(self.name)?;
        (!value.is_null()).then_some(value)
    }

    /// Whether the field has a value other than null.
    pub fn is_set(&self) -> bool {
        self.value().is_some()
    }

    /// Whether the body names the field, even as null.
    pub fn is_present(&self) -> bool {
        self.object.members.contains_key(self.name)
    }

    fn pointer(&self) -> String {
        format!("{}{}", self.object.at, pointer(self.name))
    }

    /// Reports that the field is invalid.
    pub fn refuse(&self, invalid: &Invalid) {
        self.refuse_at("", invalid);
    }

    /// Reports that a part of the field is invalid; `below` is its JSON pointer from here.
    pub fn refuse_at(&self, below: &str, invalid: &Invalid) {
        let at = format!("{}{below}", self.pointer());
        self.object.report(FieldError::new(at, invalid));
    }

    /// Whether the field, or a part of it, was reported as invalid.
    pub fn is_refused(&self) -> bool {
        let at = self.pointer();
        let errors = self.object.errors.borrow();
        errors.iter().any(|error| {
            let below = error.pointer.strip_prefix(&at);
            below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
        })
    }

    /// The good value, or a report.
    fn accept<V>(&self, parsed: Result<V, Invalid>) -> Option<V> {
        parsed.map_err(|invalid| self.refuse(&invalid)).ok()
    }

    fn parse_text<V>(&self, parse: impl FnOnce(&str) -> Result<V, Invalid>) -> Option<V> {
        let text = string(self.value()?);
        self.accept(text.and_then(parse))
    }

    fn parse_required<V>(&self, parse: impl FnOnce(&str) -> Result<V, Invalid>) -> Option<V> {
        self.require();
        self.parse_text(parse)
    }

    /// Reports that the field is missing if it has no value.
    fn require(&self) {
        if !self.is_set() {
            self.refuse(&Invalid::new("is required"));
        }
    }

    fn parse_texts<V>(
        &self,
        max: usize,
        mut parse: impl FnMut(&str) -> Result<V, Invalid>,
    ) -> Vec<V> {
        let list = match self.value() {
            None => return Vec::new(),
            Some(Value::Array(list)) if list.len() <= max => list,
            Some(Value::Array(_)) => {
                self.refuse(&Invalid::new(format!("must have at most {max} entries")));
                return Vec::new();
            }
            Some(other) => {
                self.refuse(&wrong_type("an array", other));
                return Vec::new();
            }
        };
        let mut read = Vec::new();
        for (index, one) in list.iter().enumerate() {
            match string(one).and_then(&mut parse) {
                Ok(one) => read.push(one),
                Err(invalid) => self.refuse_at(&format!("/{index}"), &invalid),
            }
        }
        read
    }

    fn parse_members(&self) -> Option<&'a Map<String, Value>> {
        let value = self.value()?;
        let members = value.as_object();
        self.accept(members.ok_or_else(|| wrong_type("an object", value)))
    }
}

/// Types that are strings in JSON.
pub(in crate::api) trait JsonString {}

impl JsonString for String {}
impl JsonString for ExportFormat {}
impl JsonString for ExportType {}
impl JsonString for ExportViewType {}
impl JsonString for S3SseAlgorithm {}

impl<T: JsonString> Field<'_, T> {
    pub fn text<V>(&self, parse: impl FnOnce(&str) -> Result<V, Invalid>) -> Option<V> {
        self.parse_required(parse)
    }
}

impl<T: JsonString> Field<'_, Option<T>> {
    pub fn text<V>(&self, parse: impl FnOnce(&str) -> Result<V, Invalid>) -> Option<V> {
        self.parse_text(parse)
    }

    /// For a field that only other fields make optional.
    pub fn required_text<V>(&self, parse: impl FnOnce(&str) -> Result<V, Invalid>) -> Option<V> {
        self.parse_required(parse)
    }
}

impl<T> Field<'_, Vec<T>> {
    /// A list of strings; each that is wrong is reported by its index. It may be empty.
    pub fn texts<V>(&self, max: usize, parse: impl FnMut(&str) -> Result<V, Invalid>) -> Vec<V> {
        self.require();
        self.parse_texts(max, parse)
    }
}

impl<T> Field<'_, Option<Vec<T>>> {
    /// A list of strings; each that is wrong is reported by its index. Empty if it is left out.
    pub fn texts<V>(&self, max: usize, parse: impl FnMut(&str) -> Result<V, Invalid>) -> Vec<V> {
        self.parse_texts(max, parse)
    }
}

impl Field<'_, Option<bool>> {
    pub fn boolean(&self) -> Option<bool> {
        let value = self.value()?;
        self.accept(
            value
                .as_bool()
                .ok_or_else(|| wrong_type("true or false", value)),
        )
    }
}

impl Field<'_, Option<i64>> {
    pub fn whole_number<V>(&self, parse: impl FnOnce(i64) -> Result<V, Invalid>) -> Option<V> {
        let value = self.value()?;
        let parsed = match value.as_i64().or_else(|| without_fraction(value)) {
            Some(number) => parse(number),
            // A whole number that is too large is outside the range of every field.
            None if value.is_u64() => parse(i64::MAX),
            None if value.is_number() => {
                Err(Invalid::new("must be a whole number, not a fraction"))
            }
            None => Err(wrong_type("a whole number", value)),
        };
        self.accept(parsed)
    }
}

impl Field<'_, Option<f64>> {
    pub fn number<V>(&self, parse: impl FnOnce(f64) -> Result<V, Invalid>) -> Option<V> {
        let value = self.value()?;
        let number = value.as_f64();
        let number = number.ok_or_else(|| wrong_type("a number", value));
        self.accept(number.and_then(parse))
    }
}

impl<'a, B: Body> Field<'a, Option<B>> {
    /// An object within.
    pub fn object<V>(&self, read: impl FnOnce(B::Fields<'a>) -> Option<V>) -> Option<V> {
        let object = Object {
            members: self.parse_members()?,
            at: self.pointer().into(),
            errors: self.object.errors,
        };
        object.read::<B, V>(read)
    }
}

impl<'a> Field<'a, Option<BTreeMap<String, String>>> {
    /// An object whose keys are the caller's.
    pub fn members(&self) -> Option<&'a Map<String, Value>> {
        self.parse_members()
    }

    /// The text of one of its members.
    pub fn member(
        &self,
        (name, value): (&str, &'a Value),
        check: impl FnOnce(&str) -> Result<(), Invalid>,
    ) -> Option<&'a str> {
        let checked = string(value).and_then(|text| check(text).map(|()| text));
        checked
            .map_err(|invalid| self.refuse_at(&pointer(name), &invalid))
            .ok()
    }
}

fn string(value: &Value) -> Result<&str, Invalid> {
    value.as_str().ok_or_else(|| wrong_type("a string", value))
}

/// `wanted` is what the value must be instead.
pub(in crate::api) fn wrong_type(wanted: &str, value: &Value) -> Invalid {
    Invalid::new(format!("must be {wanted}, not {}", kind(value)))
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
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    body! {
        pub struct Outer, read as OuterFields {
            pub name: String,
            pub count: Option<i64>,
            pub inner: Option<Inner>,
            pub tags: Vec<String>,
            pub tags_max: Option<i64>,
        }
    }

    body! {
        pub struct Inner, read as InnerFields {
            pub on: Option<bool>,
        }
    }

    fn errors(body: &Value) -> Vec<String> {
        let read = read::<Outer, _>(body.as_object().unwrap(), |fields| {
            let name = fields.name.text(|text| Ok(text.to_owned()));
            let count = fields.count.whole_number(Ok::<_, Invalid>);
            let on = fields.inner.object(|inner| inner.on.boolean());
            fields.tags.texts(2, |text| Ok(text.to_owned()));
            Some((name?, count, on))
        });
        read.err()
            .map(|problem| problem.in_words().split("; /").map(str::to_owned).collect())
            .unwrap_or_default()
    }

    #[test]
    fn every_error_is_reported_at_once() {
        let none: [&str; 0] = [];
        assert_eq!(
            errors(&json!({"name": "a", "count": 5.0, "inner": null, "tags": []})),
            none
        );
        assert_eq!(
            errors(&json!({"count": 5.5, "inner": {"on": 1, "of": 2}, "x/y": 3})),
            [
                "/name is required",
                "count must be a whole number, not a fraction",
                "inner/on must be true or false, not a number",
                "inner/of is not a known field; known are on",
                "tags is required",
                "x~1y is not a known field; known are name, count, inner, tags, tags_max",
            ]
        );
    }

    #[test]
    fn a_field_is_refused_by_errors_at_it_and_below_it_only() {
        let body = json!({"tags": ["a", 1], "inner": 2, "tags_max": 3});
        let refused = |refuse: fn(&OuterFields<'_>)| {
            let mut refused = Vec::new();
            let _ = read::<Outer, ()>(body.as_object().unwrap(), |fields| {
                refuse(&fields);
                refused = [
                    ("tags", fields.tags.is_refused()),
                    ("tags_max", fields.tags_max.is_refused()),
                    ("inner", fields.inner.is_refused()),
                ]
                .into_iter()
                .filter_map(|(name, is_refused)| is_refused.then_some(name))
                .collect();
                None
            });
            refused
        };
        assert_eq!(
            refused(|fields| fields.tags_max.refuse(&Invalid::new("is wrong"))),
            ["tags_max"]
        );
        assert_eq!(
            refused(|fields| {
                fields.tags.texts(2, |_| Ok(()));
            }),
            ["tags"]
        );
        assert_eq!(
            refused(|fields| {
                fields.inner.object(|_| Some(()));
            }),
            ["inner"]
        );
    }
}
