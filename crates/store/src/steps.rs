//! Writes steps: of each the schedule, the export, its event, and what the change brings along
//! (webhook deliveries, a verification), if the export is still what was claimed. One statement
//! however many.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use sqlx::PgExecutor;
use sqlx::types::Json;
use uuid::Uuid;

use super::StoreError;
use super::columns::{SettledColumns, StateColumns, as_json};
use super::schedule::Phase;
use tableferry_domain::caller::CallerName;
use tableferry_domain::export::ExportStatus;
use tableferry_domain::ids::{DeliveryId, ExportId};
use tableferry_domain::public_url::PublicUrl;
use tableferry_domain::step::{Change, Claimed, NextLook, Outcome};
use tableferry_domain::timestamp::Timestamp;
use tableferry_domain::webhook::announcement::Announcement;

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
    /// It has ended well and its files are to be verified.
    verifies: bool,
    #[serde(flatten)]
    announcement: Option<AnnouncedRow>,
    #[serde(flatten)]
    state: StateColumns<'a>,
    #[serde(flatten)]
    settled: SettledColumns,
}

/// What webhooks tell of a change.
#[derive(Debug, Serialize)]
struct AnnouncedRow {
    /// The id of the callback's delivery, and what those of endpoints are made from.
    delivery_id: Uuid,
    webhook_type: &'static str,
    /// Null: made only if there is an endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_body: Option<String>,
    to_callback: bool,
}

/// Whether the bodies of webhooks come with steps that no callback hears of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bodies {
    /// All: there are endpoints, or may be.
    All,
    /// No: there was no endpoint lately. If there is one now, the statement leaves these steps out.
    ForCallbacks,
}

impl Step {
    /// What is to be written of this outcome; `by` is the caller who made it happen, if it was one.
    /// `delivery_id` is a new one; links in webhooks begin with `public_url`.
    ///
    /// # Errors
    /// None that can happen: the row has a form in JSON.
    pub(super) fn of(
        claimed: &Claimed,
        outcome: &Outcome,
        by: Option<&CallerName>,
        delivery_id: DeliveryId,
        bodies: Bodies,
        public_url: &PublicUrl,
    ) -> Result<Self, StoreError> {
        let status = outcome
            .change
            .as_ref()
            .map_or(claimed.export.status(), |change| change.export.status());
        let (delay, failures, in_doubt) = match outcome.next {
            NextLook::After {
                delay,
                failures,
                in_doubt,
            } => (Some(delay), failures, in_doubt),
            NextLook::Never => (None, 0, false),
        };
        let row = Row {
            export_id: claimed.export.id.0,
            claims: claimed.claim,
            claimed_version: claimed.export.version,
            delay_ms: delay.map(|delay| i64::try_from(delay.as_millis()).unwrap_or(i64::MAX)),
            failures,
            phase: if status == ExportStatus::Pending {
                Phase::Start
            } else {
                Phase::Follow
            }
            .as_str(),
            in_doubt,
            timed_out: status == ExportStatus::TimedOut,
            changes: outcome.change.is_some(),
            changed: outcome.change.as_ref().map(|change| {
                ChangedRow::of(
                    change,
                    by,
                    AnnouncedRow::of(change, delivery_id, bodies, public_url),
                )
            }),
        };
        Ok(Self {
            export_id: claimed.export.id,
            row: as_json(&row)?,
        })
    }
}

impl<'a> ChangedRow<'a> {
    fn of(
        change: &'a Change,
        by: Option<&'a CallerName>,
        announcement: Option<AnnouncedRow>,
    ) -> Self {
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
            verifies: export.request.verify && export.status() == ExportStatus::Completed,
            announcement,
            state: StateColumns::from(export),
            settled: SettledColumns::from(export),
        }
    }
}

impl AnnouncedRow {
    fn of(
        change: &Change,
        delivery_id: DeliveryId,
        bodies: Bodies,
        public_url: &PublicUrl,
    ) -> Option<Self> {
        let announcement = Announcement::of(change)?;
        let to_callback = announcement.callback().is_some();
        let webhook_body =
            (to_callback || bodies == Bodies::All).then(|| announcement.body(public_url));
        Some(Self {
            delivery_id: delivery_id.0,
            webhook_type: announcement.event_type.as_str(),
            webhook_body,
            to_callback,
        })
    }
}

/// What the statement says of a step that it wrote.
#[derive(Debug, Deserialize)]
struct WrittenRow {
    export_id: Uuid,
    #[serde(flatten)]
    written: Written,
}

/// What became of a step that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct Written {
    /// How many webhook deliveries were written with it.
    pub(super) deliveries: usize,
    /// Whether there are webhook endpoints that are not disabled.
    pub(super) has_endpoints: bool,
}

