//! DynamoDB expressions for the FilterSpecification of table exports: filter, projection and key
//! condition expressions with their placeholders.
//!
//! [`Given::check`] parses them, checks them by AWS's rules and resolves the placeholders. The
//! resulting [`Specification`] can be checked against a table's keys and evaluated on items.
//! [`parse_condition`] and [`parse_projection`] parse a single expression.
//!
//! Sources of the rules:
//! - the developer guide, pages "Filtering a table export", "Condition and filter expressions,
//!   operators, and functions", "Key condition expressions", "Using projection expressions",
//!   "Reserved words" and "Constraints" (expression parameters); the first says that exports follow
//!   the syntax and rules of Scan's filters and Query's key conditions;
//! - the test suites of dynalite and of Scylla's Alternator, which are also run against DynamoDB;
//!   error texts and the order of checks are those that dynalite records.
//!
//! A rule that neither source confirms is not enforced. `IN` is documented with 100 values, but
//! DynamoDB accepted 99 (observed), so only more than 100 are refused. Attribute names of exports
//! are documented with 250 bytes, but the API's model says 65,535, so their length is not checked
//! here. No limit on nesting is documented, and 149 levels were accepted (observed); deeper nesting
//! is refused to bound the stack of the evaluation.

#![warn(missing_docs)]

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

/// Maximum bytes of an expression ("Constraints", expression parameters: 4 KB).
pub const MAX_EXPRESSION_BYTES: usize = 4096;

/// Maximum operators and functions of an expression ("Constraints": the maximum number of operators
/// or functions is 300).
pub const MAX_OPERATORS: usize = 300;

/// Maximum values of IN.
pub const MAX_IN_VALUES: usize = 100;

/// Maximum bytes of a placeholder, its `#` or `:` included.
pub const MAX_PLACEHOLDER_BYTES: usize = 255;

/// Maximum bytes of all attribute names and values together.
pub const MAX_SUBSTITUTION_BYTES: u64 = 2 * 1024 * 1024;

/// Maximum nesting of attributes.
pub const MAX_NESTING: usize = 32;
