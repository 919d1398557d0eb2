//! Reads expressions: conditions by the precedence of their operators.
//!
//! The grammar is the developer guide's ("Syntax for filter and condition expressions"), with what
//! DynamoDB accepts beyond it: every operand may be a path, a value or a function, and stand in one
//! pair of brackets (dynalite's grammar, which is tested against it).

use crate::ast::{Call, Comparator, Condition, Name, Operand, Path, Step};
use crate::problem::Problem;
use crate::token::{Token, TokenKind, Tokens};
use crate::{MAX_EXPRESSION_BYTES, MAX_NESTING, MAX_OPERATORS};

/// How deep brackets and functions may nest within one operand. Brackets directly within brackets
/// are redundant, every other pair needs a step of a path, and no function takes the value of
/// another but as its only operand, so what is deeper breaks a rule for certain.
const MAX_OPERAND_DEPTH: usize = MAX_NESTING + 8;

const KEYWORDS: [&str; 5] = ["AND", "OR", "NOT", "BETWEEN", "IN"];

/// Reads a filter expression or a key condition expression.
///
/// # Errors
/// It breaks the syntax or a limit that can be told without its placeholders.
pub fn parse_condition(expression: &str) -> Result<Condition, Problem> {
    check_length(expression)?;
    let mut parser = Parser {
        tokens: Tokens::of(expression),
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

/// Reads a projection expression: paths with commas between them.
///
/// # Errors
/// It breaks the syntax or a limit that can be told without its placeholders.
pub fn parse_projection(expression: &str) -> Result<Vec<Path>, Problem> {
    check_length(expression)?;
    let mut tokens = Tokens::of(expression);
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

/// How deep AND, OR and NOT may nest. What comes after the parser walks conditions recursively, on
/// the stack of its caller. AWS was seen to accept 149 levels, and only a chain of NOTs gets beyond
/// that within [`MAX_OPERATORS`].
const MAX_CONDITION_DEPTH: usize = 151;

/// How deep a condition nests, found without recursion.
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

/// What was read; what it must be shows only at the next token.
enum Node {
    Operand(Operand),
    Condition(Condition),
}

/// A term, and whether it is a pair of brackets and nothing else.
struct Term {
    node: Node,
    bracketed: bool,
}

/// What waits for the term after it. What binds least stands first.
enum Pending {
    Bracket,
    Or(Condition),
    And(Condition),
    Not,
}

impl Pending {
    /// What binds less tightly waits longer.
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
    /// Reads the whole expression with a stack of its own: brackets may nest as deep as an
    /// expression is long.
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
            // The operator is taken only now, so that a term that does not suit it is told at the
            // operator.
            self.tokens.next();
        }
    }

    /// Reads up to the end of the next term without operators.
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

    /// Joins a term with what waits for it and binds at least this tightly.
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

    /// The end of a pair of brackets around a term.
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

    /// Counts an operator or a function. AWS stops at the first one too many.
    fn operator(&mut self) -> Result<(), Problem> {
        self.operators += 1;
        if self.operators > MAX_OPERATORS {
            Err(Problem::TooManyOperators(self.operators))
        } else {
            Ok(())
        }
    }

    /// A comparator, BETWEEN or IN: operands only.
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

    /// Operands in brackets, with commas between them.
    fn operands(&mut self) -> Result<Vec<Operand>, Problem> {
        self.tokens.expect_mark("(")?;
        let mut all = vec![self.operand()?];
        while self.tokens.take_mark(",") {
            all.push(self.operand()?);
        }
        self.tokens.expect_mark(")")?;
        Ok(all)
    }

    /// An operand where only an operand may stand.
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

    /// A function by itself is a condition; whether this one may be is told later.
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

/// A name. The operators of conditions are none there; in projections they are only reserved.
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

/// The rest of a path that has begun.
fn path(tokens: &mut Tokens<'_>, mut begun: Path, in_condition: bool) -> Result<Path, Problem> {
    loop {
        let step = if tokens.take_mark(".") {
            Step::Member(name(tokens, in_condition)?)
        } else if tokens.take_mark("[") {
            let token = tokens.peek();
            if token.kind != TokenKind::Digits {
                return Err(tokens.unexpected());
            }
            // AWS's range is not documented; no list holds as many as this.
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
