//! Finds exports and their histories.

use std::collections::HashMap;

use uuid::Uuid;

use super::event_row::EventRow;
use super::export_row::select_exports;
use super::listed::readable;
use super::sql_parts::query_with_parts;
use super::{Store, StoreError};
use tableferry_domain::export::Export;
use tableferry_domain::export::event::Event;
use tableferry_domain::ids::ExportId;
use tableferry_domain::preflight::LaneLoad;

/// An export that this service stores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownExport {
    pub id: ExportId,
    pub s3_bucket: String,
}

impl Store {
    pub async fn find(&self, id: ExportId) -> Result<Option<Export>, StoreError> {
        select_exports!("WHERE e.id = $1", id.0)
            .fetch_optional(&self.pool)
            .await?
            .map(Export::try_from)
            .transpose()
    }

    /// Finds an export by its ARN at AWS.
    pub async fn find_by_arn(&self, arn: &str) -> Result<Option<Export>, StoreError> {
        select_exports!("WHERE e.export_arn = $1", arn)
            .fetch_optional(&self.pool)
            .await?
            .map(Export::try_from)
            .transpose()
    }

    /// Finds the export that retries this one.
    pub async fn retry_of(&self, id: ExportId) -> Result<Option<Export>, StoreError> {
        select_exports!("WHERE e.retry_of = $1", id.0)
            .fetch_optional(&self.pool)
            .await?
            .map(Export::try_from)
            .transpose()
    }

    /// Finds the export that this service started, or is starting, with this client token.
    pub async fn find_created_by_token(
        &self,
        table_arn: &str,
        client_token: &str,
    ) -> Result<Option<Export>, StoreError> {
        select_exports!(
            "WHERE e.table_arn = $1 AND e.client_token = $2 AND e.origin = 'created' LIMIT 1",
            table_arn,
            client_token
        )
        .fetch_optional(&self.pool)
        .await?
        .map(Export::try_from)
        .transpose()
    }

    /// The ARN of an export's table, and its bucket.
    pub async fn table_and_bucket(
        &self,
        id: ExportId,
    ) -> Result<Option<(String, String)>, StoreError> {
        let row = sqlx::query!(
            "SELECT table_arn, s3_bucket FROM exports WHERE id = $1",
            id.0
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| (row.table_arn, row.s3_bucket)))
    }

    /// The events of an export after `sequence`, oldest first.
    pub async fn events_after(
        &self,
        id: ExportId,
        sequence: i32,
    ) -> Result<Vec<Event>, StoreError> {
        let rows = sqlx::query_as!(
            EventRow,
            "SELECT export_id, sequence, type, at, export_status, detail, created_by FROM export_events
            WHERE export_id = $1 AND sequence > $2 ORDER BY sequence",
            id.0,
            sequence
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().filter_map(readable).collect())
    }

    /// The ARNs, in their order, that no stored export has.
    pub async fn unknown_arns(&self, arns: &[String]) -> Result<Vec<String>, StoreError> {
        let unknown = sqlx::query_scalar!(
            r#"SELECT arn AS "arn!" FROM unnest($1::text[]) WITH ORDINALITY AS given (arn, place)
            WHERE NOT EXISTS (SELECT FROM exports WHERE export_arn = arn) ORDER BY place"#,
            arns
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(unknown)
    }

    /// The stored exports with these ARNs.
    pub async fn known_arns(
        &self,
        arns: &[String],
    ) -> Result<HashMap<String, KnownExport>, StoreError> {
        let rows = sqlx::query!(
            r#"SELECT e.id, e.s3_bucket, given.arn AS "arn!" FROM unnest($1::text[]) AS given (arn) JOIN exports e ON e.export_arn = given.arn"#,
            arns
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| {
                (
                    row.arn,
                    KnownExport {
                        id: ExportId(row.id),
                        s3_bucket: row.s3_bucket,
                    },
                )
            })
            .collect())
    }

    /// How many exports of an account and region are in flight and how many wait.
    pub async fn lane_load(&self, account_id: &str, region: &str) -> Result<LaneLoad, StoreError> {
        // The count of waiting exports stops at 10,000, the most that callers see.
        let row = query_with_parts!(
            [
                "SELECT " {in_flight "$1"} r#" AS "in_flight!",
                (SELECT count(*) FROM (
                    SELECT FROM export_schedule f WHERE f.lane = $1 AND f.phase = 'START' AND f.start_sent_at IS NULL LIMIT 10000
                ) counted) AS "waiting!""#
            ],
            format!("{account_id}/{region}"),
        )
        .fetch_one(&self.pool)
        .await?;
        let count = |n: i64| u32::try_from(n).unwrap_or(u32::MAX);
        Ok(LaneLoad {
            in_flight: count(row.in_flight),
            waiting: count(row.waiting),
        })
    }

    /// The versions of these exports, without those that do not exist.
    pub async fn versions(&self, ids: &[Uuid]) -> Result<Vec<(ExportId, i32)>, StoreError> {
        let rows = sqlx::query!("SELECT id, version FROM exports WHERE id = ANY($1)", ids)
            .fetch_all(&self.pool)
            .await?;
        Ok(rows
            .into_iter()
            .map(|row| (ExportId(row.id), row.version))
            .collect())
    }
}
