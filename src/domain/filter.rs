//! FilterSpecification: which items an export includes.
//!
//! Limits are AWS's, from the developer guide's page on filtering a table export: an expression has at most 4 KB and
//! 300 operators, and an empty specification is refused. What an expression means is left to AWS.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::invalid::Invalid;
use super::operators::count_operators;

/// A filter of which at least one expression is given.
#[derive(Debug, Clone, PartialEq)]
pub struct FilterSpecification {
    /// Keeps items that match; all are read (and billed).
    pub filter_expression: Option<Expression>,
    /// The attributes to write.
    pub projection_expression: Option<Expression>,
    /// Reads only one partition key, so that less is billed.
    pub key_condition_expression: Option<Expression>,
    /// Names for placeholders that begin with `#`.
    pub expression_attribute_names: BTreeMap<String, String>,
    /// Values for placeholders that begin with `:`, each in DynamoDB JSON.
    pub expression_attribute_values: BTreeMap<String, AttributeValue>,
}

/// Where in a filter something is wrong (a JSON pointer below the filter) and what.
pub type FilterErrors = Vec<(String, Invalid)>;

impl FilterSpecification {
    /// Reads a filter in the form callers send it, reporting everything that is wrong with it.
    ///
    /// # Errors
    /// It is no object, has unknown members, no expression at all, or values that break a rule.
    pub fn parse(json: &Value) -> Result<Self, FilterErrors> {
        let Some(object) = json.as_object() else {
            return Err(vec![(String::new(), Invalid::new("must be an object with at least one expression"))]);
        };
        let mut errors = FilterErrors::new();
        let known = [
            "filter_expression",
            "projection_expression",
            "key_condition_expression",
            "expression_attribute_names",
            "expression_attribute_values",
        ];
        for name in object.keys().filter(|name| !known.contains(&name.as_str())) {
            errors.push((pointer(name), Invalid::new(format!("is not a known field; known are {}", known.join(", ")))));
        }
        let mut expression = |name: &str| match object.get(name) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Expression::parse(text).map_err(|e| errors.push((pointer(name), e))).ok(),
            Some(_) => {
                errors.push((pointer(name), Invalid::new("must be a string")));
                None
            }
        };
        let filter_expression = expression("filter_expression");
        let projection_expression = expression("projection_expression");
        let key_condition_expression = expression("key_condition_expression");
        let names = placeholders(object, "expression_attribute_names", '#', &mut errors, |name| match name {
            Value::String(name) if (1..=65535).contains(&name.len()) && !name.contains('\0') => Ok(name.clone()),
            _ => Err(Invalid::new("must be the name of an attribute, a string of 1 to 65535 bytes")),
        });
        let values = placeholders(object, "expression_attribute_values", ':', &mut errors, |v| AttributeValue::parse(v.clone()));
        let given = |name: &str| object.get(name).is_some_and(|v| !v.is_null());
        if !known[..3].iter().any(|name| given(name)) {
            let what = "must have a filter_expression, a projection_expression or a key_condition_expression";
            errors.push((String::new(), Invalid::new(what)));
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self {
            filter_expression,
            projection_expression,
            key_condition_expression,
            expression_attribute_names: names,
            expression_attribute_values: values,
        })
    }

    /// The filter in the form callers send it; what was left out is absent.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut json = Map::new();
        for (name, expression) in [
            ("filter_expression", &self.filter_expression),
            ("projection_expression", &self.projection_expression),
            ("key_condition_expression", &self.key_condition_expression),
        ] {
            if let Some(expression) = expression {
                json.insert(name.to_owned(), expression.as_str().into());
            }
        }
        if !self.expression_attribute_names.is_empty() {
            let names = self.expression_attribute_names.iter().map(|(name, of)| (name.clone(), of.as_str().into())).collect();
            json.insert("expression_attribute_names".to_owned(), Value::Object(names));
        }
        if !self.expression_attribute_values.is_empty() {
            let values = self.expression_attribute_values.iter().map(|(name, value)| (name.clone(), value.as_json().clone())).collect();
            json.insert("expression_attribute_values".to_owned(), Value::Object(values));
        }
        Value::Object(json)
    }
}

