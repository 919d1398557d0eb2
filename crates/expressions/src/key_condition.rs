//! Key conditions: which items are read, by the table's primary key.
//!
//! The rules are Query's, to which the developer guide's page on filtered exports refers; error
//! texts are those that dynalite records. One rule applies even without the table's schema: one of
//! at most two attributes is compared by `=`, because the partition key must be.

use crate::ast::Comparator;
use crate::problem::Problem;
use crate::resolved::{ResolvedPath, Term, Test};
use crate::value::{Attributes, Kind, Value};

/// An attribute of a primary key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyAttribute {
    /// Its name.
    pub name: String,
    /// Its type; `None` if it is not known.
    pub kind: Option<Kind>,
}

/// A table's primary key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySchema {
    /// The partition key.
    pub partition: KeyAttribute,
    /// The sort key, if the table has one.
    pub sort: Option<KeyAttribute>,
}

impl KeySchema {
    /// The key attributes, the partition key first.
    pub fn attributes(&self) -> impl Iterator<Item = &KeyAttribute> {
        std::iter::once(&self.partition).chain(&self.sort)
    }
}

/// A condition on each of one or two attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyCondition(Vec<KeyTest>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct KeyTest {
    attribute: String,
    range: Range,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Range {
    Compared(Comparator, Value),
    Between(Value, Value),
    BeginsWith(Value),
}

impl Range {
    fn is_equality(&self) -> bool {
        matches!(self, Self::Compared(Comparator::Equal, _))
    }

    fn values(&self) -> impl Iterator<Item = &Value> {
        let (first, second) = match self {
            Self::Compared(_, value) | Self::BeginsWith(value) => (value, None),
            Self::Between(lower, upper) => (lower, Some(upper)),
        };
        std::iter::once(first).chain(second)
    }
}

impl KeyCondition {
    /// Converts a condition to a key condition.
    pub(crate) fn from_test(test: &Test) -> Result<Self, Problem> {
        let mut tests = Vec::new();
        gather(test, &mut tests)?;
        if tests.len() > 2 {
            return Err(Problem::KeyTooMany);
        }
        if tests
            .iter()
            .flat_map(|test| test.range.values())
            .any(|value| !value.kind().is_ordered())
        {
            return Err(Problem::KeyType);
        }
        if !tests.iter().any(|test| test.range.is_equality()) {
            return Err(Problem::KeyNotSupported);
        }
        Ok(Self(tests))
    }

    /// The attributes it names, which must be key attributes.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|test| test.attribute.as_str())
    }

    /// Checks it against a table's key.
    pub(crate) fn check(&self, schema: &KeySchema) -> Result<(), Problem> {
        let of = |name: &str| self.0.iter().find(|test| test.attribute == name);
        let partition = of(&schema.partition.name)
            .ok_or_else(|| Problem::KeyMissing(schema.partition.name.clone()))?;
        let other = self
            .0
            .iter()
            .find(|test| test.attribute != schema.partition.name);
        match (other, &schema.sort) {
            (Some(other), Some(sort)) if other.attribute != sort.name => {
                return Err(Problem::KeyMissing(sort.name.clone()));
            }
            (Some(_), None) => return Err(Problem::KeyNotSupported),
            _ => {}
        }
        for attribute in schema.attributes() {
            let fits = |value: &Value| attribute.kind.is_none_or(|kind| value.kind() == kind);
            if of(&attribute.name).is_some_and(|test| !test.range.values().all(fits)) {
                return Err(Problem::KeyType);
            }
        }
        if partition.range.is_equality() {
            Ok(())
        } else {
            Err(Problem::KeyNotSupported)
        }
    }

    /// Whether an item is read.
    pub(crate) fn reads(&self, item: &Attributes) -> bool {
        self.0.iter().all(|test| {
            let term = || {
                Term::Path(ResolvedPath {
                    head: test.attribute.clone(),
                    inner: Vec::new(),
                })
            };
            let value = |value: &Value| Term::Value(value.clone());
            let test = match &test.range {
                Range::Compared(comparator, with) => {
                    Test::Compare(term(), *comparator, value(with))
                }
                Range::Between(lower, upper) => Test::Between {
                    term: term(),
                    lower: value(lower),
                    upper: value(upper),
                },
                Range::BeginsWith(prefix) => Test::BeginsWith(term(), value(prefix)),
            };
            test.holds(item)
        })
    }
}

/// Collects the conditions joined by AND.
fn gather(test: &Test, into: &mut Vec<KeyTest>) -> Result<(), Problem> {
    let operator = |name: &str| Err(Problem::KeyOperator(name.to_owned()));
    let (name, terms): (_, Vec<&Term>) = match test {
        Test::And(left, right) => {
            gather(left, into)?;
            return gather(right, into);
        }
        Test::Or(..) => return operator("OR"),
        Test::Not(_) => return operator("NOT"),
        Test::In(..) => return operator("IN"),
        Test::Exists(_) => return operator("attribute_exists"),
        Test::NotExists(_) => return operator("attribute_not_exists"),
        Test::HasKind(..) => return operator("attribute_type"),
        Test::Contains(..) => return operator("contains"),
        Test::Compare(_, Comparator::NotEqual, _) => return operator("<>"),
        Test::Compare(left, _, right) => ("", vec![left, right]),
        Test::Between { term, lower, upper } => ("BETWEEN", vec![term, lower, upper]),
        Test::BeginsWith(first, second) => ("begins_with", vec![first, second]),
    };
    if !name.is_empty() && !matches!(terms[0], Term::Path(_)) {
        return Err(Problem::KeyNotFirst(name.to_owned()));
    }
    let (mut attribute, mut values) = (None, Vec::new());
    for (at, term) in terms.into_iter().enumerate() {
        match term {
            Term::Size(_) => return Err(Problem::KeyNested),
            Term::Path(_) if attribute.is_some() => return Err(Problem::KeyManyNames),
            Term::Path(path) if !path.inner.is_empty() => return Err(Problem::KeyPath),
            Term::Path(path) => attribute = Some((at, path.head.clone())),
            Term::Value(value) => values.push(value.clone()),
        }
    }
    let (at, attribute) = attribute.ok_or(Problem::KeyNoName)?;
    if into.iter().any(|test| test.attribute == attribute) {
        return Err(Problem::KeyTwice);
    }
    let mut values = values.into_iter();
    let (first, second) = (values.next().ok_or(Problem::KeyManyNames)?, values.next());
    let range = match (test, second) {
        (Test::Compare(_, comparator, _), _) => Range::Compared(
            if at == 0 {
                *comparator
            } else {
                comparator.reversed()
            },
            first,
        ),
        (Test::Between { .. }, Some(upper)) => Range::Between(first, upper),
        _ => Range::BeginsWith(first),
    };
    into.push(KeyTest { attribute, range });
    Ok(())
}
