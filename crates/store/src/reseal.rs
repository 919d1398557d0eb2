//! Seals every secret in the database again that is in clear text or sealed with an older key.

use sqlx::{AssertSqlSafe, Row as _};

use super::{Store, StoreError};
use tableferry_domain::webhook::secret::Sealed;

/// The columns that hold sealed values: table, SQL expression for the row's key as text, column.
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

/// Rows per query.
const BATCH: i64 = 500;

/// The result of resealing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Values that are sealed with the current key now.
    pub done: u64,
    /// Values that are unchanged because they could not be opened.
    pub unreadable: u64,
}

impl Store {
    /// Seals every value again that does not begin with `current`. Values for which `reseal`
    /// returns `None` are left unchanged. After an error the call can be repeated.
    pub async fn reseal(
        &self,
        current: &str,
        reseal: impl Fn(&Sealed) -> Option<Sealed> + Sync,
    ) -> Result<Resealed, StoreError> {
        let mut total = Resealed::default();
        for (table, key, column) in PLACES {
            // The text contains only names from the list above.
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
                    let Some(new) = reseal(&Sealed::from_text(old.clone())) else {
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
