//! What past exports say about those that are accepted now: a few rows for each, by one statement.

use std::time::Duration;

use sqlx::PgExecutor;

use super::{Store, StoreError};
use tableferry_domain::estimate::{PastExport, comparable_size};
use tableferry_domain::request::ExportRequest;

/// What past exports are looked for by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Alike {
    table_arn: String,
    export_type: &'static str,
    size_bytes: Option<i64>,
}

impl Alike {
    /// What is like this request, of a table of this size if that is known.
    pub(super) fn to(request: &ExportRequest, table_size_bytes: Option<i64>) -> Self {
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
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn past_exports(
        &self,
        request: &ExportRequest,
        table_size_bytes: Option<i64>,
    ) -> Result<Vec<PastExport>, StoreError> {
        let past = past_exports(&self.pool, &[Alike::to(request, table_size_bytes)]).await?;
        Ok(past.into_iter().next().unwrap_or_default())
    }
}

/// The past exports for each of these, in their order.
pub(super) async fn past_exports(
    executor: impl PgExecutor<'_>,
    asked: &[Alike],
) -> Result<Vec<Vec<PastExport>>, StoreError> {
    let tables: Vec<String> = asked.iter().map(|one| one.table_arn.clone()).collect();
    let types: Vec<String> = asked.iter().map(|one| one.export_type.to_owned()).collect();
    let sizes: Vec<Option<i64>> = asked.iter().map(|one| one.size_bytes).collect();
    let rows = sqlx::query!(
        r#"SELECT asked.place AS "place!", past.of_this_table AS "of_this_table!", past.billed_size_in_bytes,
            extract(epoch FROM past.end_time - past.start_time)::float8 AS "seconds!"
        FROM unnest($1::text[], $2::text[], $3::bigint[]) WITH ORDINALITY AS asked (table_arn, export_type, size_bytes, place), LATERAL (
            WITH own AS (
                SELECT id, true AS of_this_table, export_type, billed_size_in_bytes, start_time, end_time FROM exports e
                WHERE e.table_arn = asked.table_arn AND e.export_type = asked.export_type AND e.export_status = 'COMPLETED'
                    AND end_time > start_time
                ORDER BY id DESC LIMIT 5
            ), recent AS (
                SELECT id, false AS of_this_table, export_type, billed_size_in_bytes, start_time, end_time FROM exports
                WHERE export_status = 'COMPLETED' AND asked.size_bytes IS NOT NULL AND NOT EXISTS (SELECT FROM own)
                ORDER BY id DESC LIMIT 200
            )
            SELECT * FROM own
            UNION ALL
            SELECT * FROM recent r
            WHERE r.export_type = asked.export_type AND end_time > start_time
                AND billed_size_in_bytes BETWEEN asked.size_bytes / 2 AND asked.size_bytes * 2
        ) past
        ORDER BY asked.place, past.id DESC"#,
        &tables,
        &types,
        &sizes as &[Option<i64>],
    )
    .fetch_all(executor)
    .await?;
    let mut past = vec![Vec::new(); asked.len()];
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
