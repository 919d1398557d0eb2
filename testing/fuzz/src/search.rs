//! The search: mutates known inputs, keeps those with a new outcome, and stops at the first input
//! that breaks a rule.

use std::collections::{BTreeSet, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::Value;

use crate::json;
use crate::targets::Target;

/// Maximum input length. Longer inputs are rejected by rules outside the parsers.
const LONGEST: usize = 8 * 1024;

/// Maximum number of kept inputs.
const MAX_KEPT: usize = 2048;

/// The inputs to mutate.
struct Kept {
    /// Each of these had a distinct outcome.
    any: Vec<Vec<u8>>,
    /// The accepted ones. Most mutations of the others are rejected at the same place.
    accepted: Vec<Vec<u8>>,
    outcomes: HashSet<String>,
}

impl Kept {
    fn keep(&mut self, words: &str, input: Vec<u8>) {
        if self.any.len() < MAX_KEPT && self.outcomes.insert(kind_of(words)) {
            if words.starts_with("ok") {
                self.accepted.push(input.clone());
            }
            self.any.push(input);
        }
    }

    fn choose(&self, rng: &mut Rng) -> &[u8] {
        let list = if rng.u8(..3) > 0 && !self.accepted.is_empty() {
            &self.accepted
        } else {
            &self.any
        };
        rng.choice(list).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Searches for this long. Returns how many inputs were tried, or what was found.
pub fn search(
    target: &Target,
    seed: u64,
    lasting: Duration,
    found: &Path,
) -> Result<String, String> {
    let mut rng = Rng::with_seed(seed);
    let mut kept = Kept {
        any: Vec::new(),
        accepted: Vec::new(),
        outcomes: HashSet::new(),
    };
    let mut first = (target.seeds)().into_iter().map(String::into_bytes);
    let (began, mut tried, mut accepted) = (Instant::now(), 0_u64, 0_u64);
    // A panic is reported below, with its input.
    std::panic::set_hook(Box::new(|_| {}));
    let result = loop {
        let input = first
            .next()
            .unwrap_or_else(|| vary(&mut rng, target, &kept));
        tried += 1;
        match outcome(target, &input) {
            Err(words) => break Err((words, input)),
            Ok(words) => {
                accepted += u64::from(words.starts_with("ok"));
                kept.keep(&words, input);
            }
        }
        if began.elapsed() >= lasting {
            break Ok(());
        }
    };
    drop(std::panic::take_hook());
    match result {
        Ok(()) => Ok(format!(
            "{tried} inputs, {accepted} accepted, {} kinds of outcome; no rule broken",
            kept.outcomes.len()
        )),
        Err((words, input)) => Err(format!(
            "BROKEN after {tried} inputs (seed {seed}): {words}\n{}",
            keep(target, &input, found)
        )),
    }
}

pub fn replay(target: &Target, path: &Path) -> Result<String, String> {
    let input = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    outcome(target, &input)
}

fn outcome(target: &Target, input: &[u8]) -> Result<String, String> {
    catch_unwind(AssertUnwindSafe(|| (target.run)(input))).map_err(|panic| {
        let words = panic.downcast_ref::<String>().cloned();
        words
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_else(|| "a panic without a message".to_owned())
    })
}

/// Outcomes that differ only in numbers, pointers and quotations are of one kind, and so are two
/// errors in a different order.
fn kind_of(words: &str) -> String {
    let part = |part: &str| -> String {
        let words = part
            .split_whitespace()
            .filter(|word| !word.starts_with(['/', '"', '\'', '`']));
        words
            .flat_map(str::chars)
            .filter(|c| c.is_ascii_alphabetic())
            .collect()
    };
    words
        .split("; ")
        .map(part)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

fn keep(target: &Target, input: &[u8], found: &Path) -> String {
    let path = found.join(format!("{}-{}", target.name, input.len()));
    let written = std::fs::create_dir_all(found).and_then(|()| std::fs::write(&path, input));
    match written {
        Ok(()) => format!(
            "      the input was saved; repeat with: fuzz --only {} --replay {}",
            target.name,
            path.display()
        ),
        Err(error) => format!(
            "      the input cannot be saved ({error}): {:?}",
            String::from_utf8_lossy(input)
        ),
    }
}

fn vary(rng: &mut Rng, target: &Target, kept: &Kept) -> Vec<u8> {
    let mut input = kept.choose(rng).to_vec();
    let other = kept.choose(rng);
    for _ in 0..rng.u8(1..=4) {
        let document = if target.json && rng.u8(..10) > 0 {
            serde_json::from_slice::<Value>(&input).ok()
        } else {
            None
        };
        match document {
            Some(mut document) => {
                json::vary(
                    rng,
                    &mut document,
                    target.words,
                    &serde_json::from_slice(other).unwrap_or_default(),
                );
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
        _ => drop(input.splice(
            at..if rng.bool() { at } else { end },
            rng.choice(words).copied().unwrap_or_default().bytes(),
        )),
    }
}
