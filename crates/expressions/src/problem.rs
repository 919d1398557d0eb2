//! Problems of a filter, in AWS's words. The sources are named in [the crate's
//! documentation](crate).

use std::fmt;

use crate::value::{Kind, NotAValue};

/// The kind of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExpressionKind {
    /// Key condition expression: which items are read.
    KeyCondition,
    /// Filter expression: which of them are kept.
    Filter,
    /// Projection expression: which of their attributes are written.
    Projection,
}

impl ExpressionKind {
    /// AWS's name for the parameter.
    #[must_use]
    pub fn parameter(self) -> &'static str {
        match self {
            Self::KeyCondition => "KeyConditionExpression",
            Self::Filter => "FilterExpression",
            Self::Projection => "ProjectionExpression",
        }
    }
}

/// The place of a fault in a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The whole filter.
    Whole,
    /// An expression.
    Expression(ExpressionKind),
    /// The name of this placeholder.
    Name(String),
    /// The value of this placeholder.
    Value(String),
}

/// A problem and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The place.
    pub place: Place,
    /// The problem.
    pub problem: Problem,
}

/// AWS's text for Scan and Query; its texts for exports are not known.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Expression(kind) if !self.problem.stands_alone() => {
                write!(f, "Invalid {}: {}", kind.parameter(), self.problem)
            }
            _ => write!(f, "{}", self.problem),
        }
    }
}

/// Something that AWS refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The filter has no expression.
    NoExpression,
    /// The expression is empty.
    Empty,
    /// The expression has this many bytes.
    TooLong(usize),
    /// An unexpected token.
    Syntax {
        /// The token.
        token: String,
        /// The token with its neighbours.
        near: String,
    },
    /// An operand is nested deeper than any valid one.
    TooDeep,
    /// Parentheses directly within parentheses.
    RedundantParentheses,
    /// This many operators and functions.
    TooManyOperators(usize),
    /// This many values of IN.
    TooManyInValues(usize),
    /// A list index above the maximum.
    ListIndex(String),
    /// More steps than attributes may nest.
    PathTooDeep,
    /// A name that needs a placeholder.
    Reserved(String),
    /// No name is given for this placeholder.
    NameUndefined(String),
    /// No value is given for this placeholder.
    ValueUndefined(String),
    /// An unknown function.
    UnknownFunction(String),
    /// A function of update expressions.
    UpdateFunction(String),
    /// A function in a place where it is not allowed.
    MisusedFunction(String),
    /// A function with the wrong number of operands.
    OperandCount {
        /// The function.
        function: String,
        /// The number of operands.
        count: usize,
    },
    /// An operand with a type that the operator does not accept.
    OperandType {
        /// The operator or function.
        operator: String,
        /// The type; `None` for an attribute, whose type is not known.
        kind: Option<Kind>,
    },
    /// An operand that must be a path.
    PathNeeded(String),
    /// `attribute_type` with an unknown type.
    UnknownType(String),
    /// The same path twice.
    SamePath {
        /// The operator or function.
        operator: String,
        /// The path, as AWS shows it.
        path: String,
    },
    /// The bounds of BETWEEN have different types.
    BoundTypes {
        /// The lower bound, as AWS shows it.
        lower: String,
        /// The upper bound.
        upper: String,
    },
    /// The lower bound of BETWEEN is above the upper one.
    BoundOrder {
        /// The lower bound, as AWS shows it.
        lower: String,
        /// The upper bound.
        upper: String,
    },
    /// One projected path contains another.
    PathsOverlap(String, String),
    /// Two projected paths use an attribute as a list and as a map.
    PathsConflict(String, String),
    /// An operator that key conditions do not support.
    KeyOperator(String),
    /// A function within a key condition's comparison.
    KeyNested,
    /// BETWEEN or `begins_with` without a key attribute as its first operand.
    KeyNotFirst(String),
    /// A key condition that compares attributes with each other.
    KeyManyNames,
    /// A key condition on a nested attribute.
    KeyPath,
    /// A key condition without an attribute.
    KeyNoName,
    /// A second condition on the same attribute.
    KeyTwice,
    /// More conditions than a key has attributes.
    KeyTooMany,
    /// The partition key is not compared by `=`.
    KeyNotSupported,
    /// This key attribute has no condition.
    KeyMissing(String),
    /// A value whose type is not the key attribute's.
    KeyType,
    /// A filter that names a key attribute although there is a key condition.
    KeyInFilter(String),
    /// A malformed placeholder.
    PlaceholderForm(String),
    /// No expression uses the name.
    NameUnused(String),
    /// No expression uses the value.
    ValueUnused(String),
    /// Not an attribute value.
    NotAValue(NotAValue),
    /// All names and values together have this many bytes.
    SubstitutionsTooLong(u64),
}

