//! Encrypts ("seals") what must not be stored in clear text: secrets, private keys, and headers
//! that may contain tokens.
//!
//! AES-256-GCM-SIV with a random nonce each time. The operator's keys come from the settings: the
//! first one seals, and all of them open, so that a key can be replaced. Sealed text names its key
//! by the first digits of the key's SHA-256. Without a key, text is stored in clear and marked so;
//! the process logs a warning when it starts.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest as _, Sha256};

use tableferry_domain::hex::hex;
use tableferry_domain::invalid::Invalid;
use tableferry_domain::webhook::secret::{Sealed, WebhookSecret};

/// The prefix of sealed text.
const SEALED: &str = "sealed:";

/// The prefix of text in clear. Secrets from before there were keys have none.
const CLEAR: &str = "clear:";

/// Cheap to clone.
#[derive(Clone, Default)]
pub struct Vault {
    /// The first one seals.
    keys: Arc<[VaultKey]>,
}

#[derive(Clone)]
pub struct VaultKey {
    /// Eight hexadecimal digits of its SHA-256.
    name: String,
    key: Arc<RandomizedNonceKey>,
}

/// No message repeats the sealed text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    #[error("it is sealed with key {0}, which is not in TABLEFERRY_ENCRYPTION_KEY")]
    UnknownKey(String),
    #[error("it cannot be opened: the row was changed by hand or is damaged")]
    Damaged,
}

impl VaultKey {
    /// A key as text, as in the settings.
    #[must_use]
    pub fn text(bytes: &[u8; 32]) -> String {
        BASE64.encode(bytes)
    }

    /// Parses the base64 of 32 random bytes. The error does not repeat the text.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let wrong = || {
            Invalid::new(
                "must be the base64 of 32 random bytes (openssl rand -base64 32). Separate several keys by commas; the first one encrypts",
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
    #[must_use]
    pub fn new(keys: &[VaultKey]) -> Self {
        Self { keys: keys.into() }
    }

    /// Whether there is a key.
    #[must_use]
    pub fn seals(&self) -> bool {
        !self.keys.is_empty()
    }

    /// The prefix of text that is sealed with the current key. `None` without a key.
    #[must_use]
    pub fn current_prefix(&self) -> Option<String> {
        self.keys
            .first()
            .map(|key| format!("{SEALED}{}:", key.name))
    }

    #[must_use]
    pub fn seal(&self, text: &str) -> Sealed {
        let Some(VaultKey { name, key }) = self.keys.first() else {
            return Sealed::from_text(format!("{CLEAR}{text}"));
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
        Sealed::from_text(format!("{SEALED}{name}:{}", BASE64.encode(whole)))
    }

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

    /// Opens a signing secret.
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
        let before = Sealed::from_text("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD".to_owned());
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
            assert!(
                vault.open(&Sealed::from_text(bad.to_owned())).is_err(),
                "{bad}"
            );
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
