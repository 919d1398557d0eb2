//! The statement that writes outcomes: of each the schedule, the export, its event, and what the
//! change brings along (webhook deliveries, a verification), if the export is still what was
//! claimed.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use sqlx::PgExecutor;
use sqlx::types::Json;
use uuid::Uuid;

use crate::StoreError;
use crate::export_row::{ChangingColumns, ExportRow, as_json, export_columns};
use crate::schedule::ExportPhase;
use tableferry_api_types::webhook::export_body;
use tableferry_domain::caller::CallerName;
use tableferry_domain::export::ExportStatus;
use tableferry_domain::ids::{DeliveryId, ExportId};
use tableferry_domain::lifecycle::outcome::{Change, Claimed, NextPoll, Outcome};
use tableferry_domain::public_url::PublicUrl;
use tableferry_domain::webhook::announcement::Announcement;

/// An outcome in the form in which it is written.
#[derive(Debug)]
pub(crate) struct PreparedOutcome {
    pub(crate) export_id: ExportId,
    /// A [`Row`] as JSON: it outlives the export that it was made from.
    row: String,
}

/// What the statement reads of an outcome, under the names that it uses.
#[derive(Debug, Serialize)]
struct Row<'a> {
    export_id: Uuid,
    claims: i32,
    claimed_version: i32,
    /// Null: the export is never polled again.
    delay_ms: Option<i64>,
    failures: u32,
    phase: &'static str,
    in_doubt: bool,
    timed_out: bool,
    changes: bool,
    #[serde(flatten)]
    changed: Option<ChangedRow<'a>>,
}

/// What a change writes besides the schedule.
#[derive(Debug, Serialize)]
struct ChangedRow<'a> {
    version: i32,
    /// The columns of the export, under their names in `exports`.
    columns: ChangingColumns,
    event: &'static str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_by: Option<&'a str>,
    /// The export has become COMPLETED and its files are to be verified.
    verifies: bool,
    #[serde(flatten)]
    announcement: Option<AnnouncedRow>,
}

/// The webhook deliveries of a change.
#[derive(Debug, Serialize)]
struct AnnouncedRow {
    /// The id of the callback's delivery; the ids of endpoints' deliveries are derived from it.
    delivery_id: Uuid,
    webhook_type: &'static str,
    /// Null: not made, because no endpoint was known (see [`Bodies`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_body: Option<String>,
    to_callback: bool,
}

/// For which outcomes the bodies of webhooks are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bodies {
    /// For all: there are endpoints, or may be.
    All,
    /// For those with a callback: there was no endpoint lately. If there is one now, the statement
    /// does not write the other outcomes.
    ForCallbacks,
}

