//! Pages of exports, newest first.
//!
//! First a statement finds the ids of the page. It has only the conditions that the caller gave,
//! and is planned with their values where that matters, so that Postgres uses the index that fits
//! them. Then the exports are loaded by their ids.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::{Postgres, QueryBuilder};
use time::OffsetDateTime;
use tokio::time::timeout;
use uuid::Uuid;

use super::export_row::select_exports;
use super::listed::{Listed, readable};
use super::page::{ExportFilter, Page};
use super::pool::{ACQUIRE_LIMIT, Connection};
use super::{Store, StoreError, label_bloom};
use tableferry_domain::caller::allow::Pattern;
use tableferry_domain::export::Export;
use tableferry_domain::export::labels::Labels;
use tableferry_domain::timestamp::Timestamp;

/// The maximum difference between the time in an export's id and its `created_at`: the id is drawn
/// before the request is checked, and the clock may be set back.
const SLACK: std::time::Duration = std::time::Duration::from_secs(300);

impl Store {
    /// One page of the exports that match, newest first.
    pub async fn list(
        &self,
        filter: &ExportFilter,
        page: Page,
    ) -> Result<Vec<Listed<Export>>, StoreError> {
        let mut connection = self.list_connection().await?;
        let mut ids = ids(filter, page);
        let ids: Vec<Uuid> = ids
            .build_query_scalar()
            .persistent(may_keep_its_plan(filter))
            .fetch_all(&mut connection)
            .await?;
        let rows = select_exports!("WHERE e.id = ANY($1) ", &ids)
            .fetch_all(&mut connection)
            .await?;
        drop(connection);
        // In the order of the ids; an export that was deleted in between keeps its place, because a
        // shorter page would look like the last one.
        let mut exports: HashMap<Uuid, Option<Export>> = rows
            .into_iter()
            .map(|row| (row.id, readable(row)))
            .collect();
        Ok(ids
            .into_iter()
            .map(|id| Listed {
                id,
                value: exports.remove(&id).flatten(),
            })
            .collect())
    }

    /// Waits for a permit to read a list, and for a connection.
    async fn list_connection(&self) -> Result<Connection, StoreError> {
        let permit = timeout(ACQUIRE_LIMIT, Arc::clone(&self.lists).acquire_owned())
            .await
            .map_err(|_| sqlx::Error::PoolTimedOut)?;
        Ok(self
            .pool
            .acquire()
            .await?
            .with_list_permit(permit.map_err(|_| sqlx::Error::PoolClosed)?))
    }
}

/// Whether the page can be read from one index only, so that a cached plan fits all values.
/// Otherwise the best plan depends on how rare the values are.
fn may_keep_its_plan(filter: &ExportFilter) -> bool {
    filter.labels.len() <= 1 && !asks_exports(filter)
}

/// Whether the filter has conditions besides labels.
fn asks_exports(filter: &ExportFilter) -> bool {
    filter.status.is_some()
        || filter.table_arn.is_some()
        || filter.s3_bucket.is_some()
        || filter.export_type.is_some()
        || filter.created_after.is_some()
        || filter.created_before.is_some()
        || !filter.allow.is_everything()
}

