//! The ed25519 keys of this service: one for all replicas, made by the first that needs it.

use time::OffsetDateTime;
use uuid::Uuid;

use super::{Store, StoreError};
use tableferry_domain::timestamp::Timestamp;
use tableferry_domain::webhook::secret::Sealed;

/// A key as it is stored.
#[derive(Debug, Clone)]
pub struct StoredKey {
    /// The public half as text.
    pub public_key: String,
    /// The private half as text, sealed.
    pub sealed_private_key: Sealed,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops to sign; `None` is the current one.
    pub expires_at: Option<Timestamp>,
}

impl Store {
    /// The keys that sign at this time, newest first.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn signing_keys(&self, now: Timestamp) -> Result<Vec<StoredKey>, StoreError> {
        let rows = sqlx::query!(
            "SELECT public_key, sealed_private_key, created_at, expires_at FROM webhook_signing_keys
            WHERE expires_at IS NULL OR expires_at > $1 ORDER BY created_at DESC",
            OffsetDateTime::from(now)
        )
        .fetch_all(&self.pool)
        .await?;
        let keys = rows.into_iter().map(|row| StoredKey {
            public_key: row.public_key,
            sealed_private_key: Sealed::known(row.sealed_private_key),
            created_at: row.created_at.into(),
            expires_at: row.expires_at.map(Timestamp::from),
        });
        Ok(keys.collect())
    }

    /// Stores a new key. Without `old_until` only if there is no current one yet, so that replicas
    /// that start together agree on one; else the keys before it sign until then at the latest.
    ///
    /// # Errors
    /// The database does not answer; then nothing is written.
    pub async fn add_signing_key(
        &self,
        id: Uuid,
        key: &StoredKey,
        old_until: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        if let Some(until) = old_until {
            sqlx::query!(
                "UPDATE webhook_signing_keys SET expires_at = least(expires_at, $1)",
                OffsetDateTime::from(until)
            )
            .execute(&mut *tx)
            .await?;
        }
        sqlx::query!(
            "INSERT INTO webhook_signing_keys (id, public_key, sealed_private_key, created_at) VALUES ($1, $2, $3, $4)
            ON CONFLICT DO NOTHING",
            id,
            key.public_key,
            key.sealed_private_key.as_str(),
            OffsetDateTime::from(key.created_at),
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }
}
