//! Seals what must not lie in the database in clear: secrets, private keys and headers that may
//! hold tokens.
//!
//! AES-256-GCM-SIV with a random nonce for each sealing. The operator's keys come from the
//! settings; the first one seals, all of them open, so that a key can be replaced. Sealed text
//! names its key by the beginning of the key's SHA-256. Without a key things are kept in clear,
//! marked as such; the process says so when it starts, and seals them when it gets a key.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest as _, Sha256};

use tableferry_domain::hex::hex;
use tableferry_domain::invalid::Invalid;
use tableferry_domain::webhook::secret::{Sealed, WebhookSecret};

/// What sealed text begins with.
const SEALED: &str = "sealed:";

/// What text in clear begins with, unless it is a secret that says by itself what it is.
const CLEAR: &str = "clear:";

/// Seals and opens. Cheap to clone.
#[derive(Clone, Default)]
pub struct Vault {
    /// The first one seals.
    keys: Arc<[VaultKey]>,
}

/// One key of the operator's.
#[derive(Clone)]
pub struct VaultKey {
    /// Eight hexadecimal digits of its SHA-256.
    name: String,
    key: Arc<RandomizedNonceKey>,
}

/// Why something cannot be opened. No message holds what is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// It was sealed with a key that is not among the operator's.
    #[error("it is sealed with key {0}, which TABLEFERRY_ENCRYPTION_KEY does not hold")]
    UnknownKey(String),
    /// The key does not open it, or it is malformed: the row was changed.
    #[error("it cannot be opened: the row was changed by hand or is damaged")]
    Damaged,
}

impl VaultKey {
    /// A key as text, for the settings.
    #[must_use]
    pub fn text(bytes: &[u8; 32]) -> String {
        BASE64.encode(bytes)
    }

    /// Reads a key: the base64 of 32 random bytes.
    ///
    /// # Errors
    /// It is something else. The sentence does not repeat it.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let wrong = || {
            Invalid::new(
                "must be the base64 of 32 random bytes (openssl rand -base64 32); several are separated by commas, the first one seals",
            )
        };
        let bytes = BASE64.decode(text.trim()).map_err(|_| wrong())?;
        let key = RandomizedNonceKey::new(&AES_256_GCM_SIV, &bytes).map_err(|_| wrong())?;
        let name = hex(&Sha256::digest(&bytes)[..4]);
        Ok(Self {
            name,
            key: Arc::new(key),
        })
    }
}

impl Vault {
    /// A vault of these keys.
    #[must_use]
    pub fn new(keys: &[VaultKey]) -> Self {
        Self { keys: keys.into() }
    }

    /// Whether there is a key to seal with.
    #[must_use]
    pub fn seals(&self) -> bool {
        !self.keys.is_empty()
    }

    /// What text that is sealed with the current key begins with; `None` without a key.
    #[must_use]
    pub fn current_prefix(&self) -> Option<String> {
        self.keys
            .first()
            .map(|key| format!("{SEALED}{}:", key.name))
    }

