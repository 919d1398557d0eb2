//! The statement that inserts new exports, each with its first event, its labels and its place in
//! the schedule.

use std::time::Duration;

use serde::Serialize;
use sqlx::PgExecutor;
use uuid::Uuid;

use crate::export_row::{ExportRow, as_json, export_columns};
use crate::{StoreError, label_bloom};
use tableferry_domain::export::Export;
use tableferry_domain::export::event::EventKind;
use tableferry_domain::export::labels::Labels;
use tableferry_domain::hex::hex;
use tableferry_domain::ids::ExportId;

/// A request that came with an `Idempotency-Key`.
#[derive(Debug, Clone)]
pub struct KeyedRequest {
    pub key: String,
    /// The SHA-256 of the body.
    pub fingerprint: [u8; 32],
}

/// An export of version 1 that is to be stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewExport<'a> {
    pub(crate) export: &'a Export,
    pub(crate) key: Option<&'a KeyedRequest>,
}

/// The first event of the exports of one statement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InitialEvent<'a> {
    pub(crate) event: EventKind,
    pub(crate) detail: &'a str,
    /// How long after now they are due.
    pub(crate) delay: Duration,
}

/// A row of `exports` under the names of its columns.
#[derive(Debug, Serialize)]
struct NewRow<'a> {
    #[serde(flatten)]
    export: ExportRow,
    account_id: &'a str,
    region: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_fingerprint: Option<String>,
}

impl<'a> From<&NewExport<'a>> for NewRow<'a> {
    fn from(new: &NewExport<'a>) -> Self {
        let table_arn = &new.export.request.table_arn;
        Self {
            export: new.export.into(),
            account_id: table_arn.account_id(),
            region: table_arn.region(),
            idempotency_key: new.key.map(|key| key.key.as_str()),
            request_fingerprint: new.key.map(|key| bytea(&key.fingerprint)),
        }
    }
}

/// Rows of `export_labels`, a column each.
#[derive(Debug, Default)]
struct LabelColumns {
    labels: Vec<String>,
    export_ids: Vec<Uuid>,
    blooms: Vec<i64>,
}

impl LabelColumns {
    fn for_exports(new: &[NewExport<'_>]) -> Self {
        let mut columns = Self::default();
        for NewExport { export, .. } in new {
            let labels = export.request.labels.as_map();
            if labels.is_empty() {
                continue;
            }
            let bloom = label_bloom::for_export(&export.request);
            for (key, value) in labels {
                columns.labels.push(Labels::entry(key, value));
                columns.export_ids.push(export.id.0);
                columns.blooms.push(bloom);
            }
        }
        columns
    }
}

/// Bytes in the form that Postgres reads.
fn bytea(bytes: &[u8]) -> String {
    format!("\\x{}", hex(bytes))
}

/// The statement of [`insert`].
macro_rules! insert_query {
    (
        ($($argument:expr),* $(,)?)
        [$($fixed:ident $fixed_sql:literal $fixed_type:ty,)*]
        [$($changing:ident $changing_sql:literal $changing_type:ty,)*]
    ) => {
        sqlx::query_scalar!(
            "WITH stored AS (
            INSERT INTO exports (account_id, region, idempotency_key, request_fingerprint"
                $(+ ", " + $fixed_sql)* $(+ ", " + $changing_sql)* + ")
            SELECT account_id, region, idempotency_key, request_fingerprint"
                $(+ ", " + $fixed_sql)* $(+ ", " + $changing_sql)* + "
            FROM json_populate_recordset(NULL::exports, $1::text::json)
            ON CONFLICT DO NOTHING
            RETURNING id, version, created_at, created_by, origin, account_id, region, create_timeout_ms, export_status
        ), scheduled AS (
            INSERT INTO export_schedule (export_id, lane, due_at, delay_ms, phase, deadline_at)
            SELECT id, account_id || '/' || region, now() + $2 * interval '1 second', 0,
                CASE origin WHEN 'created' THEN 'START' ELSE 'FOLLOW' END, created_at + create_timeout_ms * interval '1 millisecond'
            FROM stored WHERE export_status IN ('PENDING', 'IN_PROGRESS')
        ), inserted_labels AS (
            INSERT INTO export_labels (label, export_id, marks)
            SELECT each.label, stored.id, each.marks
            FROM unnest($5::text[], $6::uuid[], $7::bigint[]) AS each (label, export_id, marks) JOIN stored ON stored.id = each.export_id
        ), inserted_events AS (
            INSERT INTO export_events (export_id, sequence, type, at, export_status, detail, created_by)
            SELECT id, version, $3, created_at, export_status, $4, created_by FROM stored
        )
        SELECT id FROM stored",
            $($argument,)*
        )
    };
}

/// Inserts these exports and returns the ids of those that were stored. Exports that conflict with
/// what is stored, or with one before them, are left out.
///
/// The rows travel as one JSON array, which Postgres reads into the table's own row type.
pub(crate) async fn insert(
    executor: impl PgExecutor<'_>,
    new: &[NewExport<'_>],
    initial: InitialEvent<'_>,
) -> Result<Vec<ExportId>, StoreError> {
    let rows: Vec<NewRow<'_>> = new.iter().map(NewRow::from).collect();
    let rows = as_json(&rows)?;
    let labels = LabelColumns::for_exports(new);
    let stored = export_columns!([insert_query](
        rows,
        initial.delay.as_secs_f64(),
        initial.event.as_str(),
        initial.detail,
        &labels.labels,
        &labels.export_ids,
        &labels.blooms,
    ))
    .fetch_all(executor)
    .await?;
    Ok(stored.into_iter().map(ExportId).collect())
}
