//! Errors in values from callers, as sentences for the caller.

use std::borrow::Cow;

/// Why a value is invalid. Displays as a sentence without its subject, such as "must be at most 32
/// characters long".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(Cow<'static, str>);

impl Invalid {
    pub fn new(sentence: impl Into<Cow<'static, str>>) -> Self {
        Self(sentence.into())
    }

    /// A field that the API does not know.
    #[must_use]
    pub fn unknown_field(known: &[&str]) -> Self {
        Self::new(format!(
            "is not a known field; known are {}",
            known.join(", ")
        ))
    }
}