impl PreparedOutcome {
    /// `by` is the caller whose request led to the outcome; `None` if there was no request.
    /// `delivery_id` is a new one; links in webhooks begin with `public_url`.
    pub(crate) fn new(
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
            NextPoll::After {
                delay,
                failures,
                in_doubt,
            } => (Some(delay), failures, in_doubt),
            NextPoll::Never => (None, 0, false),
        };
        let row = Row {
            export_id: claimed.export.id.0,
            claims: claimed.claim,
            claimed_version: claimed.export.version,
            delay_ms: delay.map(|delay| i64::try_from(delay.as_millis()).unwrap_or(i64::MAX)),
            failures,
            phase: if status == ExportStatus::Pending {
                ExportPhase::Start
            } else {
                ExportPhase::Poll
            }
            .as_str(),
            in_doubt,
            timed_out: status == ExportStatus::TimedOut,
            changes: outcome.change.is_some(),
            changed: outcome.change.as_ref().map(|change| {
                ChangedRow::new(
                    change,
                    by,
                    AnnouncedRow::new(change, delivery_id, bodies, public_url),
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
    fn new(
        change: &'a Change,
        by: Option<&'a CallerName>,
        announcement: Option<AnnouncedRow>,
    ) -> Self {
        let export = &change.export;
        Self {
            version: export.version,
            columns: ChangingColumns(ExportRow::from(export)),
            event: change.event.as_str(),
            detail: &change.detail,
            created_by: by.map(CallerName::as_str),
            verifies: export.request.verify && export.status() == ExportStatus::Completed,
            announcement,
        }
    }
}

impl AnnouncedRow {
    fn new(
        change: &Change,
        delivery_id: DeliveryId,
        bodies: Bodies,
        public_url: &PublicUrl,
    ) -> Option<Self> {
        let announcement = Announcement::for_change(change)?;
        let to_callback = announcement.callback().is_some();
        let webhook_body =
            (to_callback || bodies == Bodies::All).then(|| export_body(&announcement, public_url));
        Some(Self {
            delivery_id: delivery_id.0,
            webhook_type: announcement.event_type.as_str(),
            webhook_body,
            to_callback,
        })
    }
}

/// What the statement returns for each outcome that it wrote.
#[derive(Debug, Deserialize)]
struct WrittenRow {
    export_id: Uuid,
    #[serde(flatten)]
    written: Written,
}

/// The result of writing an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct Written {
    /// How many webhook deliveries were written with it.
    pub(crate) deliveries: usize,
    /// Whether there are webhook endpoints that are not disabled.
    pub(crate) has_endpoints: bool,
}

/// The statement of [`write()`].
macro_rules! write_query {
    (
        ($rows:expr)
        [$($fixed:ident $fixed_sql:literal $fixed_type:ty,)*]
        [$($changing:ident $changing_sql:literal $changing_type:ty,)*]
    ) => {
        sqlx::query_scalar!(
            "WITH endpoints AS MATERIALIZED (
            SELECT id, url, event_types, labels FROM webhook_endpoints WHERE disabled_at IS NULL
        ), locked AS MATERIALIZED (
            SELECT outcome.*, json_populate_record(NULL::exports, outcome.columns) AS new
            FROM json_to_recordset($1::text::json) AS outcome (export_id uuid, claims integer, claimed_version integer,
                delay_ms bigint, failures integer, phase text, in_doubt boolean, timed_out boolean, changes boolean,
                version integer, columns json, event text, detail text, created_by text, verifies boolean,
                delivery_id uuid, webhook_type text, webhook_body text, to_callback boolean),
            LATERAL (
                SELECT FROM export_schedule s
                WHERE s.export_id = outcome.export_id AND (s.claims = outcome.claims OR s.phase = 'FOLLOW')
                    AND EXISTS (SELECT FROM exports e WHERE e.id = outcome.export_id AND e.version = outcome.claimed_version)
                    AND (outcome.webhook_type IS NULL OR outcome.webhook_body IS NOT NULL OR NOT EXISTS (SELECT FROM endpoints))
                FOR UPDATE
            ) scheduled
        ), updated_export AS (
            UPDATE exports e SET version = locked.version"
                $(+ ", " + $changing_sql + " = (locked.new)." + $changing_sql)* + "
            FROM locked WHERE locked.changes AND e.id = locked.export_id AND e.version = locked.claimed_version
            RETURNING e.id, e.version, e.updated_at, e.export_status, e.labels, e.callback_url, e.callback_secret, e.callback_headers,
                locked.event, locked.detail, locked.created_by, locked.verifies,
                locked.delivery_id, locked.webhook_type, locked.webhook_body, locked.to_callback
        ), written AS MATERIALIZED (
            SELECT * FROM locked WHERE NOT changes OR export_id IN (SELECT id FROM updated_export)
        ), rescheduled AS (
            UPDATE export_schedule s SET
                due_at = now() + written.delay_ms * interval '1 millisecond', delay_ms = written.delay_ms, failures = written.failures,
                phase = written.phase, timed_out = written.timed_out,
                start_sent_at = CASE WHEN written.phase = 'START' AND written.in_doubt THEN coalesce(s.start_sent_at, now()) END
            FROM written WHERE written.delay_ms IS NOT NULL AND s.export_id = written.export_id
        ), unscheduled AS (
            DELETE FROM export_schedule s USING written WHERE written.delay_ms IS NULL AND s.export_id = written.export_id
        ), inserted_event AS (
            INSERT INTO export_events (export_id, sequence, type, at, export_status, detail, created_by)
            SELECT id, version, event, updated_at, export_status, detail, created_by FROM updated_export
        ), started_verification AS (
            INSERT INTO export_verifications (export_id, deep, status, due_at, started_at)
            SELECT id, false, 'running', now(), updated_at FROM updated_export WHERE verifies
            ON CONFLICT (export_id) DO NOTHING
        ), callback_delivery AS (
            INSERT INTO webhook_deliveries (id, export_id, event_type, url, signing_secret, sealed_headers, body, status, due_at, created_at)
            SELECT delivery_id, id, webhook_type, callback_url, callback_secret, callback_headers, webhook_body, 'PENDING', now(), updated_at
            FROM updated_export WHERE to_callback
            RETURNING export_id
        ), endpoint_delivery AS (
            INSERT INTO webhook_deliveries (id, endpoint_id, url, export_id, event_sequence, event_type, body, status, due_at, created_at)
            SELECT (replace(left(u.delivery_id::text, 15), '-', '') || left(hash, 3) || '8' || substr(hash, 4, 15))::uuid,
                w.id, w.url, u.id, u.version, u.webhook_type, u.webhook_body, 'PENDING', now(), u.updated_at
            FROM updated_export u JOIN endpoints w
                ON u.webhook_type IS NOT NULL AND (w.event_types = '{}' OR u.webhook_type = ANY (w.event_types)) AND w.labels <@ u.labels,
                LATERAL md5(u.delivery_id::text || w.id::text) AS hash
            ON CONFLICT (endpoint_id, export_id, event_sequence) DO NOTHING
            RETURNING export_id
        )
        SELECT json_build_object('export_id', written.export_id,
            'deliveries', (SELECT count(*) FROM callback_delivery d WHERE d.export_id = written.export_id)
                + (SELECT count(*) FROM endpoint_delivery d WHERE d.export_id = written.export_id),
            'has_endpoints', EXISTS (SELECT FROM endpoints)) AS \"written!: Json<WrittenRow>\"
        FROM written",
            $rows
        )
    };
}

/// Writes outcomes of different exports, in this order, and returns those that were written.
///
/// The outcome of a start must be of the same claim, because its claim says whether the start is on
/// its way to AWS; that of a poll may come late, and then only its version counts. The schedule's
/// rows are locked first, as claiming and cancelling do: all lock in the same order. The id of an
/// endpoint's delivery is derived from the outcome's id and the endpoint's: a UUID of version 7
/// with the outcome's time.
pub(crate) async fn write(
    executor: impl PgExecutor<'_>,
    outcomes: &[&PreparedOutcome],
) -> Result<HashMap<ExportId, Written>, StoreError> {
    let rows: Vec<&str> = outcomes
        .iter()
        .map(|outcome| outcome.row.as_str())
        .collect();
    let written = export_columns!([write_query](format!("[{}]", rows.join(","))))
        // Planned anew each time, a cost that many outcomes share: a plan made while the tables
        // were small would read them in full when they have grown.
        .persistent(false)
        .fetch_all(executor)
        .await?;
    Ok(written
        .into_iter()
        .map(|Json(row)| (ExportId(row.export_id), row.written))
        .collect())
}
