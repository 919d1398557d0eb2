//! The ed25519 keys of this service: one for all replicas, kept sealed in the database, made by the
//! first that needs it.

use tokio::sync::OnceCell;

use crate::clock::Chance;
use crate::domain::timestamp::Timestamp;
use crate::store::signing_keys::StoredKey;
use crate::store::{Store, StoreError};
use crate::webhooks::SigningKey;
use crate::webhooks::vault::Vault;

/// The keys of this service.
#[derive(Debug)]
pub struct Keyring {
    store: Store,
    vault: Vault,
    chance: Chance,
    /// Set once there is a key.
    made: OnceCell<String>,
}

impl Keyring {
    /// A ring on this database.
    #[must_use]
    pub fn new(store: Store, vault: Vault, chance: Chance) -> Self {
        Self {
            store,
            vault,
            chance,
            made: OnceCell::new(),
        }
    }

    /// The keys that sign at this time, newest first. The first call makes one if there is none.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn stored(&self, now: Timestamp) -> Result<Vec<StoredKey>, StoreError> {
        let keys = self.store.signing_keys(now).await?;
        if !keys.is_empty() {
            return Ok(keys);
        }
        self.made.get_or_try_init(|| self.make(now, None)).await?;
        self.store.signing_keys(now).await
    }

    /// Those of the keys that can be used here. One that cannot be opened is told in the log, and
    /// webhooks go out without its signature.
    ///
    /// # Errors
    /// The database does not answer.
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

    /// Makes a new key. Those before it sign until `old_until` at the latest. Its public half.
    ///
    /// # Errors
    /// The database does not answer; then nothing is changed.
    pub async fn rotate(&self, now: Timestamp, old_until: Timestamp) -> Result<String, StoreError> {
        self.make(now, Some(old_until)).await
    }

    async fn make(
        &self,
        now: Timestamp,
        old_until: Option<Timestamp>,
    ) -> Result<String, StoreError> {
        let seed = self.chance.secret_bytes();
        let key = StoredKey {
            public_key: SigningKey::from_seed(&seed).public_text(),
            sealed_private_key: self.vault.seal(&SigningKey::private_text(&seed)),
            created_at: now,
            expires_at: None,
        };
        self.store
            .add_signing_key(self.chance.ordered_id(), &key, old_until)
            .await?;
        Ok(key.public_key)
    }
}
