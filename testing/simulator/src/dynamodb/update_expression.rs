//! Update expressions: SET, REMOVE, ADD and DELETE of whole attributes. Paths into maps and lists
//! are rejected.

use serde_json::{Value, json};

use super::error::ApiError;
use super::input::Input;
use crate::item::{Item, add_numbers, normalise};

pub(super) struct Update(Vec<(String, Action)>);

/// The change of one attribute.
enum Action {
    Set(Operand),
    Remove,
    Add(Value),
    Delete(Value),
}

enum Operand {
    Attribute(String),
    Value(Value),
    IfNotExists(String, Box<Operand>),
    ListAppend(Box<Operand>, Box<Operand>),
    Sum(Box<Operand>, Box<Operand>, bool),
}

impl Update {
    /// Reads the expression of a call. Without one, nothing changes.
    pub(super) fn of(input: Input<'_>) -> Result<Self, ApiError> {
        let Some(text) = input.text("UpdateExpression")? else {
            return Ok(Self(Vec::new()));
        };
        let mut parser = Parser {
            tokens: tokens(text),
            at: 0,
            input,
        };
        let mut actions: Vec<(String, Action)> = Vec::new();
        while let Some(clause) = parser.next() {
            loop {
                let name = parser.name()?;
                let action = match clause.to_ascii_uppercase().as_str() {
                    "SET" => {
                        parser.expect("=")?;
                        Action::Set(parser.sum()?)
                    }
                    "REMOVE" => Action::Remove,
                    "ADD" => Action::Add(parser.value()?),
                    "DELETE" => Action::Delete(parser.value()?),
                    _ => return Err(syntax(&clause)),
                };
                if actions.iter().any(|(other, _)| *other == name) {
                    return Err(invalid(&format!(
                        "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [{name}], path two: [{name}]"
                    )));
                }
                actions.push((name, action));
                if !parser.take(",") {
                    break;
                }
            }
        }
        if actions.is_empty() {
            Err(invalid("The expression can not be empty;"))
        } else {
            Ok(Self(actions))
        }
    }

    pub(super) fn touches(&self, name: &str) -> bool {
        self.0.iter().any(|(touched, _)| touched == name)
    }

    /// The updated item. All operands are read from the item before the update.
    pub(super) fn apply(&self, old: &Item) -> Result<Item, ApiError> {
        let mut new = old.clone();
        for (name, action) in &self.0 {
            let value = match action {
                Action::Set(operand) => Some(operand.of(old)?),
                Action::Remove => None,
                Action::Add(value) => Some(add(old.get(name), value)?),
                Action::Delete(value) => delete(old.get(name), value)?,
            };
            match value {
                Some(value) => new.insert(name.clone(), value),
                None => new.remove(name),
            };
        }
        normalise(&new).map_err(ApiError::validation)
    }
}

impl Operand {
    fn of(&self, item: &Item) -> Result<Value, ApiError> {
        match self {
            Self::Value(value) => Ok(value.clone()),
            Self::Attribute(name) => item
                .get(name)
                .cloned()
                .ok_or_else(|| ApiError::validation("The provided expression refers to an attribute that does not exist in the item")),
            Self::IfNotExists(name, other) => item.get(name).map_or_else(|| other.of(item), |value| Ok(value.clone())),
            Self::ListAppend(one, other) => match (&one.of(item)?["L"], &other.of(item)?["L"]) {
                (Value::Array(one), Value::Array(other)) => Ok(json!({"L": one.iter().chain(other).collect::<Vec<_>>()})),
                _ => Err(wrong_type()),
            },
            Self::Sum(one, other, minus) => match (one.of(item)?["N"].as_str(), other.of(item)?["N"].as_str()) {
                (Some(one), Some(other)) => Ok(json!({"N": add_numbers(one, other, *minus).map_err(ApiError::validation)?})),
                _ => Err(wrong_type()),
            },
        }
    }
}

/// ADD: to a number or a set.
fn add(old: Option<&Value>, value: &Value) -> Result<Value, ApiError> {
    let Some(old) = old else {
        return Ok(value.clone());
    };
    if let (Some(one), Some(other)) = (old["N"].as_str(), value["N"].as_str()) {
        return Ok(json!({"N": add_numbers(one, other, false).map_err(ApiError::validation)?}));
    }
    let (kind, one, other) = sets(old, value)?;
    let more = other.iter().filter(|element| !one.contains(element));
    Ok(json!({kind: one.iter().chain(more).collect::<Vec<_>>()}))
}

/// DELETE: from a set; the attribute is removed when the set becomes empty.
fn delete(old: Option<&Value>, value: &Value) -> Result<Option<Value>, ApiError> {
    let Some(old) = old else { return Ok(None) };
    let (kind, one, other) = sets(old, value)?;
    let left: Vec<&Value> = one
        .iter()
        .filter(|element| !other.contains(element))
        .collect();
    Ok((!left.is_empty()).then(|| json!({kind: left})))
}

