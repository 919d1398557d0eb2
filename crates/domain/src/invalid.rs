//! What is wrong with a value that a caller sent, in words for that caller.

use std::borrow::Cow;

/// A value that breaks a rule. Displays as a sentence that says what is wrong and what would be
/// right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(Cow<'static, str>);

impl Invalid {
    /// Builds the error from its sentence.
    pub fn new(sentence: impl Into<Cow<'static, str>>) -> Self {
        Self(sentence.into())
    }
}
