//! Replaces placeholders by names and values, and checks the operands of operators and functions.
//!
//! The rules and their order are those of dynalite's grammar and tests. As at AWS, an operand's
//! type is checked only if it is known without an item (a value, or `size`); an attribute of the
//! wrong type makes a condition false.

use std::collections::{BTreeMap, BTreeSet};

use crate::ast::{Call, Comparator, Condition, Name, Operand, Path, Step};
use crate::problem::Problem;
use crate::reserved::is_reserved;
use crate::resolved::{Part, ResolvedPath, Term, Test};
use crate::value::{Kind, Value};
use crate::{MAX_IN_VALUES, MAX_NESTING};

/// Condition functions and their number of operands.
const FUNCTIONS: [(&str, usize); 6] = [
    ("attribute_exists", 1),
    ("attribute_not_exists", 1),
    ("attribute_type", 2),
    ("begins_with", 2),
    ("contains", 2),
    ("size", 1),
];

/// Functions of update expressions.
const UPDATE_FUNCTIONS: [&str; 2] = ["if_not_exists", "list_append"];

/// The values of placeholders. An invalid value is known to exist, but has no content.
pub(crate) struct Placeholders<'a> {
    pub(crate) names: &'a BTreeMap<&'a str, &'a str>,
    pub(crate) values: &'a BTreeMap<&'a str, Option<Value>>,
}

/// Resolves one expression and collects all problems.
pub(crate) struct Resolver<'a> {
    placeholders: &'a Placeholders<'a>,
    problems: Vec<Problem>,
    /// The placeholders that the expression uses.
    pub(crate) used: BTreeSet<String>,
    /// The attributes of the item that it names.
    pub(crate) heads: BTreeSet<String>,
}

impl<'a> Resolver<'a> {
    pub(crate) fn new(placeholders: &'a Placeholders<'a>) -> Self {
        Self {
            placeholders,
            problems: Vec::new(),
            used: BTreeSet::new(),
            heads: BTreeSet::new(),
        }
    }

    /// The problems, each once, in AWS's order.
    pub(crate) fn problems(&mut self) -> Vec<Problem> {
        let mut all = std::mem::take(&mut self.problems);
        all.sort_by_key(rank);
        let mut once = Vec::<Problem>::new();
        for problem in all {
            if !once.contains(&problem) {
                once.push(problem);
            }
        }
        once
    }

    /// `None` if there are problems.
    pub(crate) fn test(&mut self, condition: &Condition) -> Option<Test> {
        match condition {
            Condition::Compare {
                left,
                comparator,
                right,
            } => {
                let terms = (self.term(left), self.term(right));
                let (left, right) = (terms.0?, terms.1?);
                self.distinct(comparator.symbol(), &left, &right);
                if !matches!(comparator, Comparator::Equal | Comparator::NotEqual) {
                    self.ordered(comparator.symbol(), [&left, &right]);
                }
                Some(Test::Compare(left, *comparator, right))
            }
            Condition::Between {
                operand,
                lower,
                upper,
            } => {
                let terms = (self.term(operand), self.term(lower), self.term(upper));
                let (term, lower, upper) = (terms.0?, terms.1?, terms.2?);
                self.ordered("BETWEEN", [&term, &lower, &upper]);
                self.bounds(&lower, &upper);
                Some(Test::Between { term, lower, upper })
            }
            Condition::In { operand, list } => {
                if list.len() > MAX_IN_VALUES {
                    self.problems.push(Problem::TooManyInValues(list.len()));
                }
                let (term, list) = (self.term(operand), self.terms(list));
                Some(Test::In(term?, list?))
            }
            Condition::Call(call) => self.function(call),
            Condition::And(left, right) => {
                let (left, right) = (self.test(left), self.test(right));
                Some(Test::And(Box::new(left?), Box::new(right?)))
            }
            Condition::Or(left, right) => {
                let (left, right) = (self.test(left), self.test(right));
                Some(Test::Or(Box::new(left?), Box::new(right?)))
            }
            Condition::Not(inner) => Some(Test::Not(Box::new(self.test(inner)?))),
        }
    }

