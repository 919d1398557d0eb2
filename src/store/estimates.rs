//! What past exports say about one that is accepted now: a few rows, by one statement.

use std::time::Duration;

use super::{Store, StoreError};
use crate::domain::estimate::{PastExport, comparable_size};
use crate::domain::request::ExportRequest;

impl Store {
    /// The latest COMPLETED exports of the same table and type; if there are none, those among the 200 latest of all tables that are of
    /// the same type and were billed between half and twice the expected size. The latest first.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn past_exports(&self, request: &ExportRequest, table_size_bytes: Option<i64>) -> Result<Vec<PastExport>, StoreError> {
        let rows = sqlx::query!(
            r#"WITH own AS (
                SELECT id, true AS of_this_table, export_type, billed_size_in_bytes, start_time, end_time FROM exports
                WHERE table_arn = $1 AND export_type = $2 AND export_status = 'COMPLETED' AND end_time > start_time
                ORDER BY id DESC LIMIT 5
            ), recent AS (
                SELECT id, false AS of_this_table, export_type, billed_size_in_bytes, start_time, end_time FROM exports
                WHERE export_status = 'COMPLETED' AND $3::bigint IS NOT NULL AND NOT EXISTS (SELECT FROM own)
                ORDER BY id DESC LIMIT 200
            )
            SELECT of_this_table AS "of_this_table!", billed_size_in_bytes,
                extract(epoch FROM end_time - start_time)::float8 AS "seconds!"
            FROM (
                SELECT * FROM own
                UNION ALL
                SELECT * FROM recent
                WHERE export_type = $2 AND end_time > start_time AND billed_size_in_bytes BETWEEN $3 / 2 AND $3 * 2
            ) past
            ORDER BY id DESC"#,
            request.table_arn.as_str(),
            request.kind.as_str(),
            comparable_size(&request.kind, table_size_bytes).map(|bytes| bytes.min(i64::MAX / 2)),
        )
        .fetch_all(&self.pool)
        .await?;
        let past = rows.into_iter().map(|row| PastExport {
            of_this_table: row.of_this_table,
            billed_bytes: row.billed_size_in_bytes,
            duration: Duration::try_from_secs_f64(row.seconds).unwrap_or_default(),
        });
        Ok(past.collect())
    }
}
