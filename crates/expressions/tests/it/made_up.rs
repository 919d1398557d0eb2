//! Made-up conditions and items that follow from a seed, and a simple model of what a condition
//! means.

use dynamodb_expressions::{Call, Comparator, Condition, Name, Operand, Path, Step};
use fastrand::Rng;
use serde_json::{Map, Value, json};

const ATTRIBUTES: [&str; 4] = ["a", "b", "c", "n9_"];

/// Values by placeholder, of every kind that an order has.
pub fn values() -> Value {
    json!({":zero": {"N": "0"}, ":two": {"N": "2"}, ":x": {"S": "x"}, ":xy": {"S": "xy"}})
}

/// Names by placeholder.
pub const NAMES: [(&str, &str); 2] = [("#a", "a"), ("#m", "m")];

/// A condition; deeper ones are rarer.
pub fn condition(random: &mut Rng, depth: u32) -> Condition {
    let inner = |random: &mut Rng| Box::new(condition(random, depth.saturating_sub(1)));
    match random.u32(..if depth == 0 { 7 } else { 12 }) {
        0..=2 => Condition::Compare {
            left: operand(random),
            comparator: comparator(random),
            right: operand(random),
        },
        3 => Condition::Between {
            operand: operand(random),
            lower: operand(random),
            upper: operand(random),
        },
        4 => Condition::In {
            operand: operand(random),
            list: (0..=random.u32(..3)).map(|_| operand(random)).collect(),
        },
        5 => Condition::Call(Call {
            function: "attribute_exists".to_owned(),
            arguments: vec![Operand::Path(path(random))],
        }),
        6 => Condition::Call(Call {
            function: "begins_with".to_owned(),
            arguments: vec![Operand::Path(path(random)), text(random)],
        }),
        7 | 8 => Condition::And(inner(random), inner(random)),
        9 | 10 => Condition::Or(inner(random), inner(random)),
        _ => Condition::Not(inner(random)),
    }
}

fn comparator(random: &mut Rng) -> Comparator {
    use Comparator as C;
    [
        C::Equal,
        C::NotEqual,
        C::Less,
        C::LessOrEqual,
        C::Greater,
        C::GreaterOrEqual,
    ][random.usize(..6)]
}

fn operand(random: &mut Rng) -> Operand {
    match random.u32(..5) {
        0 | 1 => Operand::Path(path(random)),
        2 => Operand::Call(Call {
            function: "size".to_owned(),
            arguments: vec![Operand::Path(path(random))],
        }),
        _ => Operand::Value([":zero", ":two", ":x", ":xy"][random.usize(..4)].to_owned()),
    }
}

fn text(random: &mut Rng) -> Operand {
    Operand::Value([":x", ":xy"][random.usize(..2)].to_owned())
}

pub fn path(random: &mut Rng) -> Path {
    let name = |random: &mut Rng| match random.u32(..5) {
        0 => Name::Placeholder(NAMES[random.usize(..2)].0.to_owned()),
        _ => Name::Plain(ATTRIBUTES[random.usize(..4)].to_owned()),
    };
    let head = name(random);
    let steps = (0..random.u32(..3)).map(|_| {
        if random.bool() {
            Step::Member(name(random))
        } else {
            Step::Element(random.u32(..2))
        }
    });
    Path {
        head,
        steps: steps.collect(),
    }
}

/// An item over the same attributes.
pub fn item(random: &mut Rng) -> Map<String, Value> {
    let mut item = Map::new();
    for name in ATTRIBUTES.into_iter().chain(["m"]) {
        if random.u32(..4) > 0 {
            item.insert(name.to_owned(), value(random, 2));
        }
    }
    item
}

