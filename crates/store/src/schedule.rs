//! Claims exports that are due, lane by lane. A claim moves the due time ahead by a lease, so a
//! worker that dies only delays the export's next step.
//!
//! Due times are by the database's clock. Each claim increments `claims`, and the outcome of a
//! start names its claim, so a worker that wakes up after another has claimed the export changes
//! nothing. While a START row is claimed, its `start_sent_at` is set, so that callers cannot cancel
//! an export whose start is on its way. The outcome clears it if AWS certainly did not accept the
//! start.

use std::time::Duration;

use time::OffsetDateTime;

use super::export_row::select_exports;
use super::listed::readable;
use super::sql_parts::query_with_parts;
use super::{Store, StoreError};
use tableferry_domain::export::Export;
use tableferry_domain::lifecycle::outcome::Claimed;
use tableferry_domain::lifecycle::timing::{POLL_LEASE, START_LEASE};
use tableferry_domain::timestamp::Timestamp;

/// The next call for a scheduled export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExportPhase {
    /// AWS is asked to start the export.
    Start,
    /// AWS is asked for the export's status.
    Poll,
}

impl ExportPhase {
    /// The word in the column `phase`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "START",
            Self::Poll => "FOLLOW",
        }
    }
}

/// A lane (`<account>/<region>`) with due work of one phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueLane {
    pub lane: String,
    pub phase: ExportPhase,
    /// The number of exports of the lane that AWS has accepted or may have accepted; 0 in the phase
    /// [`ExportPhase::Poll`], where it is not counted.
    pub in_flight: u32,
    /// Whether starts in doubt are due.
    pub doubtful: bool,
}

/// The kinds of due work that quotas tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Starts that were never sent: each needs a slot at AWS.
    Start,
    /// Starts without an answer, to be repeated or searched for: they hold their slot already.
    StartInDoubt,
    Poll,
}

/// The maximum number of exports to claim of one kind in one lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    pub lane: String,
    pub kind: Kind,
    pub max: i64,
}

/// A claimed export and the lane it belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimedInLane {
    pub lane: String,
    pub phase: ExportPhase,
    /// The time between `due_at` and the claim.
    pub late: Duration,
    pub claimed: Claimed,
}

