//! Counts the operators and functions of a DynamoDB expression: AWS allows 300 in one.
//!
//! Counted: comparators (`= <> < <= > >=`), `AND OR NOT BETWEEN IN`, and functions (a word followed by a bracket).
//! Source: the developer guide's page on filtering a table export and its page of expression limits.

/// How many operators and functions the expression has.
#[must_use]
pub fn count_operators(expression: &str) -> usize {
    let mut count = 0;
    let mut chars = expression.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '<' | '>' | '=' => {
                while chars.next_if(|&next| matches!(next, '>' | '=')).is_some() {}
                count += 1;
            }
            c if starts_word(c) => {
                let mut word = String::from(c);
                while let Some(next) = chars.next_if(|&next| starts_word(next) || next.is_ascii_digit()) {
                    word.push(next);
                }
                while chars.next_if(|next| next.is_whitespace()).is_some() {}
                let keyword = matches!(word.to_ascii_uppercase().as_str(), "AND" | "OR" | "NOT" | "BETWEEN" | "IN");
                let function = chars.peek() == Some(&'(');
                count += usize::from(keyword || function);
            }
            _ => {}
        }
    }
    count
}

fn starts_word(c: char) -> bool {
    c.is_alphabetic() || matches!(c, '_' | '#' | ':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_operators_and_functions() {
        for (expression, count) in [
            ("", 0),
            ("#a = :v", 1),
            ("#a <> :v AND begins_with(#b, :p)", 3),
            ("Price between :low and :high", 2),
            ("NOT contains (Tags, :t) or size(Tags) >= :n", 5),
            ("a IN (:x, :y)", 1),
        ] {
            assert_eq!(count_operators(expression), count, "{expression}");
        }
    }
}