type Sets<'a> = (&'static str, &'a Vec<Value>, &'a Vec<Value>);

fn sets<'a>(old: &'a Value, value: &'a Value) -> Result<Sets<'a>, ApiError> {
    let both = |kind: &'static str| Some((kind, old[kind].as_array()?, value[kind].as_array()?));
    ["SS", "NS", "BS"]
        .into_iter()
        .find_map(both)
        .ok_or_else(wrong_type)
}

struct Parser<'a> {
    tokens: Vec<String>,
    at: usize,
    input: Input<'a>,
}

impl Parser<'_> {
    fn next(&mut self) -> Option<String> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn take(&mut self, wanted: &str) -> bool {
        let is_next = self
            .tokens
            .get(self.at)
            .is_some_and(|token| token == wanted);
        self.at += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, wanted: &str) -> Result<(), ApiError> {
        if self.take(wanted) {
            Ok(())
        } else {
            Err(syntax(
                self.tokens.get(self.at).map_or("<EOF>", String::as_str),
            ))
        }
    }

    /// An attribute's name, with a placeholder resolved.
    fn name(&mut self) -> Result<String, ApiError> {
        let word = self.next().ok_or_else(|| syntax("<EOF>"))?;
        self.name_of(&word)
    }

    fn name_of(&self, word: &str) -> Result<String, ApiError> {
        if word.contains(['.', '[']) {
            return Err(invalid(
                "Paths into maps and lists are not part of this simulator",
            ));
        }
        if !word.starts_with('#') {
            return if word.starts_with(|first: char| first.is_alphanumeric() || first == '_') {
                Ok(word.to_owned())
            } else {
                Err(syntax(word))
            };
        }
        let names = self.input.structure("ExpressionAttributeNames")?;
        let name = names.and_then(|names| names.0.get(word)?.as_str());
        name.map(str::to_owned).ok_or_else(|| {
            invalid(&format!("An expression attribute name used in the document path is not defined; attribute name: {word}"))
        })
    }

    fn value(&mut self) -> Result<Value, ApiError> {
        let word = self.next().ok_or_else(|| syntax("<EOF>"))?;
        self.value_of(&word)
    }

    fn value_of(&self, word: &str) -> Result<Value, ApiError> {
        if !word.starts_with(':') {
            return Err(syntax(word));
        }
        let values = self.input.structure("ExpressionAttributeValues")?;
        let value = values
            .and_then(|values| values.0.get(word))
            .ok_or_else(|| invalid(&format!("An expression attribute value used in expression is not defined; attribute value: {word}")))?;
        let alone = Item::from_iter([("value".to_owned(), value.clone())]);
        Ok(normalise(&alone).map_err(ApiError::validation)?["value"].clone())
    }

    fn sum(&mut self) -> Result<Operand, ApiError> {
        let one = self.operand()?;
        if self.take("+") {
            return Ok(Operand::Sum(
                Box::new(one),
                Box::new(self.operand()?),
                false,
            ));
        }
        if self.take("-") {
            return Ok(Operand::Sum(Box::new(one), Box::new(self.operand()?), true));
        }
        Ok(one)
    }

    fn operand(&mut self) -> Result<Operand, ApiError> {
        let word = self.next().ok_or_else(|| syntax("<EOF>"))?;
        let operand = match word.as_str() {
            "if_not_exists" => {
                self.expect("(")?;
                let name = self.name()?;
                self.expect(",")?;
                Operand::IfNotExists(name, Box::new(self.operand()?))
            }
            "list_append" => {
                self.expect("(")?;
                let one = self.operand()?;
                self.expect(",")?;
                Operand::ListAppend(Box::new(one), Box::new(self.operand()?))
            }
            word if word.starts_with(':') => return Ok(Operand::Value(self.value_of(word)?)),
            word => return Ok(Operand::Attribute(self.name_of(word)?)),
        };
        self.expect(")")?;
        Ok(operand)
    }
}

/// Splits the text into words (with their dots and brackets) and single characters.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut in_word = false;
    for letter in text.chars() {
        let is_word = letter.is_alphanumeric() || "_#:.[]".contains(letter);
        match tokens.last_mut() {
            Some(word) if is_word && in_word => word.push(letter),
            _ if !letter.is_whitespace() => tokens.push(letter.to_string()),
            _ => {}
        }
        in_word = is_word;
    }
    tokens
}

fn invalid(text: &str) -> ApiError {
    ApiError::validation(format!("Invalid UpdateExpression: {text}"))
}

fn syntax(token: &str) -> ApiError {
    invalid(&format!("Syntax error; token: \"{token}\""))
}

fn wrong_type() -> ApiError {
    ApiError::validation("An operand in the update expression has an incorrect data type")
}
