//! The ed25519 keys that sign webhooks. All replicas share them: they are stored sealed in the
//! database, and the first replica that needs a key makes it.

use tokio::sync::OnceCell;

use crate::clock::Clock;
use crate::domain::timestamp::Timestamp;
use crate::store::signing_keys::StoredKey;
use crate::store::{Store, StoreError};
use crate::webhooks::SigningKey;
use crate::webhooks::vault::Vault;

#[derive(Debug)]
pub struct Keyring {
    store: Store,
    vault: Vault,
    clock: Clock,
    /// The public key that this process made when there was none.
    made: OnceCell<String>,
}

impl Keyring {
    #[must_use]
    pub fn new(store: Store, vault: Vault, clock: Clock) -> Self {
        Self {
            store,
            vault,
            clock,
            made: OnceCell::new(),
        }
    }

    /// The keys that sign at this time, newest first. Makes a key if there is none.
    pub async fn stored(&self, now: Timestamp) -> Result<Vec<StoredKey>, StoreError> {
        let keys = self.store.signing_keys(now).await?;
        if !keys.is_empty() {
            return Ok(keys);
        }
        self.made.get_or_try_init(|| self.make(now, None)).await?;
        self.store.signing_keys(now).await
    }

    /// The keys that can be opened with this process's encryption keys. Another key is logged, and
    /// webhooks are sent without its signature.
    pub async fn usable(&self, now: Timestamp) -> Result<Vec<SigningKey>, StoreError> {
        let mut usable = Vec::new();
        for key in self.stored(now).await? {
            match self.vault.open(&key.sealed_private_key) {
                Ok(text) => match SigningKey::parse_private(&text) {
                    Ok(private) => usable.push(private),
                    Err(error) => {
                        tracing::error!(signing_key.public_key = key.public_key, error.message = %error, "a signing key is damaged")
                    }
                },
                Err(error) => {
                    tracing::error!(signing_key.public_key = key.public_key, error.message = %error, "a signing key cannot be opened")
                }
            }
        }
        Ok(usable)
    }

    /// Makes a new key and returns its public half. The older keys sign until `old_until` at the
    /// latest.
    pub async fn rotate(&self, now: Timestamp, old_until: Timestamp) -> Result<String, StoreError> {
        self.make(now, Some(old_until)).await
    }

    async fn make(
        &self,
        now: Timestamp,
        old_until: Option<Timestamp>,
    ) -> Result<String, StoreError> {
        let seed = self.clock.secret_bytes();
        let key = StoredKey {
            public_key: SigningKey::from_seed(&seed).public_text(),
            sealed_private_key: self.vault.seal(&SigningKey::private_text(&seed)),
            created_at: now,
            expires_at: None,
        };
        self.store
            .add_signing_key(self.clock.ordered_id(), &key, old_until)
            .await?;
        Ok(key.public_key)
    }
}
