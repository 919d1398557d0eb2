//! FilterSpecification: which items an export includes.
//!
//! The crate `dynamodb-expressions` has AWS's rules for expressions. Filters from callers are
//! checked by them; filters from the database, or from AWS's description of an export, are accepted
//! as they are.

mod words;

use std::collections::BTreeMap;

use dynamodb_expressions::{
    ExpressionKind, Fault, Given, KeySchema, Place, Problem, is_placeholder,
};
use serde_json::{Map, Value};

use crate::invalid::Invalid;

/// A filter with at least one expression.
#[derive(Debug, Clone, PartialEq)]
pub struct FilterSpecification {
    /// Keeps matching items; all are read and billed.
    pub filter_expression: Option<Expression>,
    /// The attributes to write.
    pub projection_expression: Option<Expression>,
    /// Reads only one partition key, so that AWS bills less.
    pub key_condition_expression: Option<Expression>,
    /// Names for placeholders that begin with `#`.
    pub expression_attribute_names: BTreeMap<String, String>,
    /// Values for placeholders that begin with `:`, each in DynamoDB JSON.
    pub expression_attribute_values: BTreeMap<String, AttributeValue>,
}

/// Errors with their place, a JSON pointer below the filter.
pub type FilterErrors = Vec<(String, Invalid)>;

const FILTER: &str = "filter_expression";
const PROJECTION: &str = "projection_expression";
const KEY_CONDITION: &str = "key_condition_expression";
const NAMES: &str = "expression_attribute_names";
const VALUES: &str = "expression_attribute_values";
const FIELDS: [&str; 5] = [FILTER, PROJECTION, KEY_CONDITION, NAMES, VALUES];

impl FilterSpecification {
    /// Reads a filter from a caller and reports every error: wrong form, unknown members, no
    /// expression, or anything that AWS would refuse for every table.
    pub fn parse(json: &Value) -> Result<Self, FilterErrors> {
        let Some(object) = json.as_object() else {
            return Err(vec![(
                String::new(),
                Invalid::new("must be an object with at least one expression"),
            )]);
        };
        let mut errors = FilterErrors::new();
        for name in object
            .keys()
            .filter(|name| !FIELDS.contains(&name.as_str()))
        {
            errors.push((pointer(name), Invalid::unknown_field(&FIELDS)));
        }
        let filter = Self::read(object, &mut errors);
        // A part that could not be read may be what another part refers to.
        let is_whole = errors.is_empty();
        let faults = filter.given().check().err().unwrap_or_default();
        let faults = faults
            .iter()
            .filter(|fault| is_whole || !refers_to_other_parts(&fault.problem));
        errors.extend(faults.map(words::error));
        if errors.is_empty() {
            Ok(filter)
        } else {
            Err(errors)
        }
    }

    /// A filter from the database or from AWS; only its form is checked.
    pub fn from_db(json: &Value) -> Result<Self, Invalid> {
        let object = json
            .as_object()
            .ok_or_else(|| Invalid::new("must be an object"))?;
        let mut errors = FilterErrors::new();
        let filter = Self::read(object, &mut errors);
        match errors.into_iter().next() {
            None => Ok(filter),
            Some((at, invalid)) => Err(Invalid::new(format!("{at} {invalid}"))),
        }
    }

