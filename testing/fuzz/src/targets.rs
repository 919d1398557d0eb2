//! What is fuzzed: a parser, inputs to begin with, and words that it looks for.

use crate::{bodies, expressions, records, texts};

/// A parser under test.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Whether inputs are JSON, so that they are varied as such.
    pub json: bool,
    /// What to begin with.
    pub seeds: fn() -> Vec<String>,
    /// What to put in.
    pub words: &'static [&'static str],
    /// Parses, and panics if something does not hold. The outcome in words.
    pub run: fn(&[u8]) -> String,
}

/// All of them.
pub const ALL: &[Target] = &[
    texts::TABLE_ARN,
    texts::EXPORT_ARN,
    texts::DURATION,
    texts::TIMESTAMP,
    texts::PAGE_TOKEN,
    texts::FILES_TOKEN,
    texts::SETTINGS,
    texts::API_KEY,
    texts::PATTERN,
    bodies::NEW_API_KEY,
    bodies::CREATE_EXPORT,
    bodies::WEBHOOK_ENDPOINT,
    bodies::FILTER,
    expressions::EXPRESSION,
    bodies::FINGERPRINT,
    records::DYNAMODB_JSON,
    records::ION,
];
