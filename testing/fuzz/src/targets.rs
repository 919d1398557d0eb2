//! Fuzz targets: a parser, initial inputs, and words that it recognises.

use crate::{bodies, expressions, records, texts};

#[derive(Debug, Clone, Copy)]
pub struct Target {
    pub name: &'static str,
    /// Whether inputs are JSON and should be mutated as JSON.
    pub json: bool,
    /// Initial inputs.
    pub seeds: fn() -> Vec<String>,
    /// Words to insert.
    pub words: &'static [&'static str],
    /// Parses, and panics if a rule is broken. Returns the outcome in words.
    pub run: fn(&[u8]) -> String,
}

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
