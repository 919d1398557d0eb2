//! Parsed expressions with unresolved placeholders. Their `Display` form parses to the same tree.

use std::fmt;

/// The name of an attribute, or a placeholder for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// A plain name.
    Plain(String),
    /// A placeholder, with its `#`.
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
    /// The steps into it.
    pub steps: Vec<Step>,
}

/// A comparison operator.
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

/// An operand of a comparison or function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operand {
    /// An attribute.
    Path(Path),
    /// A placeholder for a value, with its `:`.
    Value(String),
    /// A function call; only `size` is valid here.
    Call(Call),
}

/// A function call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The function's name; case-sensitive.
    pub function: String,
    /// At least one.
    pub arguments: Vec<Operand>,
}

/// A condition on an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// `a < b`
    Compare {
        /// The left operand.
        left: Operand,
        /// The operator.
        comparator: Comparator,
        /// The right operand.
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
        /// The operand to find.
        operand: Operand,
        /// The list.
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
    /// The expression's text.
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

    /// The comparator for exchanged operands.
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
    /// Precedence: a condition with a lower precedence than its neighbour is printed in
    /// parentheses.
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
            // AND and OR are parsed from left to right, so an equal precedence on the right needs
            // parentheses.
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

/// Operands separated by commas.
struct Listed<'a>(&'a [Operand]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .enumerate()
            .try_for_each(|(at, operand)| write!(f, "{}{operand}", if at == 0 { "" } else { ", " }))
    }
}
