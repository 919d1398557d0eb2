//! An export's history is consistent: no gap, no end state that was left, and it ends at the
//! record's status.
//! A worker that resumed late and still wrote something would show here: a version skipped or
//! repeated, or an impossible transition.
//! repeat one, or lead from a state to one that does not follow it.

use crate::database::{EventRow, ExportRow};
use crate::ledger::Violation;

/// All violations in a history.
pub fn judge(row: &ExportRow, events: &[EventRow], is_scheduled: bool) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut wrong = |figure, what: String| {
        violations.push(Violation {
            figure,
            what,
            export_id: Some(row.id.to_string()),
        })
    };
    let sequence: Vec<i32> = events.iter().map(|event| event.sequence).collect();
    if sequence != (1..=row.version).collect::<Vec<_>>() {
        wrong(
            "stale writes",
            format!("version {} has the events {sequence:?}", row.version),
        );
    }
    if events.last().map(|event| event.export_status.as_str()) != Some(&row.export_status) {
        wrong(
            "stale writes",
            format!(
                "it is {}, but its last event is {:?}",
                row.export_status,
                events.last()
            ),
        );
    }
    for pair in events.windows(2) {
        let (from, to) = (
            pair[0].export_status.as_str(),
            pair[1].export_status.as_str(),
        );
        if !follows(from, to) {
            let figure = if is_end(from) {
                "end states changed"
            } else {
                "stale writes"
            };
            wrong(
                figure,
                format!("event {} changes {from} to {to}", pair[1].sequence),
            );
        }
    }
    for end in [
        "export.completed",
        "export.failed",
        "export.cancelled",
        "export.timed_out",
    ] {
        if events
            .iter()
            .filter(|event| event.event_type == end)
            .count()
            > 1
        {
            wrong(
                "end states changed",
                format!("{end} happened more than once"),
            );
        }
    }
    let is_followed = !is_end(&row.export_status)
        || (row.export_status == "TIMED_OUT" && (row.export_arn.is_some() || row.start_in_doubt));
    if !is_end(&row.export_status) && !is_scheduled {
        wrong(
            "work not taken over",
            format!("it is {}, but not scheduled any more", row.export_status),
        );
    }
    if !is_followed && is_scheduled {
        wrong(
            "stale writes",
            format!("it is {}, but it is still scheduled", row.export_status),
        );
    }
    violations
}

fn is_end(status: &str) -> bool {
    matches!(status, "COMPLETED" | "FAILED" | "CANCELLED" | "TIMED_OUT")
}

fn follows(from: &str, to: &str) -> bool {
    match from {
        "PENDING" => true,
        "IN_PROGRESS" => matches!(to, "IN_PROGRESS" | "COMPLETED" | "FAILED" | "TIMED_OUT"),
        "TIMED_OUT" => matches!(to, "TIMED_OUT" | "COMPLETED" | "FAILED"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn figures(
        version: i32,
        status: &str,
        events: &[(i32, &str, &str)],
        is_scheduled: bool,
    ) -> Vec<&'static str> {
        let row = ExportRow {
            id: Uuid::nil(),
            version,
            idempotency_key: None,
            client_token: None,
            export_status: status.to_owned(),
            export_arn: None,
            callback_url: None,
            start_in_doubt: false,
        };
        let event = |(sequence, event_type, status): &(i32, &str, &str)| EventRow {
            export_id: Uuid::nil(),
            sequence: *sequence,
            event_type: (*event_type).to_owned(),
            export_status: (*status).to_owned(),
        };
        let events: Vec<EventRow> = events.iter().map(event).collect();
        judge(&row, &events, is_scheduled)
            .iter()
            .map(|violation| violation.figure)
            .collect()
    }

    const CREATED: (i32, &str, &str) = (1, "export.created", "PENDING");

    #[test]
    fn a_good_history_passes() {
        let started = (2, "export.started", "IN_PROGRESS");
        let ends = [
            (3, "export.timed_out", "TIMED_OUT"),
            (4, "export.completed", "COMPLETED"),
        ];
        assert!(figures(4, "COMPLETED", &[CREATED, started, ends[0], ends[1]], false).is_empty());
        assert!(figures(1, "PENDING", &[CREATED], true).is_empty());
    }

    #[test]
    fn each_flaw_is_seen() {
        assert_eq!(
            figures(
                3,
                "PENDING",
                &[CREATED, (3, "export.delayed", "PENDING")],
                true
            ),
            ["stale writes"]
        );
        let failed = (2, "export.failed", "FAILED");
        assert_eq!(
            figures(
                3,
                "PENDING",
                &[CREATED, failed, (3, "export.delayed", "PENDING")],
                true
            ),
            ["end states changed"]
        );
        let twice = [
            CREATED,
            (2, "export.timed_out", "TIMED_OUT"),
            (3, "export.timed_out", "TIMED_OUT"),
        ];
        assert_eq!(
            figures(3, "TIMED_OUT", &twice, false),
            ["end states changed"]
        );
        assert_eq!(
            figures(2, "PENDING", &[CREATED, failed], true),
            ["stale writes"]
        );
        assert_eq!(
            figures(1, "PENDING", &[CREATED], false),
            ["work not taken over"]
        );
        assert_eq!(
            figures(2, "FAILED", &[CREATED, failed], true),
            ["stale writes"]
        );
    }
}