fn value(random: &mut Rng, depth: u32) -> Value {
    match random.u32(..if depth == 0 { 3 } else { 5 }) {
        0 | 1 => json!({"N": (random.i32(-3..4)).to_string()}),
        2 => json!({"S": (["", "x", "xy", "y"][random.usize(..4)])}),
        3 => {
            json!({"L": (0..random.u32(..3)).map(|_| value(random, depth - 1)).collect::<Vec<_>>()})
        }
        _ => json!({"M": {"a": value(random, depth - 1), "b": value(random, depth - 1)}}),
    }
}

/// What a condition means, written down as simply as can be: integers, texts, and JSON that is
/// equal or not.
pub fn holds(condition: &Condition, item: &Map<String, Value>) -> bool {
    match condition {
        Condition::Compare {
            left,
            comparator,
            right,
        } => compare(&of(left, item), *comparator, &of(right, item)),
        Condition::Between {
            operand,
            lower,
            upper,
        } => {
            let value = of(operand, item);
            compare(&value, Comparator::GreaterOrEqual, &of(lower, item))
                && compare(&value, Comparator::LessOrEqual, &of(upper, item))
        }
        Condition::In { operand, list } => list
            .iter()
            .any(|other| compare(&of(operand, item), Comparator::Equal, &of(other, item))),
        Condition::Call(call) if call.function == "attribute_exists" => {
            of(&call.arguments[0], item).is_some()
        }
        Condition::Call(call) => {
            let texts = [&call.arguments[0], &call.arguments[1]]
                .map(|operand| of(operand, item).and_then(|v| v["S"].as_str().map(str::to_owned)));
            matches!(texts, [Some(whole), Some(start)] if whole.get(..start.len()) == Some(start.as_str()))
        }
        Condition::And(left, right) => holds(left, item) & holds(right, item),
        Condition::Or(left, right) => holds(left, item) | holds(right, item),
        Condition::Not(inner) => !holds(inner, item),
    }
}

fn compare(left: &Option<Value>, comparator: Comparator, right: &Option<Value>) -> bool {
    let equal = left.is_some() && left == right;
    let number = |v: &Option<Value>| {
        v.as_ref()
            .and_then(|v| v["N"].as_str()?.parse::<i64>().ok())
    };
    let text = |v: &Option<Value>| v.as_ref().and_then(|v| Some(v["S"].as_str()?.to_owned()));
    let (numbers, texts) = ((number(left), number(right)), (text(left), text(right)));
    let less = match (numbers, texts) {
        ((Some(left), Some(right)), _) => Some(left < right),
        (_, (Some(left), Some(right))) => Some(left < right),
        _ => None,
    };
    match comparator {
        Comparator::Equal => equal,
        Comparator::NotEqual => !equal,
        Comparator::Less => less == Some(true),
        Comparator::LessOrEqual => less == Some(true) || less.is_some() && equal,
        Comparator::Greater => less == Some(false) && !equal,
        Comparator::GreaterOrEqual => less == Some(false),
    }
}

fn of(operand: &Operand, item: &Map<String, Value>) -> Option<Value> {
    match operand {
        Operand::Value(name) => Some(values()[name].clone()),
        Operand::Path(path) => at(path, item),
        Operand::Call(call) => {
            let value = of(&call.arguments[0], item)?;
            let size = value["S"]
                .as_str()
                .map(str::len)
                .or(value["L"].as_array().map(Vec::len))
                .or(value["M"].as_object().map(Map::len));
            Some(json!({"N": size?.to_string()}))
        }
    }
}

fn at(path: &Path, item: &Map<String, Value>) -> Option<Value> {
    let name = |name: &Name| match name {
        Name::Plain(name) => name.clone(),
        Name::Placeholder(placeholder) => NAMES
            .iter()
            .find(|(known, _)| known == placeholder)
            .unwrap()
            .1
            .to_owned(),
    };
    let mut value = item.get(&name(&path.head))?.clone();
    for step in &path.steps {
        value = match step {
            Step::Member(member) => value["M"].get(name(member))?.clone(),
            Step::Element(index) => value["L"].get(usize::try_from(*index).unwrap())?.clone(),
        };
    }
    Some(value)
}