    /// Seals a text.
    #[must_use]
    pub fn seal(&self, text: &str) -> Sealed {
        let Some(VaultKey { name, key }) = self.keys.first() else {
            return Sealed::known(format!("{CLEAR}{text}"));
        };
        let mut bytes = text.as_bytes().to_vec();
        #[expect(
            clippy::expect_used,
            reason = "AES-GCM-SIV seals every text of less than 64 GiB"
        )]
        let nonce = key
            .seal_in_place_append_tag(Aad::empty(), &mut bytes)
            .expect("a short text can be sealed");
        let mut whole = nonce.as_ref().to_vec();
        whole.append(&mut bytes);
        Sealed::known(format!("{SEALED}{name}:{}", BASE64.encode(whole)))
    }

    /// Opens what was sealed.
    ///
    /// # Errors
    /// Its key is not here, or it is damaged.
    pub fn open(&self, sealed: &Sealed) -> Result<String, VaultError> {
        let Some(rest) = sealed.as_str().strip_prefix(SEALED) else {
            // Before there were keys, a secret was stored as it is.
            return Ok(sealed
                .as_str()
                .strip_prefix(CLEAR)
                .unwrap_or(sealed.as_str())
                .to_owned());
        };
        let (name, encoded) = rest.split_once(':').ok_or(VaultError::Damaged)?;
        let key = self
            .keys
            .iter()
            .find(|key| key.name == name)
            .ok_or_else(|| VaultError::UnknownKey(name.to_owned()))?;
        let whole = BASE64.decode(encoded).map_err(|_| VaultError::Damaged)?;
        let (nonce, sealed) = whole
            .split_at_checked(NONCE_LEN)
            .ok_or(VaultError::Damaged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| VaultError::Damaged)?;
        let mut bytes = sealed.to_vec();
        let text = key
            .key
            .open_in_place(nonce, Aad::empty(), &mut bytes)
            .map_err(|_| VaultError::Damaged)?;
        String::from_utf8(text.to_vec()).map_err(|_| VaultError::Damaged)
    }

    /// Opens a secret that signs.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub fn open_secret(&self, sealed: &Sealed) -> Result<WebhookSecret, VaultError> {
        WebhookSecret::parse(&self.open(sealed)?).map_err(|_| VaultError::Damaged)
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({} keys)", self.keys.len())
    }
}

impl fmt::Debug for VaultKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VaultKey({})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const OTHER: &str = "/////////////////////////////////////////w8=";

    fn vault(keys: &[&str]) -> Vault {
        Vault::new(
            &keys
                .iter()
                .map(|key| VaultKey::parse(key).unwrap())
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn what_is_sealed_is_opened_again_and_cannot_be_read() {
        let vault = vault(&[ONE]);
        let (sealed, again) = (vault.seal("hunter2"), vault.seal("hunter2"));
        assert!(!sealed.as_str().contains("hunter2") && sealed != again);
        assert!(
            sealed
                .as_str()
                .starts_with(&vault.current_prefix().unwrap())
        );
        assert_eq!(vault.open(&sealed).unwrap(), "hunter2");
    }

    #[test]
    fn a_key_is_replaced_without_losing_anything() {
        let old = vault(&[ONE]).seal("hunter2");
        assert_eq!(vault(&[OTHER, ONE]).open(&old).unwrap(), "hunter2");
        assert!(matches!(
            vault(&[OTHER]).open(&old),
            Err(VaultError::UnknownKey(_))
        ));
        assert!(matches!(
            vault(&[]).open(&old),
            Err(VaultError::UnknownKey(_))
        ));
    }

    #[test]
    fn without_a_key_things_are_in_clear_and_can_be_read_later() {
        let clear = vault(&[]).seal("hunter2");
        assert_eq!(clear.as_str(), "clear:hunter2");
        assert_eq!(vault(&[ONE]).open(&clear).unwrap(), "hunter2");
        let before = Sealed::known("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD".to_owned());
        assert!(vault(&[ONE]).open_secret(&before).is_ok());
    }

    #[test]
    fn damage_is_noticed_and_nothing_is_printed() {
        let vault = vault(&[ONE]);
        let sealed = vault.seal("hunter2");
        let mut text = sealed.as_str().to_owned();
        let last = text.len() - 3;
        let other = if text.as_bytes()[last] == b'A' {
            "B"
        } else {
            "A"
        };
        text.replace_range(last..=last, other);
        for bad in [
            text.as_str(),
            "sealed:",
            "sealed:x:",
            "sealed:630dcd29:AAAA",
        ] {
            assert!(vault.open(&Sealed::known(bad.to_owned())).is_err(), "{bad}");
        }
        assert!(!format!("{vault:?} {sealed:?}").contains("hunter2"));
        for bad in [
            "",
            "AAAA",
            "not base64",
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==",
        ] {
            let error = VaultKey::parse(bad).unwrap_err().to_string();
            assert!(bad.is_empty() || !error.contains(bad), "{error}");
        }
    }
}
