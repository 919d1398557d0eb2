//! Labels: a caller's own keys and values on an export, to find it again.

use std::collections::BTreeMap;

use crate::invalid::Invalid;

/// At most 32 labels; keys of 1 to 63 characters without `:`, values of at most 255.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels(BTreeMap<String, String>);

pub const MAX_LABELS: usize = 32;

impl Labels {
    /// Checks one label. A key has no `:`, which separates key and value in query parameters.
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
    pub fn new(labels: BTreeMap<String, String>) -> Result<Self, Invalid> {
        if labels.len() > MAX_LABELS {
            return Err(Invalid::new(format!(
                "must have at most {MAX_LABELS} labels"
            )));
        }
        Ok(Self(labels))
    }

    /// Labels from the database; not validated again.
    #[must_use]
    pub fn from_db(labels: BTreeMap<String, String>) -> Self {
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
