//! The search: varies what is known, keeps what has a new outcome, and stops at the first input that breaks a rule.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::Value;

use crate::json;
use crate::targets::Target;

/// No input is longer.
const LONGEST: usize = 64 * 1024;

/// No more inputs are kept.
const MOST_KEPT: usize = 4096;

/// Searches for so long. What was tried, or what was found.
pub fn search(target: &Target, seed: u64, lasting: Duration, found: &Path) -> Result<String, String> {
    let mut rng = Rng::with_seed(seed);
    let mut kept: Vec<Vec<u8>> = (target.seeds)().into_iter().map(String::into_bytes).collect();
    let mut outcomes = HashSet::new();
    let (began, mut tried) = (Instant::now(), 0_u64);
    let mut accepted = 0_u64;
    // A panic is told below, with its input.
    std::panic::set_hook(Box::new(|_| {}));
    let result = loop {
        let input = match kept.get(usize::try_from(tried).unwrap_or(usize::MAX)) {
            // What it begins with first, as it is.
            Some(first) => first.clone(),
            None => vary(&mut rng, target, &kept),
        };
        tried += 1;
        match outcome(target, &input) {
            Err(words) => break Err((words, input)),
            Ok(words) => {
                accepted += u64::from(words.starts_with("ok"));
                if kept.len() < MOST_KEPT && outcomes.insert(kind_of(&words)) {
                    kept.push(input);
                }
            }
        }
        if began.elapsed() >= lasting {
            break Ok(());
        }
    };
    drop(std::panic::take_hook());
    match result {
        Ok(()) => Ok(format!("{tried} inputs, {accepted} of them accepted, {} kinds of outcome; every rule held", outcomes.len())),
        Err((words, input)) => Err(format!("BROKEN after {tried} inputs (seed {seed}): {words}\n{}", keep(target, &input, found))),
    }
}

/// Tries one input again.
pub fn replay(target: &Target, path: &Path) -> Result<String, String> {
    let input = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    outcome(target, &input)
}

fn outcome(target: &Target, input: &[u8]) -> Result<String, String> {
    catch_unwind(AssertUnwindSafe(|| (target.run)(input))).map_err(|panic| {
        let words = panic.downcast_ref::<String>().cloned();
        words.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_else(|| "a panic without words".to_owned())
    })
}

/// Outcomes that differ only by numbers, or late, are one kind.
fn kind_of(words: &str) -> String {
    words.chars().filter(|c| !c.is_ascii_digit()).take(300).collect()
}

fn keep(target: &Target, input: &[u8], found: &Path) -> String {
    let path = found.join(format!("{}-{}", target.name, input.len()));
    let written = std::fs::create_dir_all(found).and_then(|()| std::fs::write(&path, input));
    match written {
        Ok(()) => format!("      the input is kept: fuzz --only {} --replay {}", target.name, path.display()),
        Err(error) => format!("      the input cannot be kept ({error}): {:?}", String::from_utf8_lossy(input)),
    }
}

fn vary(rng: &mut Rng, target: &Target, kept: &[Vec<u8>]) -> Vec<u8> {
    let mut input = kept[rng.usize(..kept.len())].clone();
    let other = &kept[rng.usize(..kept.len())];
    for _ in 0..rng.u8(1..=4) {
        let document = if target.json && rng.u8(..10) > 0 { serde_json::from_slice::<Value>(&input).ok() } else { None };
        match document {
            Some(mut document) => {
                json::vary(rng, &mut document, target.words, &serde_json::from_slice(other).unwrap_or_default());
                input = document.to_string().into_bytes();
            }
            None => vary_bytes(rng, &mut input, target.words, other),
        }
    }
    input.truncate(LONGEST);
    input
}

fn vary_bytes(rng: &mut Rng, input: &mut Vec<u8>, words: &[&str], other: &[u8]) {
    let at = rng.usize(..=input.len());
    let end = rng.usize(at..=input.len());
    match rng.u8(..10) {
        0 if at < input.len() => input[at] ^= 1 << rng.u8(..8),
        1 if at < input.len() => input[at] = rng.u8(..),
        2 => input.insert(at, rng.u8(..)),
        3 => drop(input.drain(at..end)),
        4 => drop(input.splice(at..at, input[at..end].to_vec())),
        5 => input.truncate(at),
        6 => drop(input.splice(at..end, other[rng.usize(..=other.len())..].to_vec())),
        7 => drop(input.splice(at..at, rng.u64(..).to_string().into_bytes())),
        _ => drop(input.splice(at..if rng.bool() { at } else { end }, rng.choice(words).copied().unwrap_or_default().bytes())),
    }
}
