//! Parses expressions; conditions by operator precedence.
//!
//! The grammar is the developer guide's ("Syntax for filter and condition expressions") with
//! DynamoDB's extensions: every operand may be a path, a value or a function, in at most one pair
//! of parentheses (dynalite's grammar, which is tested against DynamoDB).

use crate::ast::{Call, Comparator, Condition, Name, Operand, Path, Step};
use crate::problem::Problem;
use crate::token::{Token, TokenKind, Tokens};
use crate::{MAX_EXPRESSION_BYTES, MAX_NESTING, MAX_OPERATORS};

/// Maximum nesting of parentheses and functions in one operand. Parentheses directly within
/// parentheses are redundant, every other pair needs a path step, and only a function's single
/// operand may be another function, so deeper nesting is always invalid.
const MAX_OPERAND_DEPTH: usize = MAX_NESTING + 8;

const KEYWORDS: [&str; 5] = ["AND", "OR", "NOT", "BETWEEN", "IN"];

/// Parses a filter expression or a key condition expression.
///
/// Checks the syntax and the limits that do not depend on its placeholders.
pub fn parse_condition(expression: &str) -> Result<Condition, Problem> {
    check_length(expression)?;
    let mut parser = Parser {
        tokens: Tokens::new(expression),
        operators: 0,
        operand_depth: 0,
        redundant_brackets: false,
    };
    let condition = parser.whole()?;
    if depth(&condition) > MAX_CONDITION_DEPTH {
        return Err(Problem::TooDeep);
    }
    if parser.redundant_brackets {
        Err(Problem::RedundantParentheses)
    } else {
        Ok(condition)
    }
}

/// Parses a projection expression: paths separated by commas.
///
/// Checks the syntax and the limits that do not depend on its placeholders.
pub fn parse_projection(expression: &str) -> Result<Vec<Path>, Problem> {
    check_length(expression)?;
    let mut tokens = Tokens::new(expression);
    let mut paths = Vec::new();
    loop {
        let head = name(&mut tokens, false)?;
        paths.push(path(
            &mut tokens,
            Path {
                head,
                steps: Vec::new(),
            },
            false,
        )?);
        if !tokens.take_mark(",") {
            break;
        }
    }
    if tokens.peek().kind == TokenKind::End {
        Ok(paths)
    } else {
        Err(tokens.unexpected())
    }
}

/// Maximum nesting of AND, OR and NOT. Later stages walk conditions recursively, on the caller's
/// stack. AWS accepted 149 levels (observed), and only a chain of NOTs exceeds that within
/// [`MAX_OPERATORS`].
const MAX_CONDITION_DEPTH: usize = 151;

/// The nesting of a condition, computed without recursion.
fn depth(condition: &Condition) -> usize {
    let (mut deepest, mut waiting) = (0, vec![(condition, 1)]);
    while let Some((condition, depth)) = waiting.pop() {
        deepest = deepest.max(depth);
        match condition {
            Condition::And(a, b) | Condition::Or(a, b) => {
                waiting.extend([(&**a, depth + 1), (&**b, depth + 1)])
            }
            Condition::Not(inner) => waiting.push((inner, depth + 1)),
            Condition::Compare { .. }
            | Condition::Between { .. }
            | Condition::In { .. }
            | Condition::Call(_) => {}
        }
    }
    deepest
}

fn check_length(expression: &str) -> Result<(), Problem> {
    if expression.trim().is_empty() {
        return Err(Problem::Empty);
    }
    if expression.len() > MAX_EXPRESSION_BYTES {
        return Err(Problem::TooLong(expression.len()));
    }
    Ok(())
}

/// A parsed term; the next token shows whether it is an operand or a condition.
enum Node {
    Operand(Operand),
    Condition(Condition),
}

/// A term, and whether it is only a pair of parentheses.
struct Term {
    node: Node,
    bracketed: bool,
}

/// An operator that waits for its right term; the lowest precedence comes first.
enum Pending {
    Bracket,
    Or(Condition),
    And(Condition),
    Not,
}

impl Pending {
    /// Lower precedence waits longer.
    fn tightness(&self) -> u8 {
        match self {
            Self::Bracket => 0,
            Self::Or(_) => 1,
            Self::And(_) => 2,
            Self::Not => 3,
        }
    }
}

struct Parser<'a> {
    tokens: Tokens<'a>,
    operators: usize,
    operand_depth: usize,
    redundant_brackets: bool,
}