    /// Reads every part that has the right form.
    fn read(object: &Map<String, Value>, errors: &mut FilterErrors) -> Self {
        let mut expression = |name: &str| match object.get(name) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if text.contains('\0') => {
                errors.push((
                    pointer(name),
                    Invalid::new("must not contain NUL characters"),
                ));
                None
            }
            Some(Value::String(text)) => Some(Expression(text.clone())),
            Some(_) => {
                errors.push((pointer(name), Invalid::new("must be a string")));
                None
            }
        };
        let filter_expression = expression(FILTER);
        let projection_expression = expression(PROJECTION);
        let key_condition_expression = expression(KEY_CONDITION);
        // Lengths of the model of AWS's API.
        let name = |name: &Value| match name {
            Value::String(name) if (1..=65535).contains(&name.len()) && !name.contains('\0') => {
                Ok(name.clone())
            }
            _ => Err(Invalid::new(
                "must be the name of an attribute, a string of 1 to 65535 bytes",
            )),
        };
        let value = |value: &Value| match value {
            Value::Object(_) if !holds_nul(value) => Ok(AttributeValue(value.clone())),
            _ => Err(words::not_a_value()),
        };
        Self {
            filter_expression,
            projection_expression,
            key_condition_expression,
            expression_attribute_names: placeholders(object, NAMES, '#', errors, name),
            expression_attribute_values: placeholders(object, VALUES, ':', errors, value),
        }
    }

    /// What AWS refuses because of the table's key; nothing without a key condition.
    #[must_use]
    pub fn key_errors(&self, schema: &KeySchema) -> FilterErrors {
        let checked = self
            .given()
            .check()
            .and_then(|specification| specification.check_keys(schema));
        checked
            .err()
            .unwrap_or_default()
            .iter()
            .map(words::error)
            .collect()
    }

    fn given(&self) -> Given<'_> {
        Given {
            filter: self.filter_expression.as_ref().map(Expression::as_str),
            projection: self.projection_expression.as_ref().map(Expression::as_str),
            key_condition: self
                .key_condition_expression
                .as_ref()
                .map(Expression::as_str),
            names: self
                .expression_attribute_names
                .iter()
                .map(|(name, of)| (name.as_str(), of.as_str()))
                .collect(),
            values: self
                .expression_attribute_values
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_json()))
                .collect(),
        }
    }

    /// The filter in the form of the API; missing parts are absent.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut json = Map::new();
        for (name, expression) in [
            (FILTER, &self.filter_expression),
            (PROJECTION, &self.projection_expression),
            (KEY_CONDITION, &self.key_condition_expression),
        ] {
            if let Some(expression) = expression {
                json.insert(name.to_owned(), expression.as_str().into());
            }
        }
        if !self.expression_attribute_names.is_empty() {
            let names = self
                .expression_attribute_names
                .iter()
                .map(|(name, of)| (name.clone(), of.as_str().into()))
                .collect();
            json.insert(NAMES.to_owned(), Value::Object(names));
        }
        if !self.expression_attribute_values.is_empty() {
            let values = self
                .expression_attribute_values
                .iter()
                .map(|(name, value)| (name.clone(), value.as_json().clone()))
                .collect();
            json.insert(VALUES.to_owned(), Value::Object(values));
        }
        Value::Object(json)
    }
}

/// Whether a problem may exist only because another part could not be read.
fn refers_to_other_parts(problem: &Problem) -> bool {
    use Problem as P;
    matches!(
        problem,
        P::NoExpression
            | P::NameUndefined(_)
            | P::ValueUndefined(_)
            | P::NameUnused(_)
            | P::ValueUnused(_)
    )
}

/// The place of a fault, as a JSON pointer below the filter.
fn place_pointer(fault: &Fault) -> String {
    match &fault.place {
        Place::Whole => String::new(),
        Place::Expression(ExpressionKind::Filter) => pointer(FILTER),
        Place::Expression(ExpressionKind::Projection) => pointer(PROJECTION),
        Place::Expression(ExpressionKind::KeyCondition) => pointer(KEY_CONDITION),
        Place::Name(name) => format!("{}{}", pointer(NAMES), pointer(name)),
        Place::Value(name) => format!("{}{}", pointer(VALUES), pointer(name)),
    }
}

/// Reads a map of placeholders that begin with `mark`.
fn placeholders<T>(
    object: &Map<String, Value>,
    field: &str,
    mark: char,
    errors: &mut FilterErrors,
    read: impl Fn(&Value) -> Result<T, Invalid>,
) -> BTreeMap<String, T> {
    let map = match object.get(field) {
        None | Some(Value::Null) => return BTreeMap::new(),
        Some(Value::Object(map)) => map,
        Some(_) => {
            errors.push((
                pointer(field),
                Invalid::new(format!(
                    "must be an object whose keys begin with \"{mark}\""
                )),
            ));
            return BTreeMap::new();
        }
    };
    let mut all = BTreeMap::new();
    for (name, value) in map {
        let at = format!("{}{}", pointer(field), pointer(name));
        if !is_placeholder(mark, name) {
            let what =
                format!("must be \"{mark}\" followed by letters, digits and _, at most 255 in all");
            errors.push((at, Invalid::new(what)));
            continue;
        }
        match read(value) {
            Ok(value) => drop(all.insert(name.clone(), value)),
            Err(e) => errors.push((at, e)),
        }
    }
    all
}

/// Whether a text or a name contains NUL, which Postgres cannot store.
fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(all) => all.iter().any(holds_nul),
        Value::Object(all) => all
            .iter()
            .any(|(name, value)| name.contains('\0') || holds_nul(value)),
        _ => false,
    }
}

