//! Mutates JSON as JSON, because mutated bytes are mostly not JSON at all.

use fastrand::Rng;
use serde_json::{Map, Value, json};

/// The same document with one change.
pub fn vary(rng: &mut Rng, document: &mut Value, words: &[&str], other: &Value) {
    let places = count(document);
    let mut place = rng.usize(..places);
    change(rng, document, &mut place, words, other);
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(all) => all.iter().map(count).sum(),
        Value::Object(all) => all.values().map(count).sum(),
        _ => 0,
    }
}

/// Walks to a position and changes it; `place` counts down on the way.
fn change(
    rng: &mut Rng,
    value: &mut Value,
    place: &mut usize,
    words: &[&str],
    other: &Value,
) -> bool {
    if *place == 0 {
        *value = changed(rng, value, words, other);
        return true;
    }
    *place -= 1;
    match value {
        Value::Array(all) => all
            .iter_mut()
            .any(|one| change(rng, one, place, words, other)),
        Value::Object(all) => all
            .values_mut()
            .any(|one| change(rng, one, place, words, other)),
        _ => false,
    }
}

fn changed(rng: &mut Rng, value: &Value, words: &[&str], other: &Value) -> Value {
    let word = rng.choice(words).copied().unwrap_or_default().to_owned();
    match (value, rng.u8(..8)) {
        (Value::Object(members), 0..=2) => {
            let mut members = members.clone();
            members.insert(word, simple(rng, words));
            Value::Object(members)
        }
        (Value::Object(members), 3..=4) if !members.is_empty() => {
            let gone = rng.usize(..members.len());
            Value::Object(
                members
                    .iter()
                    .enumerate()
                    .filter(|(place, _)| *place != gone)
                    .map(|(_, (n, v))| (n.clone(), v.clone()))
                    .collect(),
            )
        }
        // A member under another name.
        (Value::Object(members), 5) if !members.is_empty() => {
            let moved = rng.usize(..members.len());
            let renamed = members.iter().enumerate().map(|(place, (n, v))| {
                (
                    if place == moved {
                        word.clone()
                    } else {
                        n.clone()
                    },
                    v.clone(),
                )
            });
            Value::Object(renamed.collect::<Map<_, _>>())
        }
        (Value::Array(all), 0..=3) => {
            let mut all = all.clone();
            all.push(simple(rng, words));
            Value::Array(all)
        }
        (Value::String(text), 0..=4) => Value::String(varied_text(rng, text, &word)),
        (_, 6) => other.clone(),
        (old, 7) => match rng.u8(..3) {
            0 => json!([old]),
            1 => json!({word: old}),
            _ => json!([old, old]),
        },
        _ => simple(rng, words),
    }
}

fn simple(rng: &mut Rng, words: &[&str]) -> Value {
    match rng.u8(..12) {
        0 => Value::Null,
        1 => Value::Bool(rng.bool()),
        2 => json!(rng.i64(..)),
        3 => json!(rng.i64(-2..400)),
        4 => json!(rng.f64() * 1e6),
        5 => json!({}),
        6 => json!([]),
        7 => json!(""),
        8 => json!("x".repeat(1 << rng.u8(..13))),
        _ => json!(rng.choice(words).copied().unwrap_or_default()),
    }
}

fn varied_text(rng: &mut Rng, text: &str, word: &str) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    let at = rng.usize(..=letters.len());
    match rng.u8(..5) {
        0 => letters.truncate(at),
        1 if at < letters.len() => drop(letters.remove(at)),
        2 => letters.insert(at, rng.char(..)),
        3 => drop(letters.splice(at..at, word.chars())),
        _ => letters.insert(at, char::from(rng.u8(b' '..127))),
    }
    letters.into_iter().collect()
}
