//! The ed25519 keys of this service. All replicas share them; the first that needs a key makes it.

use time::OffsetDateTime;
use uuid::Uuid;

use super::{Store, StoreError};
use tableferry_domain::timestamp::Timestamp;
use tableferry_domain::webhook::secret::Sealed;

#[derive(Debug, Clone)]
pub struct StoredKey {
    /// As receivers get it.
    pub public_key: String,
    pub sealed_private_key: Sealed,
    pub created_at: Timestamp,
    /// When it stops signing; `None`: it is the current one.
    pub expires_at: Option<Timestamp>,
}

impl Store {
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
            sealed_private_key: Sealed::from_text(row.sealed_private_key),
            created_at: row.created_at.into(),
            expires_at: row.expires_at.map(Timestamp::from),
        });
        Ok(keys.collect())
    }

    /// Stores a new key. With `old_until`, older keys sign until then at the latest. Without it,
    /// the key is stored only if there is no current one, so that replicas that start at the same
    /// time agree on one.
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
