//! Attribute values, parsed from DynamoDB JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value as Json};

use crate::MAX_NESTING;
use crate::number::{Number, NumberError};

/// An item: attribute names and their values.
pub type Attributes = BTreeMap<String, Value>;

/// An attribute value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A string.
    S(String),
    /// A number.
    N(Number),
    /// Binary data.
    B(Vec<u8>),
    /// A boolean.
    Bool(bool),
    /// The null.
    Null,
    /// A set of strings.
    Ss(BTreeSet<String>),
    /// A set of numbers.
    Ns(BTreeSet<Number>),
    /// A set of binary data.
    Bs(BTreeSet<Vec<u8>>),
    /// A list.
    L(Vec<Value>),
    /// A map.
    M(Attributes),
}

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    S,
    /// A number.
    N,
    /// Binary data.
    B,
    /// A boolean.
    Bool,
    /// The null.
    Null,
    /// A set of strings.
    Ss,
    /// A set of numbers.
    Ns,
    /// A set of binary data.
    Bs,
    /// A list.
    L,
    /// A map.
    M,
}

/// Why JSON is not an attribute value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAValue {
    /// It is not an object with exactly one type tag and a matching value.
    Form,
    /// A number that DynamoDB does not accept.
    Number(NumberError),
    /// A set with duplicates.
    Duplicates,
    /// It nests deeper than 32 levels.
    TooDeep,
}

impl fmt::Display for NotAValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "it must be an object with one type tag and a matching value",
            Self::Number(NumberError::NotANumber) => "a number must be a decimal number",
            Self::Number(NumberError::TooManyDigits) => {
                "a number must have at most 38 significant digits"
            }
            Self::Number(NumberError::Overflow | NumberError::Underflow) => {
                "a number's magnitude must be from 1E-130 to 9.99E+125"
            }
            Self::Duplicates => "a set must not contain duplicates",
            Self::TooDeep => "lists and maps must nest at most 32 levels deep",
        })
    }
}

impl std::error::Error for NotAValue {}

impl Kind {
    /// Every type, in AWS's order.
    pub const ALL: [Self; 10] = [
        Self::B,
        Self::Null,
        Self::Ss,
        Self::Bool,
        Self::L,
        Self::Bs,
        Self::N,
        Self::Ns,
        Self::S,
        Self::M,
    ];

    /// Its tag in DynamoDB JSON.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::S => "S",
            Self::N => "N",
            Self::B => "B",
            Self::Bool => "BOOL",
            Self::Null => "NULL",
            Self::Ss => "SS",
            Self::Ns => "NS",
            Self::Bs => "BS",
            Self::L => "L",
            Self::M => "M",
        }
    }

    /// The type with this tag.
    #[must_use]
    pub fn from_tag(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.tag() == tag)
    }

    /// Whether values of this type have an order: strings, numbers and binary data. Keys have these
    /// types too.
    #[must_use]
    pub fn is_ordered(self) -> bool {
        matches!(self, Self::S | Self::N | Self::B)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tag())
    }
}

impl Value {
    /// Parses a value such as `{"S": "open"}`.
    pub fn from_json(json: &Json) -> Result<Self, NotAValue> {
        read(json, MAX_NESTING)
    }

    /// Its type.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::S(_) => Kind::S,
            Self::N(_) => Kind::N,
            Self::B(_) => Kind::B,
            Self::Bool(_) => Kind::Bool,
            Self::Null => Kind::Null,
            Self::Ss(_) => Kind::Ss,
            Self::Ns(_) => Kind::Ns,
            Self::Bs(_) => Kind::Bs,
            Self::L(_) => Kind::L,
            Self::M(_) => Kind::M,
        }
    }
}

/// A value as in AWS's messages, such as `{S:open}`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S(text) => write!(f, "{{S:{text}}}"),
            Self::N(number) => write!(f, "{{N:{number}}}"),
            Self::B(bytes) => write!(f, "{{B:{}}}", BASE64.encode(bytes)),
            other => write!(f, "{{{}}}", other.kind()),
        }
    }
}

/// Parses an item.
pub fn attributes(item: &Map<String, Json>) -> Result<Attributes, NotAValue> {
    item.iter()
        .map(|(name, value)| Ok((name.clone(), Value::from_json(value)?)))
        .collect()
}

