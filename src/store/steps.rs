//! Writes steps: of each the schedule, the export and its event, if the export is still what was claimed. One statement however many.

use std::collections::HashSet;

use serde::Serialize;
use sqlx::PgExecutor;
use uuid::Uuid;

use super::StoreError;
use super::columns::{SettledColumns, StateColumns, as_json};
use super::schedule::Phase;
use crate::domain::caller::CallerName;
use crate::domain::export::ExportStatus;
use crate::domain::ids::ExportId;
use crate::domain::step::{Change, Claimed, NextLook, Outcome};
use crate::domain::timestamp::Timestamp;

/// A step that is to be written.
#[derive(Debug)]
pub(super) struct Step {
    /// Its export.
    pub(super) export_id: ExportId,
    /// A [`Row`] as JSON: it outlives the export that it was made from.
    row: String,
}

/// What the statement reads of a step, under the names that it uses.
#[derive(Debug, Serialize)]
struct Row<'a> {
    export_id: Uuid,
    claims: i32,
    claimed_version: i32,
    /// Null: it is never looked at again.
    delay_ms: Option<i64>,
    failures: u32,
    phase: &'static str,
    in_doubt: bool,
    timed_out: bool,
    changes: bool,
    #[serde(flatten)]
    changed: Option<ChangedRow<'a>>,
}

/// What a change writes.
#[derive(Debug, Serialize)]
struct ChangedRow<'a> {
    version: i32,
    updated_at: Timestamp,
    export_status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_token_made_at: Option<Timestamp>,
    event: &'static str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_by: Option<&'a str>,
    #[serde(flatten)]
    state: StateColumns<'a>,
    #[serde(flatten)]
    settled: SettledColumns,
}

impl Step {
    /// What is to be written of this outcome; `by` is the caller who made it happen, if it was one.
    ///
    /// # Errors
    /// None that can happen: the row has a form in JSON.
    pub(super) fn of(claimed: &Claimed, outcome: &Outcome, by: Option<&CallerName>) -> Result<Self, StoreError> {
        let status = outcome.change.as_ref().map_or(claimed.export.status(), |change| change.export.status());
        let (delay, failures, in_doubt) = match outcome.next {
            NextLook::After { delay, failures, in_doubt } => (Some(delay), failures, in_doubt),
            NextLook::Never => (None, 0, false),
        };
        let row = Row {
            export_id: claimed.export.id.0,
            claims: claimed.claim,
            claimed_version: claimed.export.version,
            delay_ms: delay.map(|delay| i64::try_from(delay.as_millis()).unwrap_or(i64::MAX)),
            failures,
            phase: if status == ExportStatus::Pending { Phase::Start } else { Phase::Follow }.as_str(),
            in_doubt,
            timed_out: status == ExportStatus::TimedOut,
            changes: outcome.change.is_some(),
            changed: outcome.change.as_ref().map(|change| ChangedRow::of(change, by)),
        };
        Ok(Self { export_id: claimed.export.id, row: as_json(&row)? })
    }
}

impl<'a> ChangedRow<'a> {
    fn of(change: &'a Change, by: Option<&'a CallerName>) -> Self {
        let export = &change.export;
        Self {
            version: export.version,
            updated_at: export.updated_at,
            export_status: export.status().as_str(),
            status_reason: export.status_reason.as_deref(),
            client_token: export.origin.client_token().map(|token| token.as_str()),
            client_token_made_at: export.origin.token_made_at(),
            event: change.event.as_str(),
            detail: &change.detail,
            created_by: by.map(CallerName::as_str),
            state: StateColumns::from(export),
            settled: SettledColumns::from(export),
        }
    }
}

/// Whether steps are written without anything that must be written with them: then they need no transaction around them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alone {
    /// Unless there is an endpoint that may want to hear of them.
    Yes,
    /// What must follow is written next, in the same transaction.
    No,
}

