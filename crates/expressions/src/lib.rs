//! DynamoDB's expressions as far as the FilterSpecification of a table export uses them: filter
//! expressions, projection expressions and key condition expressions, with their placeholders.
//!
//! [`Given::check`] parses them, checks them by AWS's rules and resolves the placeholders; the
//! [`Specification`] it returns can be held against a table's keys and evaluated on items.
//! [`parse_condition`] and [`parse_projection`] read a single expression.
//!
//! Where the rules come from:
//! - the developer guide, pages "Filtering a table export", "Condition and filter expressions,
//!   operators, and functions", "Key condition expressions", "Using projection expressions",
//!   "Reserved words" and "Constraints" (expression parameters); the first says that exports follow
//!   the syntax and rules of Scan's filters and Query's key conditions;
//! - the test suites of dynalite and of Scylla's Alternator, both of which are run against DynamoDB
//!   itself; error texts and the order of checks are those that dynalite records.
//!
//! A rule that neither confirms is not enforced. In particular: `IN` is documented with 100 values,
//! while DynamoDB was seen to accept 99, so only more than 100 are refused; attribute names of
//! exports are documented with 250 bytes, the API's model says 65,535, so the length of names is
//! not checked here; a limit on the depth of nesting is not documented, and 149 levels were seen to
//! be accepted, so only deeper nesting is refused, to bound the stack that evaluating it needs.

mod ast;
mod evaluate;
mod key_condition;
mod number;
mod parser;
mod problem;
mod projection;
mod reserved;
mod resolve;
mod resolved;
mod size;
mod specification;
mod token;
mod value;

pub use ast::{Call, Comparator, Condition, Name, Operand, Path, Step};
pub use key_condition::{KeyAttribute, KeySchema};
pub use number::{Number, NumberError};
pub use parser::{parse_condition, parse_projection};
pub use problem::{ExpressionKind, Fault, Place, Problem};
pub use projection::Projection;
pub use reserved::is_reserved;
pub use size::attribute_bytes;
pub use specification::{Given, Specification, is_placeholder};
pub use value::{Attributes, Kind, NotAValue, Value, attributes};

/// The most bytes of an expression ("Constraints", expression parameters: 4 KB).
pub const MAX_EXPRESSION_BYTES: usize = 4096;

/// The most operators and functions of an expression ("Constraints": the maximum number of
/// operators or functions is 300).
pub const MAX_OPERATORS: usize = 300;

/// The most values that IN may list.
pub const MAX_IN_VALUES: usize = 100;

/// The most bytes of a placeholder, its `#` or `:` included.
pub const MAX_PLACEHOLDER_BYTES: usize = 255;

/// The most bytes of all attribute names and values together.
pub const MAX_SUBSTITUTION_BYTES: u64 = 2 * 1024 * 1024;

/// How deep attributes may nest.
pub const MAX_NESTING: usize = 32;
