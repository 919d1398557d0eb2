//! Conditions with resolved placeholders. Values of these types satisfy every rule for operands.

use std::fmt;

use crate::ast::Comparator;
use crate::value::{Kind, Value};

/// A part of a document path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// A member of a map, or the attribute of an item.
    Member(String),
    /// An element of a list.
    Element(u32),
}

/// A document path; the first part is a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResolvedPath {
    /// The attribute of the item.
    pub(crate) head: String,
    /// The steps into it.
    pub(crate) inner: Vec<Part>,
}

/// An operand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Term {
    Path(ResolvedPath),
    Value(Value),
    Size(Box<Term>),
}

/// A condition on an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Test {
    Compare(Term, Comparator, Term),
    Between {
        term: Term,
        lower: Term,
        upper: Term,
    },
    In(Term, Vec<Term>),
    Exists(ResolvedPath),
    NotExists(ResolvedPath),
    HasKind(Term, Kind),
    BeginsWith(Term, Term),
    Contains(Term, Term),
    And(Box<Test>, Box<Test>),
    Or(Box<Test>, Box<Test>),
    Not(Box<Test>),
}

impl Term {
    /// Its type, if it is known without an item.
    pub(crate) fn kind(&self) -> Option<Kind> {
        match self {
            Self::Path(_) => None,
            Self::Value(value) => Some(value.kind()),
            Self::Size(_) => Some(Kind::N),
        }
    }
}

/// A path as in AWS's messages: `[a, [1], b]`.
impl fmt::Display for ResolvedPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}", self.head)?;
        for part in &self.inner {
            match part {
                Part::Member(name) => write!(f, ", {name}")?,
                Part::Element(index) => write!(f, ", [{index}]")?,
            }
        }
        f.write_str("]")
    }
}