/// A member's name as a JSON pointer (RFC 6901).
#[must_use]
pub fn pointer(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression(String);

impl Expression {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A DynamoDB attribute value in DynamoDB JSON, such as `{"S": "open"}`.
#[derive(Debug, Clone, PartialEq)]
pub struct AttributeValue(Value);

impl AttributeValue {
    #[must_use]
    pub fn as_json(&self) -> &Value {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The pointers of a refusal, and the words with them.
    fn refused(filter: Value) -> Vec<(String, String)> {
        let errors = FilterSpecification::parse(&filter).expect_err("it must be refused");
        errors
            .into_iter()
            .map(|(at, invalid)| (at, invalid.to_string()))
            .collect()
    }

    #[test]
    fn what_aws_refuses_is_named_with_its_fix() {
        for (filter, at, parts) in [
            (
                json!({"filter_expression": "a ==== b"}),
                "/filter_expression",
                [
                    "Syntax error; token: \"=\", near: \"===\"",
                    "Comparators are",
                ],
            ),
            (
                json!({"filter_expression": "a = :v"}),
                "/filter_expression",
                [
                    "attribute value: :v",
                    "Add \":v\" to expression_attribute_values",
                ],
            ),
            (
                json!({"filter_expression": "attribute_exists(a)", "expression_attribute_names": {"#t": "total"}}),
                "/expression_attribute_names/#t",
                ["unused in expressions", "Remove it"],
            ),
            (
                json!({"filter_expression": "Status = :v", "expression_attribute_values": {":v": {"S": "open"}}}),
                "/filter_expression",
                [
                    "reserved keyword: Status",
                    "Write #Status instead and add \"#Status\": \"Status\" to expression_attribute_names",
                ],
            ),
            (
                json!({"filter_expression": "a > 4"}),
                "/filter_expression",
                ["token: \"4\"", "expression_attribute_values"],
            ),
            (
                json!({"projection_expression": "user-id"}),
                "/projection_expression",
                ["token: \"-\"", "expression_attribute_names"],
            ),
            (
                json!({"key_condition_expression": "a OR b"}),
                "/key_condition_expression",
                ["Syntax error", "Comparators are"],
            ),
            (
                json!({"filter_expression": " "}),
                "/filter_expression",
                ["must not be empty", "leave it out"],
            ),
            (
                json!({"projection_expression": "a".repeat(4097)}),
                "/projection_expression",
                ["at most 4 KB", "4096"],
            ),
            (
                json!({}),
                "",
                ["must have a filter_expression", "key_condition_expression"],
            ),
        ] {
            let found = refused(filter.clone());
            assert_eq!(found.len(), 1, "{filter}: {found:?}");
            assert_eq!(found[0].0, at, "{filter}");
            assert!(
                parts.iter().all(|part| found[0].1.contains(part)),
                "{filter}: {}",
                found[0].1
            );
        }
    }

    #[test]
    fn everything_is_reported_at_once_and_nothing_that_only_follows() {
        let found = refused(json!({
            "filter_expression": "Status = :v AND size(a)", "projection_expression": "a,", "expression_attribute_values": {":v": {"N": "one"}},
        }));
        let places: Vec<_> = found.iter().map(|(at, _)| at.as_str()).collect();
        assert_eq!(
            places,
            [
                "/expression_attribute_values/:v",
                "/filter_expression",
                "/filter_expression",
                "/projection_expression"
            ]
        );
        // That :w is not defined only follows.
        let found = refused(
            json!({"filter_expression": "a = :w", "expression_attribute_values": {":w": 5}, "colour": "red"}),
        );
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn what_is_stored_is_not_checked_again() {
        for old in [
            json!({"filter_expression": "Status = :v"}),
            json!({"filter_expression": "a ==== b"}),
        ] {
            assert!(FilterSpecification::parse(&old).is_err());
            assert_eq!(FilterSpecification::from_db(&old).unwrap().to_json(), old);
        }
        assert!(FilterSpecification::from_db(&json!({"filter_expression": 5})).is_err());
    }

    #[test]
    fn nul_is_refused_in_names_and_values() {
        for filter in [
            json!({"filter_expression": "a\u{0}"}),
            json!({"projection_expression": "#a", "expression_attribute_names": {"#a": "\u{0}"}}),
            json!({"filter_expression": "a = :v", "expression_attribute_values": {":v": {"S": "\u{0}"}}}),
            json!({"filter_expression": "a = :v", "expression_attribute_values": {":v": {"M": {"\u{0}": {"S": ""}}}}}),
        ] {
            assert_eq!(refused(filter.clone()).len(), 1, "{filter}");
        }
    }
}