/// Writes steps of different exports, in this order. Those that were written, by their exports.
///
/// A start must be of the same claim, since its claim says whether it is on its way to AWS; a look
/// may come late, and then only its version counts. The schedule's rows are taken first, as
/// claiming and cancelling do: all lock in the same order. A delivery's id is made of the step's
/// and its endpoint's: a UUID of version 7 with the step's time.
pub(super) async fn write(
    executor: impl PgExecutor<'_>,
    steps: &[&Step],
) -> Result<HashMap<ExportId, Written>, StoreError> {
    let rows: Vec<&str> = steps.iter().map(|step| step.row.as_str()).collect();
    let written = sqlx::query_scalar!(
        r#"WITH endpoints AS MATERIALIZED (
            SELECT id, url, event_types, labels FROM webhook_endpoints WHERE disabled_at IS NULL
        ), held AS MATERIALIZED (
            SELECT step.* FROM json_to_recordset($1::text::json) AS step (export_id uuid, claims integer, claimed_version integer,
                delay_ms bigint, failures integer, phase text, in_doubt boolean, timed_out boolean, changes boolean,
                version integer, updated_at timestamptz, export_status text, status_reason text, client_token text,
                client_token_made_at timestamptz, event text, detail text, created_by text, verifies boolean,
                delivery_id uuid, webhook_type text, webhook_body text, to_callback boolean,
                export_arn text, table_id text, start_time timestamptz, end_time timestamptz, item_count bigint,
                billed_size_in_bytes bigint, manifest_key text, failure_source text, failure_code text, failure_message text,
                start_in_doubt boolean, s3_sse_algorithm text, export_time timestamptz, export_from_time timestamptz, export_to_time timestamptz,
                export_view_type text),
            LATERAL (
                SELECT FROM export_schedule s
                WHERE s.export_id = step.export_id AND (s.claims = step.claims OR s.phase = 'FOLLOW')
                    AND EXISTS (SELECT FROM exports e WHERE e.id = step.export_id AND e.version = step.claimed_version)
                    AND (step.webhook_type IS NULL OR step.webhook_body IS NOT NULL OR NOT EXISTS (SELECT FROM endpoints))
                FOR UPDATE
            ) scheduled
        ), changed AS (
            UPDATE exports e SET version = held.version, updated_at = held.updated_at, export_status = held.export_status,
                status_reason = held.status_reason, client_token = held.client_token, client_token_made_at = held.client_token_made_at,
                export_arn = held.export_arn, table_id = held.table_id, start_time = held.start_time, end_time = held.end_time,
                item_count = held.item_count, billed_size_in_bytes = held.billed_size_in_bytes, manifest_key = held.manifest_key,
                failure_source = held.failure_source, failure_code = held.failure_code, failure_message = held.failure_message,
                start_in_doubt = held.start_in_doubt,
                s3_sse_algorithm = held.s3_sse_algorithm, export_time = held.export_time, export_from_time = held.export_from_time,
                export_to_time = held.export_to_time, export_view_type = held.export_view_type
            FROM held WHERE held.changes AND e.id = held.export_id AND e.version = held.claimed_version
            RETURNING e.id, held.version, held.event, held.updated_at, held.export_status, held.detail, held.created_by, held.verifies,
                held.delivery_id, held.webhook_type, held.webhook_body, held.to_callback, e.labels, e.callback_url, e.callback_secret, e.callback_headers
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
        ), verifications AS (
            INSERT INTO export_verifications (export_id, deep, status, due_at, started_at)
            SELECT id, false, 'running', now(), updated_at FROM changed WHERE verifies
            ON CONFLICT (export_id) DO NOTHING
        ), to_callbacks AS (
            INSERT INTO webhook_deliveries (id, export_id, event_type, url, signing_secret, sealed_headers, body, status, due_at, created_at)
            SELECT delivery_id, id, webhook_type, callback_url, callback_secret, callback_headers, webhook_body, 'PENDING', now(), updated_at
            FROM changed WHERE to_callback
            RETURNING export_id
        ), to_endpoints AS (
            INSERT INTO webhook_deliveries (id, endpoint_id, url, export_id, event_sequence, event_type, body, status, due_at, created_at)
            SELECT (replace(left(c.delivery_id::text, 15), '-', '') || left(hash, 3) || '8' || substr(hash, 4, 15))::uuid,
                w.id, w.url, c.id, c.version, c.webhook_type, c.webhook_body, 'PENDING', now(), c.updated_at
            FROM changed c JOIN endpoints w
                ON c.webhook_type IS NOT NULL AND (w.event_types = '{}' OR c.webhook_type = ANY (w.event_types)) AND w.labels <@ c.labels,
                LATERAL md5(c.delivery_id::text || w.id::text) AS hash
            ON CONFLICT (endpoint_id, export_id, event_sequence) DO NOTHING
            RETURNING export_id
        )
        SELECT json_build_object('export_id', due.export_id,
            'deliveries', (SELECT count(*) FROM to_callbacks d WHERE d.export_id = due.export_id)
                + (SELECT count(*) FROM to_endpoints d WHERE d.export_id = due.export_id),
            'has_endpoints', EXISTS (SELECT FROM endpoints)) AS "written!: Json<WrittenRow>"
        FROM due"#,
        format!("[{}]", rows.join(",")),
    )
    // Planned anew each time, which many steps share: a plan made while the tables were small would
    // read all of them for ever.
    .persistent(false)
    .fetch_all(executor)
    .await?;
    Ok(written
        .into_iter()
        .map(|Json(row)| (ExportId(row.export_id), row.written))
        .collect())
}
