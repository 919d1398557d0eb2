//! Reads the past exports from which the duration and size of new ones are estimated: a few rows
//! for each, by one statement.

use std::time::Duration;

use sqlx::PgExecutor;

use super::{Store, StoreError};
use tableferry_domain::export::estimate::{PastExport, comparable_size};
use tableferry_domain::export::request::ExportRequest;

/// Selects the past exports that resemble a new one. Exports with the same key share them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct HistoryKey {
    table_arn: String,
    export_type: &'static str,
    size_bytes: Option<i64>,
}

impl HistoryKey {
    pub(super) fn for_request(request: &ExportRequest, table_size_bytes: Option<i64>) -> Self {
        Self {
            table_arn: request.table_arn.as_str().to_owned(),
            export_type: request.kind.as_str(),
            size_bytes: comparable_size(&request.kind, table_size_bytes)
                .map(|bytes| bytes.min(i64::MAX / 2)),
        }
    }
}

impl Store {
    /// The latest COMPLETED exports of the same table and type; if there are none, those among the
    /// 200 latest of all tables that are of the same type and were billed between half and twice
    /// the expected size. The latest first.
    pub async fn past_exports(
        &self,
        request: &ExportRequest,
        table_size_bytes: Option<i64>,
    ) -> Result<Vec<PastExport>, StoreError> {
        let past = past_exports(
            &self.pool,
            &[HistoryKey::for_request(request, table_size_bytes)],
        )
        .await?;
        Ok(past.into_iter().next().unwrap_or_default())
    }
}

/// The past exports for each key, in the order of the keys.
pub(super) async fn past_exports(
    executor: impl PgExecutor<'_>,
    keys: &[HistoryKey],
) -> Result<Vec<Vec<PastExport>>, StoreError> {
    let tables: Vec<String> = keys.iter().map(|key| key.table_arn.clone()).collect();
    let types: Vec<String> = keys.iter().map(|key| key.export_type.to_owned()).collect();
    let sizes: Vec<Option<i64>> = keys.iter().map(|key| key.size_bytes).collect();
    let rows = sqlx::query!(
        r#"SELECT history.place AS "place!", past.of_this_table AS "of_this_table!", past.billed_size_in_bytes,
            extract(epoch FROM past.end_time - past.start_time)::float8 AS "seconds!"
        FROM unnest($1::text[], $2::text[], $3::bigint[]) WITH ORDINALITY AS history (table_arn, export_type, size_bytes, place), LATERAL (
            WITH own AS (
                SELECT id, true AS of_this_table, export_type, billed_size_in_bytes, start_time, end_time FROM exports e
                WHERE e.table_arn = history.table_arn AND e.export_type = history.export_type AND e.export_status = 'COMPLETED'
                    AND end_time > start_time
                ORDER BY id DESC LIMIT 5
            ), recent AS (
                SELECT id, false AS of_this_table, export_type, billed_size_in_bytes, start_time, end_time FROM exports
                WHERE export_status = 'COMPLETED' AND history.size_bytes IS NOT NULL AND NOT EXISTS (SELECT FROM own)
                ORDER BY id DESC LIMIT 200
            )
            SELECT * FROM own
            UNION ALL
            SELECT * FROM recent r
            WHERE r.export_type = history.export_type AND end_time > start_time
                AND billed_size_in_bytes BETWEEN history.size_bytes / 2 AND history.size_bytes * 2
        ) past
        ORDER BY history.place, past.id DESC"#,
        &tables,
        &types,
        &sizes as &[Option<i64>],
    )
    .fetch_all(executor)
    .await?;
    let mut past = vec![Vec::new(); keys.len()];
    for row in rows {
        // Places count from 1.
        let place = usize::try_from(row.place - 1).unwrap_or(usize::MAX);
        if let Some(of_one) = past.get_mut(place) {
            of_one.push(PastExport {
                of_this_table: row.of_this_table,
                billed_bytes: row.billed_size_in_bytes,
                duration: Duration::try_from_secs_f64(row.seconds).unwrap_or_default(),
            });
        }
    }
    Ok(past)
}