fn read(json: &Json, depth: usize) -> Result<Value, NotAValue> {
    let typed = json
        .as_object()
        .filter(|typed| typed.len() == 1)
        .ok_or(NotAValue::Form)?;
    let (tag, inner) = typed.iter().next().ok_or(NotAValue::Form)?;
    let deeper = || depth.checked_sub(1).ok_or(NotAValue::TooDeep);
    Ok(match Kind::from_tag(tag).ok_or(NotAValue::Form)? {
        Kind::S => Value::S(text(inner)?.to_owned()),
        Kind::N => Value::N(number(inner)?),
        Kind::B => Value::B(binary(inner)?),
        Kind::Bool => Value::Bool(inner.as_bool().ok_or(NotAValue::Form)?),
        Kind::Null => inner
            .as_bool()
            .filter(|is| *is)
            .map(|_| Value::Null)
            .ok_or(NotAValue::Form)?,
        Kind::Ss => Value::Ss(set(inner, |element| Ok(text(element)?.to_owned()))?),
        Kind::Ns => Value::Ns(set(inner, number)?),
        Kind::Bs => Value::Bs(set(inner, binary)?),
        Kind::L => {
            let depth = deeper()?;
            Value::L(
                inner
                    .as_array()
                    .ok_or(NotAValue::Form)?
                    .iter()
                    .map(|element| read(element, depth))
                    .collect::<Result<_, _>>()?,
            )
        }
        Kind::M => {
            let depth = deeper()?;
            let members = inner.as_object().ok_or(NotAValue::Form)?.iter();
            Value::M(
                members
                    .map(|(name, value)| Ok((name.clone(), read(value, depth)?)))
                    .collect::<Result<_, _>>()?,
            )
        }
    })
}

fn text(json: &Json) -> Result<&str, NotAValue> {
    json.as_str().ok_or(NotAValue::Form)
}

fn number(json: &Json) -> Result<Number, NotAValue> {
    Number::parse(text(json)?).map_err(NotAValue::Number)
}

fn binary(json: &Json) -> Result<Vec<u8>, NotAValue> {
    BASE64.decode(text(json)?).map_err(|_| NotAValue::Form)
}

fn set<T: Ord>(
    json: &Json,
    element: impl Fn(&Json) -> Result<T, NotAValue>,
) -> Result<BTreeSet<T>, NotAValue> {
    let elements = json
        .as_array()
        .filter(|elements| !elements.is_empty())
        .ok_or(NotAValue::Form)?;
    let set: BTreeSet<T> = elements.iter().map(element).collect::<Result<_, _>>()?;
    if set.len() == elements.len() {
        Ok(set)
    } else {
        Err(NotAValue::Duplicates)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_a_value() {
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
            assert!(Value::from_json(&good).is_ok(), "{good}");
        }
        for (bad, why) in [
            (json!("x"), NotAValue::Form),
            (json!({}), NotAValue::Form),
            (json!({"S": 1}), NotAValue::Form),
            (json!({"N": 1}), NotAValue::Form),
            (
                json!({"N": "one"}),
                NotAValue::Number(NumberError::NotANumber),
            ),
            (
                json!({"N": "1e200"}),
                NotAValue::Number(NumberError::Overflow),
            ),
            (json!({"B": "!"}), NotAValue::Form),
            (json!({"NULL": false}), NotAValue::Form),
            (json!({"SS": []}), NotAValue::Form),
            (json!({"SS": ["a", "a"]}), NotAValue::Duplicates),
            (json!({"NS": ["1", "1.0"]}), NotAValue::Duplicates),
            (json!({"X": "a"}), NotAValue::Form),
            (json!({"S": "a", "N": "1"}), NotAValue::Form),
        ] {
            assert_eq!(Value::from_json(&bad), Err(why), "{bad}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nest =
            |levels: usize| (0..levels).fold(json!({"S": "x"}), |inner, _| json!({"L": [inner]}));
        assert!(Value::from_json(&nest(32)).is_ok());
        assert_eq!(Value::from_json(&nest(33)), Err(NotAValue::TooDeep));
    }
}
