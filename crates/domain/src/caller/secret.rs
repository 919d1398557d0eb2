//! The text of an API key: `tferry_<12 hex digits>_<40 hex digits><8 hex digits>`.
//!
//! The prefix lets secret scanners recognize it. The first digits find its record. The next 40 are
//! the secret, 160 bits, of which only a hash is stored. The last 8 are a checksum of everything
//! before, so that a key with a typo is refused without a database lookup.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::hex::hex;

/// Prefix of every key.
pub const PREFIX: &str = "tferry_";

/// Hex digits of the lookup part.
const LOOKUP_DIGITS: usize = 12;
/// Hex digits of the secret.
const SECRET_DIGITS: usize = 40;
/// Hex digits of the checksum.
const CHECKSUM_DIGITS: usize = 8;

/// A complete key. It is shown once, and `Debug` does not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKeySecret(String);

impl ApiKeySecret {
    /// A new key from random bytes.
    #[must_use]
    pub fn new(random: &[u8; 32]) -> Self {
        let digits = hex(random);
        let (lookup, rest) = digits.split_at(LOOKUP_DIGITS);
        let body = format!("{PREFIX}{lookup}_{}", &rest[..SECRET_DIGITS]);
        let checksum = checksum(&body);
        Self(body + &checksum)
    }

    /// Reads a key; `None` if it has another form or a typo.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (lookup, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        let digits = |text: &str, count: usize| {
            text.len() == count
                && text
                    .bytes()
                    .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        if !digits(lookup, LOOKUP_DIGITS) || !digits(secret, SECRET_DIGITS + CHECKSUM_DIGITS) {
            return None;
        }
        let (body, given) = text.split_at(text.len() - CHECKSUM_DIGITS);
        (checksum(body) == given).then(|| Self(text.to_owned()))
    }

    /// The lookup part; it is not secret.
    #[must_use]
    pub fn lookup(&self) -> &str {
        &self.0[PREFIX.len()..PREFIX.len() + LOOKUP_DIGITS]
    }

    /// The stored hash. A plain hash is enough, because 160 random bits cannot be guessed.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }

    /// The complete key, to be shown once.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}_…", self.lookup())
    }
}

fn checksum(body: &str) -> String {
    let digest: [u8; 32] = Sha256::digest(body.as_bytes()).into();
    hex(&digest)[..CHECKSUM_DIGITS].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_anywhere_is_noticed_and_nothing_is_printed() {
        let key = ApiKeySecret::new(&[7; 32]);
        assert_eq!(ApiKeySecret::parse(key.expose()), Some(key.clone()));
        for at in 0..key.expose().len() {
            let mut typo = key.expose().to_owned();
            let other = if &typo[at..=at] == "1" { "2" } else { "1" };
            typo.replace_range(at..=at, other);
            assert_eq!(ApiKeySecret::parse(&typo), None, "{at}");
        }
        for bad in [
            "",
            "tferry_",
            "tferry__",
            "Bearer x",
            &key.expose()[..40],
            &format!("{}0", key.expose()),
            &key.expose().to_uppercase(),
        ] {
            assert_eq!(ApiKeySecret::parse(bad), None, "{bad}");
        }
        assert_eq!(format!("{key:?}"), "tferry_070707070707_…");
        assert_ne!(ApiKeySecret::new(&[8; 32]).hash(), key.hash());
    }
}
