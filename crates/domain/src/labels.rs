//! Labels: a caller's own names for an export, to find it again.

use std::collections::BTreeMap;

use super::invalid::Invalid;

/// At most 32 labels; keys of 1 to 63 characters without `:`, values of at most 255.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels(BTreeMap<String, String>);

/// How many labels an export may have.
pub const MOST_LABELS: usize = 32;

impl Labels {
    /// Checks one label.
    ///
    /// # Errors
    /// Key or value is too long, the key is empty or has a `:` (which separates key and value in a
    /// filter), or either has control characters.
    pub fn check(key: &str, value: &str) -> Result<(), Invalid> {
        if key.is_empty()
            || key.chars().count() > 63
            || key.contains(':')
            || key.chars().any(char::is_control)
        {
            return Err(Invalid::new(
                "a label's key must have 1 to 63 characters, without \":\" and control characters",
            ));
        }
        if value.chars().count() > 255 || value.chars().any(char::is_control) {
            return Err(Invalid::new(
                "a label's value must have at most 255 characters, without control characters",
            ));
        }
        Ok(())
    }

    /// Takes labels of which each was checked.
    ///
    /// # Errors
    /// There are more than 32.
    pub fn new(labels: BTreeMap<String, String>) -> Result<Self, Invalid> {
        if labels.len() > MOST_LABELS {
            return Err(Invalid::new(format!(
                "must hold at most {MOST_LABELS} labels"
            )));
        }
        Ok(Self(labels))
    }

    /// Labels that the database holds: not judged again.
    #[must_use]
    pub fn known(labels: BTreeMap<String, String>) -> Self {
        Self(labels)
    }

    /// One label as filters name it and as it is stored to be found.
    #[must_use]
    pub fn entry(key: &str, value: &str) -> String {
        format!("{key}:{value}")
    }

    /// The labels in order of their keys.
    #[must_use]
    pub fn as_map(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}