impl Problem {
    /// Whether AWS's text names the parameter itself.
    fn stands_alone(&self) -> bool {
        use Problem as P;
        matches!(
            self,
            P::KeyOperator(_)
                | P::KeyNested
                | P::KeyNotFirst(_)
                | P::KeyManyNames
                | P::KeyPath
                | P::KeyNoName
                | P::KeyTwice
                | P::KeyTooMany
                | P::KeyNotSupported
                | P::KeyMissing(_)
                | P::KeyType
                | P::KeyInFilter(_)
        )
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const IN_KEY: &str = "Invalid condition in KeyConditionExpression";
        const BETWEEN: &str = "The BETWEEN operator requires";
        const PATHS: &str = "must remove or rewrite one of these paths";
        match self {
            Self::NoExpression => f.write_str("The specification can not be empty"),
            Self::Empty => f.write_str("The expression can not be empty;"),
            Self::TooLong(bytes) => write!(f, "Expression size has exceeded the maximum allowed size; expression size: {bytes}"),
            Self::Syntax { token, near } => write!(f, "Syntax error; token: \"{token}\", near: \"{near}\""),
            Self::TooDeep => f.write_str("The expression is nested too deeply"),
            Self::RedundantParentheses => f.write_str("The expression has redundant parentheses;"),
            Self::TooManyOperators(count) => write!(f, "The expression contains too many operators; operator count: {count}"),
            Self::TooManyInValues(count) => write!(f, "The IN operator is provided with too many operands; number of operands: {count}"),
            Self::ListIndex(index) => write!(f, "List index is not within the allowable range; index: [{index}]"),
            Self::PathTooDeep => f.write_str("The document path has too many nesting levels"),
            Self::Reserved(name) => write!(f, "Attribute name is a reserved keyword; reserved keyword: {name}"),
            Self::NameUndefined(name) => {
                write!(f, "An expression attribute name used in the document path is not defined; attribute name: {name}")
            }
            Self::ValueUndefined(name) => {
                write!(f, "An expression attribute value used in expression is not defined; attribute value: {name}")
            }
            Self::UnknownFunction(name) => write!(f, "Invalid function name; function: {name}"),
            Self::UpdateFunction(name) => write!(f, "The function is not allowed in a condition expression; function: {name}"),
            Self::MisusedFunction(name) => {
                write!(f, "The function is not allowed to be used this way in an expression; function: {name}")
            }
            Self::OperandCount { function, count } => {
                let what = "Incorrect number of operands for operator or function; operator or function";
                write!(f, "{what}: {function}, number of operands: {count}")
            }
            Self::OperandType { operator, kind } => {
                let kind = kind.map_or_else(|| format!("{{{}}}", tags()), |kind| kind.tag().to_owned());
                let what = "Incorrect operand type for operator or function; operator or function";
                write!(f, "{what}: {operator}, operand type: {kind}")
            }
            Self::PathNeeded(name) => write!(f, "Operator or function requires a document path; operator or function: {name}"),
            Self::UnknownType(name) => write!(f, "Invalid attribute type name found; type: {name}, valid types: {{{}}}", tags()),
            Self::SamePath { operator, path } => write!(
                f,
                "The first operand must be distinct from the remaining operands for this operator or function; operator: {operator}, first operand: {path}"
            ),
            Self::BoundTypes { lower, upper } => write!(
                f,
                "{BETWEEN} same data type for lower and upper bounds; lower bound operand: AttributeValue: {lower}, upper bound operand: AttributeValue: {upper}"
            ),
            Self::BoundOrder { lower, upper } => write!(
                f,
                "{BETWEEN} upper bound to be greater than or equal to lower bound; lower bound operand: AttributeValue: {lower}, upper bound operand: AttributeValue: {upper}"
            ),
            Self::PathsOverlap(one, two) => {
                write!(f, "Two document paths overlap with each other; {PATHS}; path one: {one}, path two: {two}")
            }
            Self::PathsConflict(one, two) => {
                write!(f, "Two document paths conflict with each other; {PATHS}; path one: {one}, path two: {two}")
            }
            Self::KeyOperator(name) => write!(f, "Invalid operator used in KeyConditionExpression: {name}"),
            Self::KeyNested => f.write_str("KeyConditionExpressions cannot contain nested operations"),
            Self::KeyNotFirst(name) => write!(f, "{IN_KEY}: {name} operator must have the key attribute as its first operand"),
            Self::KeyManyNames => write!(f, "{IN_KEY}: Multiple attribute names used in one condition"),
            Self::KeyPath => f.write_str("KeyConditionExpressions cannot have conditions on nested attributes"),
            Self::KeyNoName => write!(f, "{IN_KEY}: No key attribute specified"),
            Self::KeyTwice => f.write_str("KeyConditionExpressions must only contain one condition per key"),
            Self::KeyTooMany => f.write_str("Conditions can be of length 1 or 2 only"),
            Self::KeyNotSupported => f.write_str("Query key condition not supported"),
            Self::KeyMissing(name) => write!(f, "Query condition missed key schema element: {name}"),
            Self::KeyType => f.write_str("One or more parameter values were invalid: Condition parameter type does not match schema type"),
            Self::KeyInFilter(name) => {
                write!(f, "Filter Expression can only contain non-primary key attributes: Primary key attribute: {name}")
            }
            Self::PlaceholderForm(name) => {
                let parameter = if name.starts_with(':') { "ExpressionAttributeValues" } else { "ExpressionAttributeNames" };
                write!(f, "{parameter} contains invalid key: Syntax error; key: \"{name}\"")
            }
            Self::NameUnused(name) => write!(f, "Value provided in ExpressionAttributeNames unused in expressions: keys: {{{name}}}"),
            Self::ValueUnused(name) => {
                write!(f, "Value provided in ExpressionAttributeValues unused in expressions: keys: {{{name}}}")
            }
            Self::NotAValue(why) => write!(f, "ExpressionAttributeValues contains invalid value: {why}"),
            Self::SubstitutionsTooLong(bytes) => {
                write!(f, "Expression attribute names and values have exceeded the maximum allowed size; size: {bytes}")
            }
        }
    }
}

/// The types in AWS's order.
fn tags() -> String {
    Kind::ALL.map(Kind::tag).join(",")
}
