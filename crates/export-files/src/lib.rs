//! The files of an export: manifests, checksums, counts and items. Pure functions over bytes from
//! any source; at most a buffer of them is in memory at a time.

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
    /// The reason, as the end of a sentence that begins with the file's key.
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
