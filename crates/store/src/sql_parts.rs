//! Parts of SQL that several statements share. The macros of sqlx take string literals only, so the
//! parts are literals in a macro that joins them.

/// `sqlx::query!` of a text made of literals and of these parts, followed by its arguments:
///
/// - `{lane_walk}`: the body of a recursive CTE that must be called `lanes`. It walks the index of
///   `export_schedule` from lane to lane and phase to phase, and returns what is due first in each,
///   so its cost grows with the number of lanes, not of exports.
/// - `{receiver_walk}`: the same for `webhook_deliveries` that are PENDING and their receivers; the
///   CTE must be called `receivers`.
/// - `{in_flight "lane"}`: an expression, the number of exports of this lane (an SQL expression)
///   that AWS has accepted or may have accepted, without those that are TIMED_OUT.
/// - `{may_receive "time"}`: a condition on a row of `receivers`, joined with its
///   `webhook_receivers r` and `webhook_endpoints w`: nothing forbids to send to it at this time.
macro_rules! query_with_parts {
    (@join [$($sql:tt)*] [] $(, $argument:expr)*) => {
        sqlx::query!($($sql)* $(, $argument)*)
    };
    (@join [$($sql:tt)*] [{lane_walk} $($rest:tt)*] $($arguments:tt)*) => {
        crate::sql_parts::query_with_parts!(@join [$($sql)* +
            "(SELECT lane, phase, due_at FROM export_schedule ORDER BY lane, phase, due_at LIMIT 1)
                UNION ALL
                SELECT next.lane, next.phase, next.due_at FROM lanes, LATERAL (
                    SELECT s.lane, s.phase, s.due_at FROM export_schedule s
                    WHERE (s.lane, s.phase) > (lanes.lane, lanes.phase) ORDER BY s.lane, s.phase, s.due_at LIMIT 1
                ) next"
        ] [$($rest)*] $($arguments)*)
    };
    (@join [$($sql:tt)*] [{receiver_walk} $($rest:tt)*] $($arguments:tt)*) => {
        crate::sql_parts::query_with_parts!(@join [$($sql)* +
            "(SELECT receiver, due_at FROM webhook_deliveries WHERE status = 'PENDING' ORDER BY receiver, due_at LIMIT 1)
                UNION ALL
                SELECT next.receiver, next.due_at FROM receivers, LATERAL (
                    SELECT d.receiver, d.due_at FROM webhook_deliveries d
                    WHERE d.status = 'PENDING' AND d.receiver > receivers.receiver ORDER BY d.receiver, d.due_at LIMIT 1
                ) next"
        ] [$($rest)*] $($arguments)*)
    };
    (@join [$($sql:tt)*] [{in_flight $lane:literal} $($rest:tt)*] $($arguments:tt)*) => {
        crate::sql_parts::query_with_parts!(@join [$($sql)* +
            "(SELECT count(*) FROM export_schedule f WHERE f.lane = " + $lane + " AND f.phase = 'FOLLOW' AND NOT f.timed_out)
                    + (SELECT count(*) FROM export_schedule f WHERE f.lane = " + $lane + " AND f.start_sent_at IS NOT NULL)"
        ] [$($rest)*] $($arguments)*)
    };
    (@join [$($sql:tt)*] [{may_receive $time:literal} $($rest:tt)*] $($arguments:tt)*) => {
        crate::sql_parts::query_with_parts!(@join [$($sql)* +
            "coalesce(r.slow_until <= " + $time + ", true)
                AND (receivers.receiver LIKE '%://%' OR (w.id IS NOT NULL AND w.disabled_at IS NULL))"
        ] [$($rest)*] $($arguments)*)
    };
    (@join [$($sql:tt)*] [$text:literal $($rest:tt)*] $($arguments:tt)*) => {
        crate::sql_parts::query_with_parts!(@join [$($sql)* + $text] [$($rest)*] $($arguments)*)
    };
    ([$($parts:tt)*] $(, $argument:expr)* $(,)?) => {
        crate::sql_parts::query_with_parts!(@join [""] [$($parts)*] $(, $argument)*)
    };
}
pub(crate) use query_with_parts;