/// Reads a map of placeholders, each of which begins with `mark`.
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
            errors.push((pointer(field), Invalid::new(format!("must be an object whose keys begin with \"{mark}\""))));
            return BTreeMap::new();
        }
    };
    let mut all = BTreeMap::new();
    for (name, value) in map {
        let at = format!("{}{}", pointer(field), pointer(name));
        let word = name.strip_prefix(mark).unwrap_or_default();
        if word.is_empty() || !word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') || name.len() > 255 {
            let what = format!("must be \"{mark}\" followed by letters, digits and _, at most 255 in all");
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

/// A filter that the database holds: it was checked when it was stored, by the rules of that time. `None` if it is no object of texts and values.
#[must_use]
pub fn known(json: Value) -> Option<FilterSpecification> {
    let Value::Object(mut members) = json else { return None };
    let mut expression = |name: &str| match members.remove(name) {
        None | Some(Value::Null) => Some(None),
        Some(Value::String(text)) => Some(Some(Expression(text))),
        Some(_) => None,
    };
    let filter_expression = expression("filter_expression")?;
    let projection_expression = expression("projection_expression")?;
    let key_condition_expression = expression("key_condition_expression")?;
    let mut object = |name: &str| match members.remove(name) {
        None | Some(Value::Null) => Some(Map::new()),
        Some(Value::Object(object)) => Some(object),
        Some(_) => None,
    };
    let names = object("expression_attribute_names")?.into_iter().map(|(name, value)| match value {
        Value::String(text) => Some((name, text)),
        _ => None,
    });
    Some(FilterSpecification {
        filter_expression,
        projection_expression,
        key_condition_expression,
        expression_attribute_names: names.collect::<Option<_>>()?,
        expression_attribute_values: object("expression_attribute_values")?
            .into_iter()
            .map(|(name, value)| (name, AttributeValue(value)))
            .collect(),
    })
}

/// A member's name as a JSON pointer (RFC 6901).
#[must_use]
pub fn pointer(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// An expression of 1 to 4096 bytes and at most 300 operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression(String);

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// It is empty or above a limit.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.trim().is_empty() {
            return Err(Invalid::new("must not be empty; leave it out instead"));
        }
        if text.len() > 4096 {
            return Err(Invalid::new("must be at most 4 KB (4096 bytes) long"));
        }
        if text.contains('\0') {
            return Err(Invalid::new("must not contain NUL characters"));
        }
        let operators = count_operators(text);
        if operators > 300 {
            return Err(Invalid::new(format!("must have at most 300 operators and functions; it has {operators}")));
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A DynamoDB attribute value in DynamoDB JSON, such as `{"S": "open"}`: proven in form.
#[derive(Debug, Clone, PartialEq)]
pub struct AttributeValue(Value);

/// How deep lists and maps may nest: DynamoDB's own limit.
const DEEPEST: usize = 32;

impl AttributeValue {
    /// Checks the form: one of the ten type tags, with a value that suits it.
    ///
    /// # Errors
    /// The tag is unknown or the value does not suit it.
    pub fn parse(value: Value) -> Result<Self, Invalid> {
        if is_attribute_value(&value, DEEPEST) {
            Ok(Self(value))
        } else {
            Err(Invalid::new(
                "must be a value in DynamoDB JSON, such as {\"S\": \"open\"} or {\"N\": \"42\"} (numbers and binary data are strings)",
            ))
        }
    }

    /// The value in DynamoDB JSON.
    #[must_use]
    pub fn as_json(&self) -> &Value {
        &self.0
    }
}

fn is_attribute_value(value: &Value, depth: usize) -> bool {
    use base64::Engine as _;
    let Some((tag, inner)) = value.as_object().filter(|map| map.len() == 1).and_then(|map| map.iter().next()) else {
        return false;
    };
    let text = |v: &Value| v.as_str().is_some_and(|s| !s.contains('\0'));
    let number = |v: &Value| v.as_str().is_some_and(|s| s.parse::<f64>().is_ok_and(f64::is_finite));
    let binary = |v: &Value| v.as_str().is_some_and(|s| base64::engine::general_purpose::STANDARD.decode(s).is_ok());
    let set = |of: &dyn Fn(&Value) -> bool| inner.as_array().is_some_and(|all| !all.is_empty() && all.iter().all(of));
    match tag.as_str() {
        "S" => text(inner),
        "N" => number(inner),
        "B" => binary(inner),
        "BOOL" => inner.is_boolean(),
        "NULL" => inner == &Value::Bool(true),
        "SS" => set(&text),
        "NS" => set(&number),
        "BS" => set(&binary),
        "L" => depth > 0 && inner.as_array().is_some_and(|all| all.iter().all(|v| is_attribute_value(v, depth - 1))),
        "M" => depth > 0 && inner.as_object().is_some_and(|all| all.values().all(|v| is_attribute_value(v, depth - 1))),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn attribute_values() {
        for good in [
            json!({"S": ""}),
            json!({"N": "-1.5e3"}),
            json!({"B": "aGk="}),
            json!({"BOOL": false}),
            json!({"NULL": true}),
            json!({"SS": ["a"]}),
            json!({"NS": ["1"]}),
            json!({"BS": ["aGk="]}),
            json!({"L": []}),
            json!({"M": {"a": {"L": [{"S": "x"}]}}}),
        ] {
            assert!(AttributeValue::parse(good.clone()).is_ok(), "{good}");
        }
        for bad in [
            json!("x"),
            json!({}),
            json!({"S": 1}),
            json!({"N": 1}),
            json!({"N": "one"}),
            json!({"N": "NaN"}),
            json!({"B": "!"}),
            json!({"NULL": false}),
            json!({"SS": []}),
            json!({"X": "a"}),
            json!({"S": "a", "N": "1"}),
            json!({"S": "\u{0}"}),
        ] {
            assert!(AttributeValue::parse(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nest = |levels: usize| (0..levels).fold(json!({"S": "x"}), |inner, _| json!({"L": [inner]}));
        assert!(AttributeValue::parse(nest(32)).is_ok());
        assert!(AttributeValue::parse(nest(33)).is_err());
    }

    #[test]
    fn expressions_have_limits() {
        assert!(Expression::parse(" ").is_err());
        assert!(Expression::parse(&"a".repeat(4097)).is_err());
        assert!(Expression::parse(&vec!["a=:v"; 301].join(" ")).is_err());
        assert!(Expression::parse(&vec!["a=:v"; 300].join(" ")).is_ok());
    }
}
