//! How much work there is and how long it has been due, for metrics. The cost does not grow with
//! the number of exports.

use super::sql_parts::query_with_parts;
use super::{Store, StoreError};

/// The states of exports that have not ended at AWS, as metrics name them: not started; being
/// started or in doubt; in progress at AWS; TIMED_OUT here but still polled.
pub const OPEN_STATES: [&str; 4] = ["pending", "starting", "in_progress", "timed_out"];

/// The kinds of work that become due, as metrics name them.
pub const WORK: [&str; 5] = ["start", "look", "delivery", "verification", "webhook_job"];

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// The number of exports in each of [`OPEN_STATES`].
    pub open: [f64; 4],
    /// How long the oldest due work of each kind in [`WORK`] has been due, in seconds; 0 if none is
    /// due.
    pub oldest_due_s: [f64; 5],
}

/// The connections of this process to Postgres.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    pub idle: u32,
    pub used: u32,
    /// The maximum number of open connections.
    pub max: u32,
}

impl Store {
    #[must_use]
    pub fn connections(&self) -> Connections {
        let (open, idle) = self.pool.counts();
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Connections {
            idle: count(idle),
            used: count(open.saturating_sub(idle)),
            max: count(self.pool.max_size()),
        }
    }

    /// Measures the work that waits.
    ///
    /// Up to 100,000 open exports are counted; of more than that, a sample of pages is counted and
    /// the total estimated. The oldest due work is found by one step along an index per lane and
    /// per receiver.
    pub async fn load(&self) -> Result<Load, StoreError> {
        // The planner's estimate is exact enough for this. It is -1 before the first ANALYZE.
        let percent = sqlx::query_scalar!(
            r#"SELECT least(100, 100.0 * 100000 / greatest(reltuples, 1))::float4 AS "percent!"
            FROM pg_class WHERE oid = 'export_schedule'::regclass"#,
        )
        .fetch_one(&self.pool)
        .await?;
        let row = query_with_parts!(
            [
                "WITH RECURSIVE lanes AS (
                " {lane_walk} "
            ), receivers AS (
                " {receiver_walk} r#"
            ), open AS (
                SELECT count(*) FILTER (WHERE phase = 'START' AND start_sent_at IS NULL) AS pending,
                    count(*) FILTER (WHERE start_sent_at IS NOT NULL) AS starting,
                    count(*) FILTER (WHERE phase = 'FOLLOW' AND NOT timed_out) AS in_progress,
                    count(*) FILTER (WHERE phase = 'FOLLOW' AND timed_out) AS timed_out
                FROM export_schedule TABLESAMPLE SYSTEM ($1)
            )
            SELECT pending AS "pending!", starting AS "starting!", in_progress AS "in_progress!", timed_out AS "timed_out!",
                extract(epoch FROM now() - (SELECT min(due_at) FROM lanes WHERE phase = 'START'))::float8 AS start_s,
                extract(epoch FROM now() - (SELECT min(due_at) FROM lanes WHERE phase = 'FOLLOW'))::float8 AS poll_s,
                extract(epoch FROM now() - (
                    SELECT min(receivers.due_at) FROM receivers
                        LEFT JOIN webhook_receivers r ON r.receiver = receivers.receiver
                        LEFT JOIN webhook_endpoints w ON w.id::text = receivers.receiver
                    WHERE "# {may_receive "now()"} "))::float8 AS delivery_s,
                extract(epoch FROM now() - (SELECT min(due_at) FROM export_verifications WHERE status = 'running'))::float8 AS verification_s,
                extract(epoch FROM now() - (SELECT min(due_at) FROM webhook_jobs WHERE due_at IS NOT NULL))::float8 AS webhook_job_s
            FROM open"
            ],
            percent,
        )
        .fetch_one(&self.pool)
        .await?;
        let of_all = 100.0 / f64::from(percent);
        #[expect(clippy::cast_precision_loss, reason = "the number of rows is smaller")]
        let open = [row.pending, row.starting, row.in_progress, row.timed_out]
            .map(|counted| (counted as f64 * of_all).round());
        // Work that is due later gives a negative time.
        let waited = [
            row.start_s,
            row.poll_s,
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