impl Parser<'_> {
    /// Parses the whole expression with an explicit stack, because parentheses may nest as deep as
    /// the expression is long.
    fn whole(&mut self) -> Result<Condition, Problem> {
        let mut waiting = Vec::new();
        loop {
            let mut term = self.begin(&mut waiting)?;
            loop {
                let token = self.tokens.peek();
                let is = |keyword| self.tokens.is_keyword(keyword);
                if token.kind == TokenKind::Comparator || is("BETWEEN") || is("IN") {
                    term = Term {
                        node: Node::Condition(self.comparison(term.node)?),
                        bracketed: false,
                    };
                } else if is("AND") {
                    let left = self.settle(term, &mut waiting, 2)?;
                    self.operator()?;
                    waiting.push(Pending::And(self.condition(left.node)?));
                    break;
                } else if is("OR") {
                    let left = self.settle(term, &mut waiting, 1)?;
                    self.operator()?;
                    waiting.push(Pending::Or(self.condition(left.node)?));
                    break;
                } else {
                    term = self.settle(term, &mut waiting, 1)?;
                    if waiting.pop().is_none() {
                        let condition = self.condition(term.node)?;
                        return if token.kind == TokenKind::End {
                            Ok(condition)
                        } else {
                            Err(self.tokens.unexpected())
                        };
                    }
                    term = self.close(term)?;
                }
            }
            // The operator is consumed only now, so that a wrong operand is reported at the
            // operator.
            self.tokens.next();
        }
    }

    /// Parses up to the end of the next term without operators.
    fn begin(&mut self, waiting: &mut Vec<Pending>) -> Result<Term, Problem> {
        loop {
            if self.tokens.take_keyword("NOT") {
                self.operator()?;
                waiting.push(Pending::Not);
            } else if self.tokens.take_mark("(") {
                waiting.push(Pending::Bracket);
            } else {
                return Ok(Term {
                    node: Node::Operand(self.bare_operand()?),
                    bracketed: false,
                });
            }
        }
    }

    /// Joins a term with the waiting operators of at least this precedence.
    fn settle(
        &self,
        mut term: Term,
        waiting: &mut Vec<Pending>,
        at_least: u8,
    ) -> Result<Term, Problem> {
        while let Some(before) = waiting.pop_if(|before| before.tightness() >= at_least) {
            let right = Box::new(self.condition(term.node)?);
            let condition = match before {
                Pending::And(left) => Condition::And(Box::new(left), right),
                Pending::Or(left) => Condition::Or(Box::new(left), right),
                Pending::Not | Pending::Bracket => Condition::Not(right),
            };
            term = Term {
                node: Node::Condition(condition),
                bracketed: false,
            };
        }
        Ok(term)
    }

    /// The end of a pair of parentheses around a term.
    fn close(&mut self, inner: Term) -> Result<Term, Problem> {
        self.tokens.expect_mark(")")?;
        self.redundant_brackets |= inner.bracketed;
        match inner.node {
            // `(a.b).c` goes on.
            Node::Operand(Operand::Path(begun))
                if self.tokens.is_mark(".") || self.tokens.is_mark("[") =>
            {
                let path = path(&mut self.tokens, begun, true)?;
                Ok(Term {
                    node: Node::Operand(Operand::Path(path)),
                    bracketed: false,
                })
            }
            node => Ok(Term {
                node,
                bracketed: true,
            }),
        }
    }

    /// Counts an operator or a function. AWS stops at the first one above the maximum.
    fn operator(&mut self) -> Result<(), Problem> {
        self.operators += 1;
        if self.operators > MAX_OPERATORS {
            Err(Problem::TooManyOperators(self.operators))
        } else {
            Ok(())
        }
    }

    /// A comparator, BETWEEN or IN, which take only operands.
    fn comparison(&mut self, left: Node) -> Result<Condition, Problem> {
        let Node::Operand(left) = left else {
            return Err(self.tokens.unexpected());
        };
        self.operator()?;
        let operator = self.tokens.next();
        if let Some(comparator) = Comparator::of_symbol(operator.text) {
            return Ok(Condition::Compare {
                left,
                comparator,
                right: self.operand()?,
            });
        }
        if operator.text.eq_ignore_ascii_case("BETWEEN") {
            let lower = self.operand()?;
            if !self.tokens.take_keyword("AND") {
                return Err(self.tokens.unexpected());
            }
            return Ok(Condition::Between {
                operand: left,
                lower,
                upper: self.operand()?,
            });
        }
        Ok(Condition::In {
            operand: left,
            list: self.operands()?,
        })
    }

    /// Operands in parentheses, separated by commas.
    fn operands(&mut self) -> Result<Vec<Operand>, Problem> {
        self.tokens.expect_mark("(")?;
        let mut all = vec![self.operand()?];
        while self.tokens.take_mark(",") {
            all.push(self.operand()?);
        }
        self.tokens.expect_mark(")")?;
        Ok(all)
    }

    /// An operand in a place where conditions are not valid.
    fn operand(&mut self) -> Result<Operand, Problem> {
        match self.operand_term()?.node {
            Node::Operand(operand) => Ok(operand),
            Node::Condition(_) => Err(self.tokens.unexpected()),
        }
    }

    fn operand_term(&mut self) -> Result<Term, Problem> {
        self.operand_depth += 1;
        if self.operand_depth > MAX_OPERAND_DEPTH {
            return Err(Problem::TooDeep);
        }
        let term = if self.tokens.take_mark("(") {
            let inner = self.operand_term()?;
            self.close(inner)?
        } else {
            Term {
                node: Node::Operand(self.bare_operand()?),
                bracketed: false,
            }
        };
        self.operand_depth -= 1;
        Ok(term)
    }

    /// A function is also a condition; whether this function may be one is checked later.
    fn condition(&self, node: Node) -> Result<Condition, Problem> {
        match node {
            Node::Condition(condition) => Ok(condition),
            Node::Operand(Operand::Call(call)) => Ok(Condition::Call(call)),
            Node::Operand(_) => Err(self.tokens.unexpected()),
        }
    }

    /// A function, a path or a value.
    fn bare_operand(&mut self) -> Result<Operand, Problem> {
        let token = self.tokens.peek();
        match token.kind {
            TokenKind::Word if is_function(token, self.tokens.ahead(1)) => {
                self.operator()?;
                self.tokens.next();
                Ok(Operand::Call(Call {
                    function: token.text.to_owned(),
                    arguments: self.operands()?,
                }))
            }
            TokenKind::Word | TokenKind::NamePlaceholder => {
                let head = name(&mut self.tokens, true)?;
                Ok(Operand::Path(path(
                    &mut self.tokens,
                    Path {
                        head,
                        steps: Vec::new(),
                    },
                    true,
                )?))
            }
            TokenKind::ValuePlaceholder => {
                self.tokens.next();
                Ok(Operand::Value(token.text.to_owned()))
            }
            _ => Err(self.tokens.unexpected()),
        }
    }
}

