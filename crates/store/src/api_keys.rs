//! API keys. Of the key itself only a hash is stored.

use time::OffsetDateTime;
use uuid::Uuid;

use super::listed::{Listed, listed};
use super::{Store, StoreError};
use tableferry_domain::caller::allow::{AllowList, Pattern};
use tableferry_domain::caller::api_key::{ApiKey, KeyName};
use tableferry_domain::caller::scope::{Scope, Scopes};
use tableferry_domain::caller::{CallerName, Grant};
use tableferry_domain::timestamp::Timestamp;

#[derive(Debug)]
struct KeyRow {
    id: Uuid,
    lookup: String,
    hash: Vec<u8>,
    name: String,
    scopes: Vec<String>,
    table_arns: Vec<String>,
    s3_buckets: Vec<String>,
    rate_limit_per_s: Option<f64>,
    created_at: OffsetDateTime,
    created_by: Option<String>,
    expires_at: Option<OffsetDateTime>,
    revoked_at: Option<OffsetDateTime>,
    last_used_at: Option<OffsetDateTime>,
}

/// `SELECT` of every column of [`KeyRow`], followed by the rest of the query.
macro_rules! select_keys {
    ($rest:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            KeyRow,
            "SELECT id, lookup, hash, name, scopes, table_arns, s3_buckets, rate_limit_per_s, created_at, created_by, expires_at,
                revoked_at, last_used_at
            FROM api_keys " + $rest
            $(, $argument)*
        )
    };
}

impl TryFrom<KeyRow> for ApiKey {
    type Error = StoreError;

    fn try_from(row: KeyRow) -> Result<Self, StoreError> {
        let id = row.id;
        read_row(row).map_err(|e| StoreError::InconsistentRow {
            table: "api_keys",
            id,
            what: e.to_string().into(),
        })
    }
}

fn read_row(row: KeyRow) -> Result<ApiKey, tableferry_domain::invalid::Invalid> {
    let scopes: Result<Vec<_>, _> = row.scopes.iter().map(|scope| Scope::parse(scope)).collect();
    let grant = Grant::new(
        Scopes::from_scopes(scopes?),
        AllowList::from_db(row.table_arns, row.s3_buckets),
    )?;
    Ok(ApiKey {
        id: row.id,
        lookup: row.lookup,
        name: KeyName::from_db(row.name),
        grant,
        rate_per_s: row.rate_limit_per_s,
        created_at: row.created_at.into(),
        created_by: row.created_by.as_deref().map(CallerName::from_db),
        expires_at: row.expires_at.map(Timestamp::from),
        revoked_at: row.revoked_at.map(Timestamp::from),
        last_used_at: row.last_used_at.map(Timestamp::from),
    })
}

impl Store {
    /// Stores a new key and its hash. Returns false if its name is taken.
    pub async fn add_api_key(&self, key: &ApiKey, hash: &[u8; 32]) -> Result<bool, StoreError> {
        let texts = |patterns: &[Pattern]| {
            patterns
                .iter()
                .map(|pattern| pattern.as_str().to_owned())
                .collect::<Vec<_>>()
        };
        let scopes: Vec<_> = key
            .grant
            .scopes()
            .iter()
            .map(|scope| scope.as_str().to_owned())
            .collect();
        let done = sqlx::query!(
            "INSERT INTO api_keys (id, lookup, hash, name, scopes, table_arns, s3_buckets, rate_limit_per_s, created_at, created_by, expires_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
            ON CONFLICT (name) DO NOTHING",
            key.id,
            key.lookup,
            hash.as_slice(),
            key.name.as_str(),
            &scopes,
            &texts(key.grant.allow().tables()),
            &texts(key.grant.allow().buckets()),
            key.rate_per_s,
            OffsetDateTime::from(key.created_at),
            key.created_by.as_ref().map(CallerName::as_str),
            key.expires_at.map(OffsetDateTime::from),
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Finds a key by its first digits, also a revoked one, and returns it with its hash.
    pub async fn look_up_api_key(
        &self,
        lookup: &str,
    ) -> Result<Option<(ApiKey, Vec<u8>)>, StoreError> {
        let row = select_keys!("WHERE lookup = $1", lookup)
            .fetch_optional(&self.pool)
            .await?;
        let Some(mut row) = row else { return Ok(None) };
        let hash = std::mem::take(&mut row.hash);
        Ok(Some((row.try_into()?, hash)))
    }

    /// Records that a key was used.
    pub async fn note_use_of_api_key(&self, id: Uuid, now: Timestamp) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE api_keys SET last_used_at = greatest(last_used_at, $2) WHERE id = $1",
            id,
            OffsetDateTime::from(now)
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    pub async fn find_api_key(&self, id: Uuid) -> Result<Option<ApiKey>, StoreError> {
        select_keys!("WHERE id = $1", id)
            .fetch_optional(&self.pool)
            .await?
            .map(ApiKey::try_from)
            .transpose()
    }

    /// Finds a key by its name, also a revoked one.
    pub async fn find_api_key_by_name(&self, name: &str) -> Result<Option<ApiKey>, StoreError> {
        select_keys!("WHERE name = $1", name)
            .fetch_optional(&self.pool)
            .await?
            .map(ApiKey::try_from)
            .transpose()
    }

    /// At most `size` keys that are older than `before`, newest first, including revoked ones.
    pub async fn list_api_keys(
        &self,
        before: Option<Uuid>,
        size: i64,
    ) -> Result<Vec<Listed<ApiKey>>, StoreError> {
        let rows = select_keys!(
            "WHERE ($1::uuid IS NULL OR id < $1) ORDER BY id DESC LIMIT $2",
            before,
            size
        );
        Ok(listed(rows.fetch_all(&self.pool).await?, |row: &KeyRow| {
            row.id
        }))
    }

    /// Revokes a key, if it is not revoked yet, and returns it. `None` if it does not exist.
    pub async fn revoke_api_key(
        &self,
        id: Uuid,
        now: Timestamp,
    ) -> Result<Option<ApiKey>, StoreError> {
        sqlx::query!(
            "UPDATE api_keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL",
            id,
            OffsetDateTime::from(now)
        )
        .execute(&self.pool)
        .await?;
        self.find_api_key(id).await
    }
}
