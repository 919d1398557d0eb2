//! What the files of an export say: manifests, sums, counts and items. Pure over bytes: whoever
//! calls brings them, from S3 or from a test, and no more than a buffer of them is held at a time.

pub mod attribute;
pub mod dynamodb_json;
pub mod inspect;
pub mod ion;
mod ion_text;
pub mod judge;
pub mod manifest;
pub mod number;
pub mod preview;
pub mod records;

use std::fmt;

/// Why a file of an export cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed(String);

impl Malformed {
    /// It cannot be read, for this reason: the rest of a sentence that begins with the file's key.
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Malformed {}