    fn terms(&mut self, operands: &[Operand]) -> Option<Vec<Term>> {
        // Checks all of them, also after a problem.
        let all: Vec<Option<Term>> = operands.iter().map(|operand| self.term(operand)).collect();
        all.into_iter().collect()
    }

    fn term(&mut self, operand: &Operand) -> Option<Term> {
        match operand {
            Operand::Path(path) => self.path(path).map(Term::Path),
            Operand::Value(placeholder) => self.value(placeholder).map(Term::Value),
            Operand::Call(call) => self.size(call),
        }
    }

    fn value(&mut self, placeholder: &str) -> Option<Value> {
        self.used.insert(placeholder.to_owned());
        let given = self.placeholders.values.get(placeholder);
        if given.is_none() {
            self.problems
                .push(Problem::ValueUndefined(placeholder.to_owned()));
        }
        given?.clone()
    }

    /// A path, whose names must be defined and not reserved.
    pub(crate) fn path(&mut self, path: &Path) -> Option<ResolvedPath> {
        let head = self.name(&path.head);
        let inner: Vec<Option<Part>> = path
            .steps
            .iter()
            .map(|step| match step {
                Step::Member(name) => self.name(name).map(Part::Member),
                Step::Element(index) => Some(Part::Element(*index)),
            })
            .collect();
        let head = head?;
        self.heads.insert(head.clone());
        debug_assert!(inner.len() <= MAX_NESTING, "the parser keeps paths short");
        Some(ResolvedPath {
            head,
            inner: inner.into_iter().collect::<Option<_>>()?,
        })
    }

    fn name(&mut self, name: &Name) -> Option<String> {
        match name {
            Name::Plain(name) => {
                if is_reserved(name) {
                    self.problems.push(Problem::Reserved(name.clone()));
                }
                Some(name.clone())
            }
            Name::Placeholder(placeholder) => {
                self.used.insert(placeholder.clone());
                let given = self.placeholders.names.get(placeholder.as_str());
                if given.is_none() {
                    self.problems
                        .push(Problem::NameUndefined(placeholder.clone()));
                }
                given.map(|name| (*name).to_owned())
            }
        }
    }

    /// A function as an operand: only `size` returns a value.
    fn size(&mut self, call: &Call) -> Option<Term> {
        let known = self.known(call);
        if known && call.function != "size" {
            self.problems
                .push(Problem::MisusedFunction(call.function.clone()));
        }
        let mut terms = self.arguments(call, known)?.into_iter();
        let term = terms.next().filter(|_| call.function == "size")?;
        if let Some(kind @ (Kind::N | Kind::Bool | Kind::Null)) = term.kind() {
            self.problems.push(Problem::OperandType {
                operator: "size".to_owned(),
                kind: Some(kind),
            });
        }
        Some(Term::Size(Box::new(term)))
    }

    /// A function as a condition: all except `size`.
    fn function(&mut self, call: &Call) -> Option<Test> {
        let known = self.known(call);
        let name = call.function.as_str();
        if name == "size" {
            self.problems
                .push(Problem::MisusedFunction(name.to_owned()));
        }
        let mut terms = self.arguments(call, known)?.into_iter();
        let first = terms.next()?;
        let second = terms.next();
        if let Some(second) = &second {
            self.distinct(name, &first, second);
        }
        match (name, second) {
            ("attribute_exists", _) => Some(Test::Exists(self.only_path(name, first)?)),
            ("attribute_not_exists", _) => Some(Test::NotExists(self.only_path(name, first)?)),
            ("attribute_type", Some(second)) => {
                Some(Test::HasKind(first, self.kind_named(&second)?))
            }
            ("begins_with", Some(second)) => {
                let wrong = [&first, &second]
                    .into_iter()
                    .filter_map(Term::kind)
                    .find(|kind| !matches!(kind, Kind::S | Kind::B));
                if let Some(kind) = wrong {
                    self.problems.push(Problem::OperandType {
                        operator: name.to_owned(),
                        kind: Some(kind),
                    });
                }
                Some(Test::BeginsWith(first, second))
            }
            ("contains", Some(second)) => Some(Test::Contains(first, second)),
            _ => None,
        }
    }

