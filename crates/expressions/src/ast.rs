//! Expressions as they are written, placeholders unresolved. What is printed is read again as the
//! same tree.

use std::fmt;

/// The name of an attribute, or a placeholder for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// Written out.
    Plain(String),
    /// With its `#`.
    Placeholder(String),
}

/// One step from an attribute to one inside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A member of a map.
    Member(Name),
    /// An element of a list.
    Element(u32),
}

/// A document path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// The attribute of the item.
    pub head: Name,
    /// From there inwards.
    pub steps: Vec<Step>,
}

/// How two operands are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparator {
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// What is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operand {
    /// An attribute.
    Path(Path),
    /// A placeholder for a value, with its `:`.
    Value(String),
    /// A function; only `size` may stand here.
    Call(Call),
}

/// A function and what it is applied to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its name; case-sensitive.
    pub function: String,
    /// At least one.
    pub arguments: Vec<Operand>,
}

/// What is true of an item or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// `a < b`
    Compare {
        /// What stands on the left.
        left: Operand,
        /// How both are compared.
        comparator: Comparator,
        /// What stands on the right.
        right: Operand,
    },
    /// `a BETWEEN b AND c`
    Between {
        /// What is compared.
        operand: Operand,
        /// The lower bound, inclusive.
        lower: Operand,
        /// The upper bound, inclusive.
        upper: Operand,
    },
    /// `a IN (b, c)`
    In {
        /// What is looked for.
        operand: Operand,
        /// Where.
        list: Vec<Operand>,
    },
    /// `begins_with(a, b)`
    Call(Call),
    /// `a AND b`
    And(Box<Condition>, Box<Condition>),
    /// `a OR b`
    Or(Box<Condition>, Box<Condition>),
    /// `NOT a`
    Not(Box<Condition>),
}

impl Comparator {
    /// As it is written.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }

    pub(crate) fn of_symbol(symbol: &str) -> Option<Self> {
        [
            Self::Equal,
            Self::NotEqual,
            Self::Less,
            Self::LessOrEqual,
            Self::Greater,
            Self::GreaterOrEqual,
        ]
        .into_iter()
        .find(|comparator| comparator.symbol() == symbol)
    }

    /// The comparator that says the same with both sides exchanged.
    #[must_use]
    pub fn reversed(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            same => same,
        }
    }
}

impl Condition {
    /// How tightly it binds: what binds less than its neighbour is printed in brackets.
    fn tightness(&self) -> u8 {
        match self {
            Self::Or(..) => 1,
            Self::And(..) => 2,
            Self::Not(_) => 3,
            _ => 4,
        }
    }

    fn print(&self, f: &mut fmt::Formatter<'_>, at_least: u8) -> fmt::Result {
        if self.tightness() < at_least {
            return write!(f, "({self})");
        }
        write!(f, "{self}")
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compare {
                left,
                comparator,
                right,
            } => write!(f, "{left} {} {right}", comparator.symbol()),
            Self::Between {
                operand,
                lower,
                upper,
            } => write!(f, "{operand} BETWEEN {lower} AND {upper}"),
            Self::In { operand, list } => write!(f, "{operand} IN ({})", Listed(list)),
            Self::Call(call) => write!(f, "{call}"),
            // Both are read from left to right, so an equal one on the right needs brackets.
            Self::And(left, right) => {
                left.print(f, 2)?;
                f.write_str(" AND ")?;
                right.print(f, 3)
            }
            Self::Or(left, right) => {
                left.print(f, 1)?;
                f.write_str(" OR ")?;
                right.print(f, 2)
            }
            Self::Not(inner) => {
                f.write_str("NOT ")?;
                inner.print(f, 4)
            }
        }
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{path}"),
            Self::Value(placeholder) => f.write_str(placeholder),
            Self::Call(call) => write!(f, "{call}"),
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.function, Listed(&self.arguments))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.head)?;
        self.steps.iter().try_for_each(|step| match step {
            Step::Member(name) => write!(f, ".{name}"),
            Step::Element(index) => write!(f, "[{index}]"),
        })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(name) | Self::Placeholder(name) => f.write_str(name),
        }
    }
}

/// Operands with commas between them.
struct Listed<'a>(&'a [Operand]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .enumerate()
            .try_for_each(|(at, operand)| write!(f, "{}{operand}", if at == 0 { "" } else { ", " }))
    }
}
