//! Symmetric signing secrets of Standard Webhooks.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::invalid::Invalid;

/// A signing secret of Standard Webhooks: `whsec_` and the base64 of 24 to 64 random bytes. `Debug`
/// does not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret {
    text: String,
    key: Vec<u8>,
}

impl WebhookSecret {
    /// Reads a secret. The error does not repeat it.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let wrong =
            || Invalid::new("must be \"whsec_\" followed by the base64 of 24 to 64 random bytes");
        let encoded = text.strip_prefix("whsec_").ok_or_else(wrong)?;
        let key = BASE64.decode(encoded).map_err(|_| wrong())?;
        if !(24..=64).contains(&key.len()) {
            return Err(wrong());
        }
        Ok(Self {
            text: text.to_owned(),
            key,
        })
    }

    /// From 24 to 64 random bytes.
    pub fn from_key(key: &[u8]) -> Result<Self, Invalid> {
        Self::parse(&format!("whsec_{}", BASE64.encode(key)))
    }

    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The secret as text, to be sealed, and shown once to the caller it is created for.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(…)")
    }
}

/// A secret as the database stores it: sealed, or in clear text if the operator has set no key.
/// Only the vault creates and opens it.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(String);

impl Sealed {
    /// From the vault or the database.
    #[must_use]
    pub fn from_text(text: String) -> Self {
        Self(text)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let secret = WebhookSecret::parse("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD").unwrap();
        assert!(!format!("{secret:?}").contains("C2FV"));
        for bad in [
            "",
            "whsec_",
            "C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "whsec_c2hvcnQ=",
            "whsec_!!!",
        ] {
            assert!(WebhookSecret::parse(bad).is_err(), "{bad}");
        }
    }
}
