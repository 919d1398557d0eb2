//! The tokens of an expression.

use crate::problem::Problem;

/// The kind of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// A name of letters, digits and `_`: an attribute, a function or a keyword.
    Word,
    /// A placeholder that begins with `#`.
    NamePlaceholder,
    /// A placeholder that begins with `:`.
    ValuePlaceholder,
    /// Digits: an index in brackets.
    Digits,
    /// `=`, `<>`, `<`, `<=`, `>` or `>=`.
    Comparator,
    /// One of `( ) [ ] . ,`.
    Mark,
    /// A character that is not valid in expressions.
    Other,
    /// The end of the expression.
    End,
}

/// A token and its position.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token<'a> {
    pub(crate) kind: TokenKind,
    pub(crate) text: &'a str,
    start: usize,
}

/// The tokens of an expression with lookahead.
pub(crate) struct Tokens<'a> {
    expression: &'a str,
    all: Vec<Token<'a>>,
    at: usize,
}

impl<'a> Tokens<'a> {
    pub(crate) fn new(expression: &'a str) -> Self {
        let mut all = Vec::new();
        let mut rest = expression;
        loop {
            rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace());
            let start = expression.len() - rest.len();
            let Some(first) = rest.chars().next() else {
                all.push(Token {
                    kind: TokenKind::End,
                    text: "<EOF>",
                    start,
                });
                return Self {
                    expression,
                    all,
                    at: 0,
                };
            };
            let (kind, length) = measure(first, rest);
            let (text, after) = rest.split_at(length);
            all.push(Token { kind, text, start });
            rest = after;
        }
    }

    pub(crate) fn peek(&self) -> Token<'a> {
        self.ahead(0)
    }

    /// The token `count` positions after the next one; the end if there are no more.
    pub(crate) fn ahead(&self, count: usize) -> Token<'a> {
        let last = self.all.len() - 1;
        self.all[(self.at + count).min(last)]
    }

    pub(crate) fn next(&mut self) -> Token<'a> {
        let token = self.peek();
        self.at = (self.at + 1).min(self.all.len() - 1);
        token
    }

    /// Consumes the next token if it is this mark.
    pub(crate) fn take_mark(&mut self, mark: &str) -> bool {
        let is = self.is_mark(mark);
        if is {
            self.next();
        }
        is
    }

    pub(crate) fn is_mark(&self, mark: &str) -> bool {
        let token = self.peek();
        token.kind == TokenKind::Mark && token.text == mark
    }

    /// Consumes the next token, which must be this mark.
    pub(crate) fn expect_mark(&mut self, mark: &str) -> Result<(), Problem> {
        if self.take_mark(mark) {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    /// Whether the next token is this keyword. Keywords are not case-sensitive.
    pub(crate) fn is_keyword(&self, keyword: &str) -> bool {
        let token = self.peek();
        token.kind == TokenKind::Word && token.text.eq_ignore_ascii_case(keyword)
    }

    /// Consumes the next token if it is this keyword.
    pub(crate) fn take_keyword(&mut self, keyword: &str) -> bool {
        let is = self.is_keyword(keyword);
        if is {
            self.next();
        }
        is
    }

    /// A syntax error at the next token, with its neighbours as in AWS's message.
    pub(crate) fn unexpected(&self) -> Problem {
        let token = self.peek();
        let first = self.all[self.at.saturating_sub(1)].start;
        let last = self.ahead(1);
        let end = if last.kind == TokenKind::End {
            self.expression.len()
        } else {
            last.start + last.text.len()
        };
        let near = self.expression[first..end].trim_end().to_owned();
        Problem::Syntax {
            token: token.text.to_owned(),
            near,
        }
    }
}

/// The token at the start of the text, and its length in bytes.
fn measure(first: char, rest: &str) -> (TokenKind, usize) {
    let word = |from: usize| {
        rest[from..]
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .map_or(rest.len(), |at| from + at)
    };
    match first {
        'a'..='z' | 'A'..='Z' | '_' => (TokenKind::Word, word(0)),
        '#' => (TokenKind::NamePlaceholder, word(1)),
        ':' => (TokenKind::ValuePlaceholder, word(1)),
        '0'..='9' => (
            TokenKind::Digits,
            rest.find(|c: char| !c.is_ascii_digit())
                .unwrap_or(rest.len()),
        ),
        '<' if rest.starts_with("<>") || rest.starts_with("<=") => (TokenKind::Comparator, 2),
        '>' if rest.starts_with(">=") => (TokenKind::Comparator, 2),
        '=' | '<' | '>' => (TokenKind::Comparator, 1),
        '(' | ')' | '[' | ']' | '.' | ',' => (TokenKind::Mark, 1),
        other => (TokenKind::Other, other.len_utf8()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_marks_and_comparators() {
        let mut tokens = Tokens::new("#pk<=:v AND\n begins_with(a.b[10],:p)é");
        let mut all = Vec::new();
        while tokens.peek().kind != TokenKind::End {
            all.push(tokens.next().text);
        }
        let expected = [
            "#pk",
            "<=",
            ":v",
            "AND",
            "begins_with",
            "(",
            "a",
            ".",
            "b",
            "[",
            "10",
            "]",
            ",",
            ":p",
            ")",
            "é",
        ];
        assert_eq!(all, expected);
        assert_eq!(tokens.next().kind, TokenKind::End);
        assert_eq!(tokens.next().kind, TokenKind::End, "the end stays");
    }

    #[test]
    fn errors_show_the_neighbours() {
        let mut tokens = Tokens::new("a  =  = b");
        tokens.next();
        tokens.next();
        assert_eq!(
            tokens.unexpected().to_string(),
            r#"Syntax error; token: "=", near: "=  = b""#
        );
        tokens.next();
        tokens.next();
        assert_eq!(
            tokens.unexpected().to_string(),
            r#"Syntax error; token: "<EOF>", near: "b""#
        );
    }
}