    fn known(&mut self, call: &Call) -> bool {
        let name = &call.function;
        if FUNCTIONS.iter().any(|(known, _)| known == name) {
            return true;
        }
        let update = UPDATE_FUNCTIONS.contains(&name.as_str());
        self.problems.push(if update {
            Problem::UpdateFunction(name.clone())
        } else {
            Problem::UnknownFunction(name.clone())
        });
        false
    }

    fn arguments(&mut self, call: &Call, known: bool) -> Option<Vec<Term>> {
        let count = call.arguments.len();
        if known && !FUNCTIONS.contains(&(call.function.as_str(), count)) {
            self.problems.push(Problem::OperandCount {
                function: call.function.clone(),
                count,
            });
        }
        self.terms(&call.arguments)
    }

    fn only_path(&mut self, function: &str, term: Term) -> Option<ResolvedPath> {
        if let Term::Path(path) = term {
            return Some(path);
        }
        self.problems.push(Problem::PathNeeded(function.to_owned()));
        None
    }

    /// The type in the second operand of `attribute_type`; it must be a value.
    fn kind_named(&mut self, term: &Term) -> Option<Kind> {
        let Term::Value(Value::S(name)) = term else {
            self.problems.push(Problem::OperandType {
                operator: "attribute_type".to_owned(),
                kind: term.kind(),
            });
            return None;
        };
        let kind = Kind::from_tag(name);
        if kind.is_none() {
            self.problems.push(Problem::UnknownType(name.clone()));
        }
        kind
    }

    fn distinct(&mut self, operator: &str, left: &Term, right: &Term) {
        if let (Term::Path(left), Term::Path(right)) = (left, right)
            && left == right
        {
            self.problems.push(Problem::SamePath {
                operator: operator.to_owned(),
                path: left.to_string(),
            });
        }
    }

    fn ordered<const N: usize>(&mut self, operator: &str, terms: [&Term; N]) {
        if let Some(kind) = terms
            .into_iter()
            .filter_map(Term::kind)
            .find(|kind| !kind.is_ordered())
        {
            self.problems.push(Problem::OperandType {
                operator: operator.to_owned(),
                kind: Some(kind),
            });
        }
    }

    fn bounds(&mut self, lower: &Term, upper: &Term) {
        let (Term::Value(lower), Term::Value(upper)) = (lower, upper) else {
            return;
        };
        let shown = || (lower.to_string(), upper.to_string());
        let is_above = match (lower, upper) {
            (Value::S(lower), Value::S(upper)) => lower > upper,
            (Value::N(lower), Value::N(upper)) => lower > upper,
            (Value::B(lower), Value::B(upper)) => lower > upper,
            _ if lower.kind() != upper.kind() => {
                let (lower, upper) = shown();
                return self.problems.push(Problem::BoundTypes { lower, upper });
            }
            _ => false,
        };
        if is_above {
            let (lower, upper) = shown();
            self.problems.push(Problem::BoundOrder { lower, upper });
        }
    }
}

/// The expression that AWS checks first.
fn rank(problem: &Problem) -> u8 {
    match problem {
        Problem::UnknownFunction(_) | Problem::UpdateFunction(_) => 0,
        Problem::MisusedFunction(_) => 1,
        Problem::Reserved(_) => 2,
        Problem::NameUndefined(_) | Problem::ValueUndefined(_) => 3,
        Problem::OperandCount { .. } => 4,
        Problem::SamePath { .. } => 5,
        _ => 6,
    }
}
