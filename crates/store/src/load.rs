//! How much there is to do and for how long it has waited: for metrics, at a cost that does not
//! grow with the number of exports.

use super::{Store, StoreError};

/// The states of exports that are worked on, as metrics name them: not asked of AWS yet, being
/// asked or in doubt, in progress at AWS, and timed out here but followed.
pub const OPEN_STATES: [&str; 4] = ["pending", "starting", "in_progress", "timed_out"];

/// The kinds of work that become due.
pub const WORK: [&str; 5] = ["start", "look", "delivery", "verification", "webhook_job"];

/// What there is to do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// How many exports are in each of [`OPEN_STATES`].
    pub open: [f64; 4],
    /// For how long the oldest due work of each kind of [`WORK`] has been due, in seconds; 0 if
    /// nothing is.
    pub oldest_due_s: [f64; 5],
}

/// The connections of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// Open and not used.
    pub idle: u32,
    /// Used.
    pub used: u32,
    /// How many are opened at most.
    pub most: u32,
}

impl Store {
    /// How many connections this process has open.
    #[must_use]
    pub fn connections(&self) -> Connections {
        let (open, idle) = self.pool.counts();
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Connections {
            idle: count(idle),
            used: count(open.saturating_sub(idle)),
            most: count(self.pool.max_size()),
        }
    }

    /// How much there is to do.
    ///
    /// Up to 100,000 open exports are counted; of more a part is, picked by the page, and the rest
    /// estimated. What is due longest is found by a step along an index for each lane and each
    /// receiver.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn load(&self) -> Result<Load, StoreError> {
        // What the planner believes is exact enough for this. -1: it has never looked.
        let percent = sqlx::query_scalar!(
            r#"SELECT least(100, 100.0 * 100000 / greatest(reltuples, 1))::float4 AS "percent!"
            FROM pg_class WHERE oid = 'export_schedule'::regclass"#,
        )
        .fetch_one(&self.pool)
        .await?;
        let row = sqlx::query!(
            r#"WITH RECURSIVE lanes AS (
                (SELECT lane, phase, due_at FROM export_schedule ORDER BY lane, phase, due_at LIMIT 1)
                UNION ALL
                SELECT next.lane, next.phase, next.due_at FROM lanes, LATERAL (
                    SELECT s.lane, s.phase, s.due_at FROM export_schedule s
                    WHERE (s.lane, s.phase) > (lanes.lane, lanes.phase) ORDER BY s.lane, s.phase, s.due_at LIMIT 1
                ) next
            ), receivers AS (
                (SELECT receiver, due_at FROM webhook_deliveries WHERE status = 'PENDING' ORDER BY receiver, due_at LIMIT 1)
                UNION ALL
                SELECT next.receiver, next.due_at FROM receivers, LATERAL (
                    SELECT d.receiver, d.due_at FROM webhook_deliveries d
                    WHERE d.status = 'PENDING' AND d.receiver > receivers.receiver ORDER BY d.receiver, d.due_at LIMIT 1
                ) next
            ), open AS (
                SELECT count(*) FILTER (WHERE phase = 'START' AND start_sent_at IS NULL) AS pending,
                    count(*) FILTER (WHERE start_sent_at IS NOT NULL) AS starting,
                    count(*) FILTER (WHERE phase = 'FOLLOW' AND NOT timed_out) AS in_progress,
                    count(*) FILTER (WHERE phase = 'FOLLOW' AND timed_out) AS timed_out
                FROM export_schedule TABLESAMPLE SYSTEM ($1)
            )
            SELECT pending AS "pending!", starting AS "starting!", in_progress AS "in_progress!", timed_out AS "timed_out!",
                extract(epoch FROM now() - (SELECT min(due_at) FROM lanes WHERE phase = 'START'))::float8 AS start_s,
                extract(epoch FROM now() - (SELECT min(due_at) FROM lanes WHERE phase = 'FOLLOW'))::float8 AS look_s,
                extract(epoch FROM now() - (
                    -- As in the walk of the worker: what waits because its receiver asked for a pause, or is disabled, is not due.
                    SELECT min(w.due_at) FROM receivers w
                        LEFT JOIN webhook_receivers r ON r.receiver = w.receiver
                        LEFT JOIN webhook_endpoints e ON e.id::text = w.receiver
                    WHERE coalesce(r.slow_until <= now(), true)
                        AND (w.receiver LIKE '%://%' OR (e.id IS NOT NULL AND e.disabled_at IS NULL))))::float8 AS delivery_s,
                extract(epoch FROM now() - (SELECT min(due_at) FROM export_verifications WHERE status = 'running'))::float8 AS verification_s,
                extract(epoch FROM now() - (SELECT min(due_at) FROM webhook_jobs WHERE due_at IS NOT NULL))::float8 AS webhook_job_s
            FROM open"#,
            percent,
        )
        .fetch_one(&self.pool)
        .await?;
        let of_all = 100.0 / f64::from(percent);
        #[expect(clippy::cast_precision_loss, reason = "there are not so many rows")]
        let open = [row.pending, row.starting, row.in_progress, row.timed_out]
            .map(|counted| (counted as f64 * of_all).round());
        // What is due later waits for less than nothing.
        let waited = [
            row.start_s,
            row.look_s,
            row.delivery_s,
            row.verification_s,
            row.webhook_job_s,
        ];
        Ok(Load {
            open,
            oldest_due_s: waited.map(|seconds| seconds.unwrap_or(0.0).max(0.0)),
        })
    }
}