fn is_function(token: Token<'_>, next: Token<'_>) -> bool {
    !is_keyword(token) && next.kind == TokenKind::Mark && next.text == "("
}

fn is_keyword(token: Token<'_>) -> bool {
    KEYWORDS
        .iter()
        .any(|keyword| token.text.eq_ignore_ascii_case(keyword))
}

/// A name. Condition operators are not names; in projections they are only reserved.
fn name(tokens: &mut Tokens<'_>, in_condition: bool) -> Result<Name, Problem> {
    let token = tokens.peek();
    let name = match token.kind {
        TokenKind::Word if !(in_condition && is_keyword(token)) => {
            Name::Plain(token.text.to_owned())
        }
        TokenKind::NamePlaceholder => Name::Placeholder(token.text.to_owned()),
        _ => return Err(tokens.unexpected()),
    };
    tokens.next();
    Ok(name)
}

/// The rest of a path.
fn path(tokens: &mut Tokens<'_>, mut begun: Path, in_condition: bool) -> Result<Path, Problem> {
    loop {
        let step = if tokens.take_mark(".") {
            Step::Member(name(tokens, in_condition)?)
        } else if tokens.take_mark("[") {
            let token = tokens.peek();
            if token.kind != TokenKind::Digits {
                return Err(tokens.unexpected());
            }
            // AWS's range is not documented; lists never have this many elements.
            let index = token
                .text
                .parse()
                .ok()
                .filter(|index| i32::try_from(*index).is_ok());
            let index = index.ok_or_else(|| Problem::ListIndex(token.text.to_owned()))?;
            tokens.next();
            tokens.expect_mark("]")?;
            Step::Element(index)
        } else {
            return Ok(begun);
        };
        if begun.steps.len() == MAX_NESTING {
            return Err(Problem::PathTooDeep);
        }
        begun.steps.push(step);
    }
}