/// Writes steps of different exports, in this order. The exports of which it was written.
///
/// A start must be of the same claim, since its claim says whether it is on its way to AWS; a look may come late, and then only its
/// version counts. The schedule's rows are taken first, as claiming and cancelling do: all lock in the same order.
pub(super) async fn write(executor: impl PgExecutor<'_>, steps: &[&Step], alone: Alone) -> Result<HashSet<ExportId>, StoreError> {
    let rows: Vec<&str> = steps.iter().map(|step| step.row.as_str()).collect();
    let written = sqlx::query_scalar!(
        r#"WITH held AS MATERIALIZED (
            SELECT step.* FROM json_to_recordset($1::text::json) AS step (export_id uuid, claims integer, claimed_version integer,
                delay_ms bigint, failures integer, phase text, in_doubt boolean, timed_out boolean, changes boolean,
                version integer, updated_at timestamptz, export_status text, status_reason text, client_token text,
                client_token_made_at timestamptz, event text, detail text, created_by text,
                export_arn text, table_id text, start_time timestamptz, end_time timestamptz, item_count bigint,
                billed_size_in_bytes bigint, manifest_key text, failure_source text, failure_code text, failure_message text,
                s3_sse_algorithm text, export_time timestamptz, export_from_time timestamptz, export_to_time timestamptz,
                export_view_type text),
            LATERAL (
                SELECT FROM export_schedule s
                WHERE s.export_id = step.export_id AND (s.claims = step.claims OR s.phase = 'FOLLOW')
                    AND EXISTS (SELECT FROM exports e WHERE e.id = step.export_id AND e.version = step.claimed_version)
                    AND NOT ($2 AND EXISTS (SELECT FROM webhook_endpoints WHERE disabled_at IS NULL))
                FOR UPDATE
            ) scheduled
        ), changed AS (
            UPDATE exports e SET version = held.version, updated_at = held.updated_at, export_status = held.export_status,
                status_reason = held.status_reason, client_token = held.client_token, client_token_made_at = held.client_token_made_at,
                export_arn = held.export_arn, table_id = held.table_id, start_time = held.start_time, end_time = held.end_time,
                item_count = held.item_count, billed_size_in_bytes = held.billed_size_in_bytes, manifest_key = held.manifest_key,
                failure_source = held.failure_source, failure_code = held.failure_code, failure_message = held.failure_message,
                s3_sse_algorithm = held.s3_sse_algorithm, export_time = held.export_time, export_from_time = held.export_from_time,
                export_to_time = held.export_to_time, export_view_type = held.export_view_type
            FROM held WHERE held.changes AND e.id = held.export_id AND e.version = held.claimed_version
            RETURNING e.id, held.version, held.event, held.updated_at, held.export_status, held.detail, held.created_by
        ), due AS MATERIALIZED (
            SELECT * FROM held WHERE NOT changes OR export_id IN (SELECT id FROM changed)
        ), later AS (
            UPDATE export_schedule s SET
                due_at = now() + due.delay_ms * interval '1 millisecond', delay_ms = due.delay_ms, failures = due.failures,
                phase = due.phase, timed_out = due.timed_out,
                start_sent_at = CASE WHEN due.phase = 'START' AND due.in_doubt THEN coalesce(s.start_sent_at, now()) END
            FROM due WHERE due.delay_ms IS NOT NULL AND s.export_id = due.export_id
        ), never AS (
            DELETE FROM export_schedule s USING due WHERE due.delay_ms IS NULL AND s.export_id = due.export_id
        ), told AS (
            INSERT INTO export_events (export_id, sequence, type, at, export_status, detail, created_by)
            SELECT id, version, event, updated_at, export_status, detail, created_by FROM changed
        )
        SELECT export_id AS "export_id!" FROM due"#,
        format!("[{}]", rows.join(",")),
        alone == Alone::Yes,
    )
    // Planned anew each time, which many steps share: a plan made while the tables were small would read all of them for ever.
    .persistent(false)
    .fetch_all(executor)
    .await?;
    Ok(written.into_iter().map(ExportId).collect())
}
