//! Seals again what is in clear or sealed with an older key, wherever the database keeps it.

use sqlx::{AssertSqlSafe, Row as _};

use super::{Store, StoreError};
use tableferry_domain::webhook::secret::Sealed;

/// Where sealed things are: table, what names a row as text, column.
const PLACES: [(&str, &str, &str); 7] = [
    ("exports", "id::text", "callback_secret"),
    ("exports", "id::text", "callback_headers"),
    ("webhook_deliveries", "id::text", "signing_secret"),
    ("webhook_deliveries", "id::text", "sealed_headers"),
    ("webhook_endpoints", "id::text", "sealed_headers"),
    (
        "webhook_secrets",
        "endpoint_id::text || '/' || generation",
        "sealed_secret",
    ),
    ("webhook_signing_keys", "id::text", "sealed_private_key"),
];

/// How many rows are read at a time.
const BATCH: i64 = 500;

/// What became of everything that is sealed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Sealed with the current key now.
    pub done: u64,
    /// Left as they are: they could not be opened.
    pub unreadable: u64,
}

impl Store {
    /// Seals everything that does not begin with `current` anew. What `reseal` gives nothing for
    /// stays as it is.
    ///
    /// # Errors
    /// The database does not answer; what was sealed stays sealed, and the call can be repeated.
    pub async fn reseal(
        &self,
        current: &str,
        reseal: impl Fn(&Sealed) -> Option<Sealed> + Sync,
    ) -> Result<Resealed, StoreError> {
        let mut total = Resealed::default();
        for (table, key, column) in PLACES {
            // Only names from the list above are put into the statements.
            let select = format!(
                "SELECT {key} AS key, {column} AS sealed FROM {table}
                WHERE NOT starts_with({column}, $1) AND ({key}) > $2 ORDER BY {key} LIMIT {BATCH}"
            );
            let update =
                format!("UPDATE {table} SET {column} = $3 WHERE ({key}) = $1 AND {column} = $2");
            let mut last = String::new();
            loop {
                let rows = sqlx::query(AssertSqlSafe(select.clone()))
                    .bind(current)
                    .bind(&last)
                    .fetch_all(&self.pool)
                    .await?;
                let Some(end) = rows.last() else { break };
                last = end.try_get("key")?;
                for row in &rows {
                    let (key, old): (String, String) =
                        (row.try_get("key")?, row.try_get("sealed")?);
                    let Some(new) = reseal(&Sealed::known(old.clone())) else {
                        total.unreadable += 1;
                        continue;
                    };
                    let done = sqlx::query(AssertSqlSafe(update.clone()))
                        .bind(key)
                        .bind(old)
                        .bind(new.as_str())
                        .execute(&self.pool)
                        .await?;
                    total.done += done.rows_affected();
                }
            }
        }
        Ok(total)
    }
}
