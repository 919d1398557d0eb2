//! Evaluates conditions on items.
//!
//! A missing attribute, or one of another type, makes every comparison false except `<>`, which it
//! makes true (observed by Alternator's tests). Strings and binary data are ordered by their bytes.
//! AWS's documentation does not define the length of a string; here it is the number of UTF-16
//! units, as in dynalite.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::ast::Comparator;
use crate::number::Number;
use crate::resolved::{Part, ResolvedPath, Term, Test};
use crate::value::{Attributes, Value};

impl Test {
    /// Whether the condition is true.
    pub(crate) fn holds(&self, item: &Attributes) -> bool {
        match self {
            Self::Compare(left, comparator, right) => compare(
                left.of(item).as_deref(),
                *comparator,
                right.of(item).as_deref(),
            ),
            Self::Between { term, lower, upper } => {
                let value = term.of(item);
                compare(
                    value.as_deref(),
                    Comparator::GreaterOrEqual,
                    lower.of(item).as_deref(),
                ) && compare(
                    value.as_deref(),
                    Comparator::LessOrEqual,
                    upper.of(item).as_deref(),
                )
            }
            Self::In(term, list) => {
                let value = term.of(item);
                list.iter().any(|other| {
                    compare(
                        value.as_deref(),
                        Comparator::Equal,
                        other.of(item).as_deref(),
                    )
                })
            }
            Self::Exists(path) => path.of(item).is_some(),
            Self::NotExists(path) => path.of(item).is_none(),
            Self::HasKind(term, kind) => term.of(item).is_some_and(|value| value.kind() == *kind),
            Self::BeginsWith(term, prefix) => {
                match (term.of(item).as_deref(), prefix.of(item).as_deref()) {
                    (Some(Value::S(text)), Some(Value::S(prefix))) => {
                        text.starts_with(prefix.as_str())
                    }
                    (Some(Value::B(bytes)), Some(Value::B(prefix))) => bytes.starts_with(prefix),
                    _ => false,
                }
            }
            Self::Contains(term, part) => match (term.of(item), part.of(item)) {
                (Some(whole), Some(part)) => contains(&whole, &part),
                _ => false,
            },
            Self::And(left, right) => left.holds(item) && right.holds(item),
            Self::Or(left, right) => left.holds(item) || right.holds(item),
            Self::Not(inner) => !inner.holds(item),
        }
    }
}

impl Term {
    fn of<'a>(&'a self, item: &'a Attributes) -> Option<Cow<'a, Value>> {
        match self {
            Self::Path(path) => path.of(item).map(Cow::Borrowed),
            Self::Value(value) => Some(Cow::Borrowed(value)),
            Self::Size(term) => {
                size(&*term.of(item)?).map(|size| Cow::Owned(Value::N(Number::from(size))))
            }
        }
    }
}

impl ResolvedPath {
    fn of<'a>(&self, item: &'a Attributes) -> Option<&'a Value> {
        self.inner
            .iter()
            .try_fold(item.get(&self.head)?, |value, part| match (part, value) {
                (Part::Member(name), Value::M(members)) => members.get(name),
                (Part::Element(index), Value::L(elements)) => {
                    elements.get(usize::try_from(*index).ok()?)
                }
                _ => None,
            })
    }
}

fn compare(left: Option<&Value>, comparator: Comparator, right: Option<&Value>) -> bool {
    let equal = left.is_some() && left == right;
    let order = || match (left, right) {
        (Some(Value::S(left)), Some(Value::S(right))) => Some(left.cmp(right)),
        (Some(Value::N(left)), Some(Value::N(right))) => Some(left.cmp(right)),
        (Some(Value::B(left)), Some(Value::B(right))) => Some(left.cmp(right)),
        _ => None,
    };
    match comparator {
        Comparator::Equal => equal,
        Comparator::NotEqual => !equal,
        Comparator::Less => order().is_some_and(Ordering::is_lt),
        Comparator::LessOrEqual => order().is_some_and(Ordering::is_le),
        Comparator::Greater => order().is_some_and(Ordering::is_gt),
        Comparator::GreaterOrEqual => order().is_some_and(Ordering::is_ge),
    }
}

fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::S(text), Value::S(part)) => text.contains(part.as_str()),
        (Value::B(bytes), Value::B(part)) => {
            part.is_empty() || bytes.windows(part.len()).any(|window| window == part)
        }
        (Value::Ss(set), Value::S(element)) => set.contains(element),
        (Value::Ns(set), Value::N(element)) => set.contains(element),
        (Value::Bs(set), Value::B(element)) => set.contains(element),
        (Value::L(list), element) => list.contains(element),
        _ => false,
    }
}

fn size(value: &Value) -> Option<usize> {
    match value {
        Value::S(text) => Some(text.encode_utf16().count()),
        Value::B(bytes) => Some(bytes.len()),
        Value::Ss(set) => Some(set.len()),
        Value::Ns(set) => Some(set.len()),
        Value::Bs(set) => Some(set.len()),
        Value::L(list) => Some(list.len()),
        Value::M(map) => Some(map.len()),
        Value::N(_) | Value::Bool(_) | Value::Null => None,
    }
}
