//! Error texts for filters: AWS's message, and what to do.

use dynamodb_expressions::{
    Fault, MAX_EXPRESSION_BYTES, MAX_IN_VALUES, MAX_NESTING, MAX_OPERATORS, NotAValue, Problem,
};

use super::{FILTER, Invalid, KEY_CONDITION, NAMES, PROJECTION, VALUES, place_pointer};

/// An error and its place for a fault.
pub(super) fn error(fault: &Fault) -> (String, Invalid) {
    let at = place_pointer(fault);
    let invalid = match &fault.problem {
        Problem::NoExpression => Invalid::new(format!(
            "must have a {FILTER}, a {PROJECTION} or a {KEY_CONDITION}"
        )),
        Problem::Empty => Invalid::new("must not be empty; leave it out instead"),
        Problem::TooLong(_) => Invalid::new(format!(
            "must be at most 4 KB ({MAX_EXPRESSION_BYTES} bytes) long"
        )),
        Problem::TooManyOperators(_) => Invalid::new(format!(
            "must have at most {MAX_OPERATORS} operators and functions"
        )),
        Problem::NotAValue(NotAValue::Form) => not_a_value(),
        Problem::NotAValue(why) => Invalid::new(format!("is not a valid DynamoDB value: {why}")),
        Problem::SubstitutionsTooLong(_) => Invalid::new(format!(
            "must have at most 2 MB in {NAMES} and {VALUES} together"
        )),
        problem => Invalid::new(format!(
            "is refused by AWS: {}. {}",
            problem.to_string().trim_end_matches(';'),
            fix(problem)
        )),
    };
    (at, invalid)
}

/// The error for a value that is not DynamoDB JSON.
pub(super) fn not_a_value() -> Invalid {
    Invalid::new(
        "must be a value in DynamoDB JSON, such as {\"S\": \"open\"} or {\"N\": \"42\"} (numbers and binary data are strings)",
    )
}

fn fix(problem: &Problem) -> String {
    use Problem as P;
    match problem {
        P::Syntax { token, .. } => syntax_fix(token),
        P::TooDeep | P::RedundantParentheses => "Remove the parentheses that are not needed".to_owned(),
        P::TooManyInValues(_) => format!("IN takes at most {MAX_IN_VALUES} values; connect several IN conditions with OR"),
        P::ListIndex(_) => "Use the index of an existing element".to_owned(),
        P::PathTooDeep => format!("Attributes nest at most {MAX_NESTING} levels deep"),
        P::Reserved(name) => format!("Write #{name} instead and add \"#{name}\": \"{name}\" to {NAMES}"),
        P::NameUndefined(name) => format!("Add \"{name}\" to {NAMES}"),
        P::ValueUndefined(name) => format!("Add \"{name}\" to {VALUES}"),
        P::UnknownFunction(_) | P::UpdateFunction(_) => {
            "Functions are attribute_exists, attribute_not_exists, attribute_type, begins_with, contains and size, in lower case".to_owned()
        }
        P::MisusedFunction(name) if name == "size" => "Compare size(…) with a value or an attribute".to_owned(),
        P::MisusedFunction(name) => format!("Use {name}(…) as a separate condition"),
        P::OperandCount { .. } => {
            "attribute_exists, attribute_not_exists and size take one operand; attribute_type, begins_with and contains take two".to_owned()
        }
        P::OperandType { operator, .. } => operand_fix(operator),
        P::PathNeeded(_) => "Use an attribute instead of a value".to_owned(),
        P::UnknownType(_) => "Use one of these types".to_owned(),
        P::SamePath { .. } => "Compare it with a value or another attribute".to_owned(),
        P::BoundTypes { .. } => "Use two bounds of the same type".to_owned(),
        P::BoundOrder { .. } => "Swap the bounds".to_owned(),
        P::PathsOverlap(..) | P::PathsConflict(..) => "Remove one of them".to_owned(),
        P::KeyInFilter(name) => {
            format!("With a {KEY_CONDITION}, {FILTER} may not name key attributes: move {name} into {KEY_CONDITION}, or leave {KEY_CONDITION} out")
        }
        P::KeyType => "Use a value of the key attribute's type".to_owned(),
        P::NameUnused(_) | P::ValueUnused(_) => "Remove it, or use it in an expression".to_owned(),
        // Problems of key conditions. The rest never reaches this function; they are listed so that
        // a new variant does not compile without a text.
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
        | P::NoExpression
        | P::Empty
        | P::TooLong(_)
        | P::TooManyOperators(_)
        | P::PlaceholderForm(_)
        | P::NotAValue(_)
        | P::SubstitutionsTooLong(_) => format!(
            "A key condition compares the partition key with a value by =, and optionally the sort key by =, <, <=, >, >=, BETWEEN or begins_with, joined by AND; other conditions belong in {FILTER}"
        ),
    }
}

fn syntax_fix(token: &str) -> String {
    match token.chars().next() {
        Some('"' | '\'' | '0'..='9') => format!("Write a value as a placeholder such as :v and add \":v\" to {VALUES}"),
        Some('-') => format!("Write a name with such characters as a placeholder such as #n and add \"#n\" to {NAMES}"),
        Some(c) if !c.is_ascii() => format!("Write a name with such characters as a placeholder such as #n and add \"#n\" to {NAMES}"),
        _ => "Correct the expression there. Comparators are = <> < <= > >=, BETWEEN and IN; AND, OR and NOT combine conditions".to_owned(),
    }
}

fn operand_fix(operator: &str) -> String {
    match operator {
        "attribute_type" => {
            format!("Write the type as a string in {VALUES}, such as {{\"S\": \"N\"}}")
        }
        "begins_with" => "begins_with accepts strings and binary data".to_owned(),
        "size" => "size accepts strings, binary data, sets, lists and maps".to_owned(),
        other => format!("{other} accepts strings, numbers and binary data"),
    }
}