impl Store {
    /// The lanes with work that is due within `ahead` from now. Workers pass zero; tests look ahead
    /// to step over waiting times. The cost grows with the number of lanes, not of exports.
    pub async fn due_lanes(&self, ahead: Duration) -> Result<Vec<DueLane>, StoreError> {
        let rows = query_with_parts!(
            [
                "WITH RECURSIVE lanes AS (
                " {lane_walk} r#"
            )
            SELECT lane AS "lane!", phase AS "phase!",
                CASE phase WHEN 'START' THEN
                    "# {in_flight "lanes.lane"} r#"
                ELSE 0 END AS "in_flight!",
                phase = 'START' AND EXISTS (
                    SELECT FROM export_schedule f
                    WHERE f.lane = lanes.lane AND f.start_sent_at IS NOT NULL AND f.due_at <= now() + $1 * interval '1 second'
                ) AS "doubtful!"
            FROM lanes
            WHERE due_at <= now() + $1 * interval '1 second'"#
            ],
            ahead.as_secs_f64(),
        )
        .fetch_all(&self.pool)
        .await?;
        let lanes = rows.into_iter().map(|row| DueLane {
            lane: row.lane,
            phase: if row.phase == "START" {
                ExportPhase::Start
            } else {
                ExportPhase::Poll
            },
            in_flight: u32::try_from(row.in_flight).unwrap_or(u32::MAX),
            doubtful: row.doubtful,
        });
        Ok(lanes.collect())
    }

    /// Claims due exports within these quotas, at most `limit` of each kind: starts in the order in
    /// which the exports were created, polls in the order in which they are due. `ahead` is as in
    /// [`Store::due_lanes`]. Starts whose deadline has passed at `now` are left to
    /// [`Store::claim_overdue`].
    pub async fn claim_exports(
        &self,
        quotas: &[Quota],
        limit: i64,
        ahead: Duration,
        now: Timestamp,
    ) -> Result<Vec<ClaimedInLane>, StoreError> {
        let of = |kind: Kind| {
            quotas
                .iter()
                .filter(|quota| quota.kind == kind)
                .collect::<Vec<_>>()
        };
        let mut claimed = self
            .claim_starts(&of(Kind::StartInDoubt), true, limit, ahead, now)
            .await?;
        claimed.extend(
            self.claim_starts(&of(Kind::Start), false, limit, ahead, now)
                .await?,
        );
        claimed.extend(self.claim_polls(&of(Kind::Poll), limit, ahead).await?);
        self.with_exports(claimed).await
    }

    /// Claims exports of any lane that have not been started and whose `timeouts.create` has ended
    /// at `now`: they time out without a call of AWS.
    pub async fn claim_overdue(
        &self,
        limit: i64,
        now: Timestamp,
    ) -> Result<Vec<ClaimedInLane>, StoreError> {
        let rows = sqlx::query_as!(
            ScheduleRow,
            r#"WITH due AS MATERIALIZED (
                SELECT export_id FROM export_schedule
                WHERE phase = 'START' AND start_sent_at IS NULL AND deadline_at <= $2
                ORDER BY deadline_at
                LIMIT $1
                FOR UPDATE SKIP LOCKED
            )
            UPDATE export_schedule s SET claims = s.claims + 1, due_at = greatest(s.due_at, now() + $3 * interval '1 second'),
                deadline_at = s.deadline_at + $3 * interval '1 second'
            FROM due WHERE s.export_id = due.export_id
            RETURNING s.export_id, s.lane, s.phase, s.claims, s.failures, s.delay_ms AS "planned_ms!",
                s.start_sent_at AS "doubt_since: OffsetDateTime", 0::float8 AS "late_s!""#,
            limit,
            OffsetDateTime::from(now),
            START_LEASE.as_secs_f64(),
        )
        .fetch_all(&self.pool)
        .await?;
        self.with_exports(rows).await
    }

    async fn claim_starts(
        &self,
        quotas: &[&Quota],
        in_doubt: bool,
        limit: i64,
        ahead: Duration,
        now: Timestamp,
    ) -> Result<Vec<ScheduleRow>, StoreError> {
        if quotas.is_empty() {
            return Ok(Vec::new());
        }
        let (lanes, maxima) = columns(quotas);
        let rows = sqlx::query_as!(
            ScheduleRow,
            r#"WITH due AS MATERIALIZED (
                SELECT picked.* FROM unnest($1::text[], $2::bigint[]) AS quota (lane, maximum), LATERAL (
                    SELECT s.export_id, s.start_sent_at, s.due_at FROM export_schedule s
                    WHERE s.lane = quota.lane AND s.phase = 'START' AND s.due_at <= now() + $3 * interval '1 second'
                        AND (s.start_sent_at IS NOT NULL) = $7 AND ($7 OR s.deadline_at > $8)
                    ORDER BY s.export_id
                    LIMIT quota.maximum
                    FOR UPDATE SKIP LOCKED
                ) picked
                LIMIT $4
            )
            UPDATE export_schedule s SET
                claims = s.claims + 1,
                due_at = now() + $5 * interval '1 second',
                start_sent_at = coalesce(s.start_sent_at, now())
            FROM due WHERE s.export_id = due.export_id
            RETURNING s.export_id, s.lane, s.phase, s.claims, s.failures, $6::bigint AS "planned_ms!",
                due.start_sent_at AS "doubt_since: OffsetDateTime",
                extract(epoch FROM now() - due.due_at)::float8 AS "late_s!""#,
            &lanes,
            &maxima,
            ahead.as_secs_f64(),
            limit,
            START_LEASE.as_secs_f64(),
            i64::try_from(START_LEASE.as_millis()).unwrap_or(i64::MAX),
            in_doubt,
            OffsetDateTime::from(now),
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows)
    }

    async fn claim_polls(
        &self,
        quotas: &[&Quota],
        limit: i64,
        ahead: Duration,
    ) -> Result<Vec<ScheduleRow>, StoreError> {
        if quotas.is_empty() {
            return Ok(Vec::new());
        }
        let (lanes, maxima) = columns(quotas);
        // The claim itself sets the next poll, up to the lease, so that a poll that changes nothing
        // costs one write.
        let rows = sqlx::query_as!(
            ScheduleRow,
            r#"WITH due AS MATERIALIZED (
                SELECT picked.* FROM unnest($1::text[], $2::bigint[]) AS quota (lane, maximum), LATERAL (
                    SELECT s.export_id, s.due_at FROM export_schedule s
                    WHERE s.lane = quota.lane AND s.phase = 'FOLLOW' AND s.due_at <= now() + $3 * interval '1 second'
                    ORDER BY s.due_at
                    LIMIT quota.maximum
                    FOR UPDATE SKIP LOCKED
                ) picked
                LIMIT $4
            )
            UPDATE export_schedule s SET
                claims = s.claims + 1,
                due_at = now() + LEAST(s.delay_ms, $5) * interval '1 millisecond'
            FROM due WHERE s.export_id = due.export_id
            RETURNING s.export_id, s.lane, s.phase, s.claims, s.failures, LEAST(s.delay_ms, $5) AS "planned_ms!",
                s.start_sent_at AS "doubt_since: OffsetDateTime", extract(epoch FROM now() - due.due_at)::float8 AS "late_s!""#,
            &lanes,
            &maxima,
            ahead.as_secs_f64(),
            limit,
            i64::try_from(POLL_LEASE.as_millis()).unwrap_or(i64::MAX),
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows)
    }

    async fn with_exports(
        &self,
        claimed: Vec<ScheduleRow>,
    ) -> Result<Vec<ClaimedInLane>, StoreError> {
        if claimed.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<_> = claimed.iter().map(|row| row.export_id).collect();
        let mut schedule: std::collections::HashMap<_, _> = claimed
            .into_iter()
            .map(|row| (row.export_id, row))
            .collect();
        let rows = select_exports!("WHERE e.id = ANY($1) ORDER BY e.id", &ids)
            .fetch_all(&self.pool)
            .await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            let id = row.id;
            let Some(scheduled) = schedule.remove(&id) else {
                continue;
            };
            found.extend(readable(row).map(|export| scheduled.with(export)));
        }
        Ok(found)
    }

    /// Extends the lease of a claim by [`START_LEASE`] from now. Returns false if another worker
    /// has claimed the export since.
    pub async fn renew(&self, claimed: &Claimed) -> Result<bool, StoreError> {
        let renewed = sqlx::query!(
            "UPDATE export_schedule SET due_at = now() + $3 * interval '1 second' WHERE export_id = $1 AND claims = $2",
            claimed.export.id.0,
            claimed.claim,
            START_LEASE.as_secs_f64(),
        )
        .execute(&self.pool)
        .await?;
        Ok(renewed.rows_affected() == 1)
    }

    /// Gives up a claim without having called AWS; the export is due again after `delay`.
    pub async fn unclaim(&self, claimed: &Claimed, delay: Duration) -> Result<(), StoreError> {
        sqlx::query!(
            "UPDATE export_schedule SET due_at = now() + $3 * interval '1 second', start_sent_at = CASE WHEN $4 THEN start_sent_at END
            WHERE export_id = $1 AND claims = $2",
            claimed.export.id.0,
            claimed.claim,
            delay.as_secs_f64(),
            claimed.in_doubt,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Writes the event `export.delayed` and this reason for exports of a lane that wait for a slot
    /// at AWS, once per export.
    pub async fn mark_delayed(
        &self,
        lane: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "WITH locked AS MATERIALIZED (
                SELECT export_id FROM export_schedule
                WHERE lane = $1 AND phase = 'START' AND NOT told_waiting AND start_sent_at IS NULL AND due_at <= now()
                ORDER BY export_id
                LIMIT 500
                FOR UPDATE SKIP LOCKED
            ), marked_schedule AS (
                UPDATE export_schedule s SET told_waiting = true FROM locked WHERE s.export_id = locked.export_id
            ), updated_export AS (
                UPDATE exports e SET version = version + 1, updated_at = $3, status_reason = $2
                FROM locked WHERE e.id = locked.export_id AND e.export_status = 'PENDING'
                RETURNING e.id, e.version
            )
            INSERT INTO export_events (export_id, sequence, type, at, export_status, detail)
            SELECT id, version, 'export.delayed', $3, 'PENDING', $2 FROM updated_export",
            lane,
            reason,
            OffsetDateTime::from(now),
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

/// What the statements of claims return.
struct ScheduleRow {
    export_id: uuid::Uuid,
    lane: String,
    phase: String,
    claims: i32,
    failures: i32,
    planned_ms: i64,
    doubt_since: Option<OffsetDateTime>,
    late_s: f64,
}

impl ScheduleRow {
    fn with(self, export: Export) -> ClaimedInLane {
        let claimed = Claimed {
            export,
            claim: self.claims,
            failures: self.failures.unsigned_abs(),
            in_doubt: self.doubt_since.is_some(),
            planned_delay: Duration::from_millis(self.planned_ms.unsigned_abs()),
        };
        ClaimedInLane {
            lane: self.lane,
            phase: if self.phase == "START" {
                ExportPhase::Start
            } else {
                ExportPhase::Poll
            },
            late: Duration::try_from_secs_f64(self.late_s).unwrap_or_default(), // less than nothing in tests, which step ahead
            claimed,
        }
    }
}

fn columns(quotas: &[&Quota]) -> (Vec<String>, Vec<i64>) {
    quotas
        .iter()
        .map(|quota| (quota.lane.clone(), quota.max))
        .unzip()
}