/// The statement that finds the ids of a page.
fn ids(filter: &ExportFilter, page: Page) -> QueryBuilder<Postgres> {
    let mut labels = filter
        .labels
        .iter()
        .map(|(key, value)| Labels::entry(key, value))
        .enumerate();
    let of_export = asks_exports(filter);
    let id = if filter.labels.is_empty() {
        "e.id"
    } else {
        "l0.export_id"
    };
    // Postgres does not infer that a bound on one of two equal columns holds for the other, and
    // would read the other index from its end.
    let bounded: &[&str] = match (filter.labels.is_empty(), of_export) {
        (true, _) => &["e.id"],
        (false, true) => &["l0.export_id", "e.id"],
        (false, false) => &["l0.export_id"],
    };
    let mut query = QueryBuilder::new(format!("SELECT {id} FROM "));
    query.push(match (filter.labels.is_empty(), of_export) {
        (true, _) => "exports e",
        (false, true) => "export_labels l0 JOIN exports e ON e.id = l0.export_id",
        (false, false) => "export_labels l0",
    });
    for n in 1..filter.labels.len() {
        query.push(format!(
            " JOIN export_labels l{n} ON l{n}.export_id = l0.export_id"
        ));
    }
    query.push(" WHERE true");
    labels.by_ref().for_each(|(n, label)| {
        query.push(format!(" AND l{n}.label = ")).push_bind(label);
    });
    if let Some(bloom) = label_bloom::for_filter(filter) {
        for n in 0..filter.labels.len() {
            query
                .push(format!(" AND (l{n}.marks & "))
                .push_bind(bloom)
                .push(") = ")
                .push_bind(bloom);
        }
    }
    let equal = [
        ("export_status", filter.status),
        ("table_arn", filter.table_arn.as_deref()),
        ("s3_bucket", filter.s3_bucket.as_deref()),
        ("export_type", filter.export_type),
    ];
    for (column, value) in equal {
        if let Some(value) = value {
            query.push(format!(" AND e.{column} = ")).push_bind(value);
        }
    }
    for (column, patterns) in [
        ("table_arn", filter.allow.tables()),
        ("s3_bucket", filter.allow.buckets()),
    ] {
        if !patterns.is_empty() {
            let patterns: Vec<_> = patterns.iter().map(Pattern::to_like).collect();
            query
                .push(format!(" AND e.{column} LIKE ANY ("))
                .push_bind(patterns)
                .push(")");
        }
    }
    if let Some(after) = filter.created_after {
        query
            .push(" AND e.created_at >= ")
            .push_bind(OffsetDateTime::from(after));
        bound(&mut query, bounded, ">=", first_id(after.minus(SLACK)));
    }
    if let Some(before) = filter.created_before {
        query
            .push(" AND e.created_at < ")
            .push_bind(OffsetDateTime::from(before));
        bound(&mut query, bounded, "<", first_id(before.plus(SLACK)));
    }
    if let Some(before) = page.before {
        bound(&mut query, bounded, "<", before);
    }
    query.push(format!(" ORDER BY {id} DESC LIMIT "));
    if may_keep_its_plan(filter) {
        // Part of the text: with a parameter, Postgres would estimate the cached plan for very many
        // rows, and plan again each time.
        query.push(page.size);
    } else {
        query.push_bind(page.size);
    }
    query
}

fn bound(query: &mut QueryBuilder<Postgres>, columns: &[&str], operator: &str, id: Uuid) {
    for column in columns {
        query
            .push(format!(" AND {column} {operator} "))
            .push_bind(id);
    }
}

/// The lowest UUIDv7 of a time: its milliseconds, followed by zeros.
fn first_id(at: Timestamp) -> Uuid {
    let milliseconds = OffsetDateTime::from(at).unix_timestamp_nanos() / 1_000_000;
    // Ids have no times before 1970 and after 10889: the nearest bound selects the same exports.
    let milliseconds = u64::try_from(milliseconds.clamp(0, (1 << 48) - 1)).unwrap_or(0);
    Uuid::from_u128(u128::from(milliseconds) << 80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_id_of_a_time_lies_before_every_id_of_it() {
        let at = Timestamp::parse("2026-11-26T08:00:00.123Z").unwrap();
        let made = |ms: i64| {
            let at = OffsetDateTime::from(at) + time::Duration::milliseconds(ms);
            Uuid::new_v7(uuid::Timestamp::from_unix(
                uuid::NoContext,
                at.unix_timestamp().unsigned_abs(),
                at.nanosecond(),
            ))
        };
        assert!(first_id(at) <= made(0) && made(-1) < first_id(at));
        assert_eq!(
            first_id(Timestamp::parse("0001-01-01T00:00:00Z").unwrap()),
            Uuid::nil()
        );
    }

    #[test]
    fn only_what_is_asked_for_is_in_the_statement() {
        let page = Page {
            size: 50,
            before: None,
        };
        let sql = |filter: &ExportFilter| ids(filter, page).sql().as_str().to_owned();
        assert_eq!(
            sql(&ExportFilter::default()),
            "SELECT e.id FROM exports e WHERE true ORDER BY e.id DESC LIMIT 50"
        );
        let labels = [
            ("a".to_owned(), "1".to_owned()),
            ("b".to_owned(), "2".to_owned()),
        ]
        .into();
        let filter = ExportFilter {
            labels,
            ..ExportFilter::default()
        };
        assert_eq!(
            sql(&filter),
            "SELECT l0.export_id FROM export_labels l0 JOIN export_labels l1 ON l1.export_id = l0.export_id \
            WHERE true AND l0.label = $1 AND l1.label = $2 AND (l0.marks & $3) = $4 AND (l1.marks & $5) = $6 \
            ORDER BY l0.export_id DESC LIMIT $7"
        );
    }
}
