//! Every end state of an export with a callback reached the receiver, rightly signed, under one webhook-id.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use uuid::Uuid;

use super::Record;
use crate::database::{EventRow, ExportRow};
use crate::ledger::Violation;
use crate::receiver::Received;

const ANNOUNCED: [&str; 4] = ["export.completed", "export.failed", "export.cancelled", "export.timed_out"];

/// Everything that is wrong between the histories and what the receiver got.
pub fn judge(rows: &[ExportRow], histories: &BTreeMap<Uuid, Vec<EventRow>>, deleted: &[Record], received: &[Received]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut wrong = |figure, what: String, id: &str| violations.push(Violation { figure, what, export_id: Some(id.to_owned()) });
    let mut expected: BTreeSet<(String, String)> = BTreeSet::new();
    for row in rows.iter().filter(|row| row.callback_url.is_some()) {
        let events = histories.get(&row.id).map_or(&[][..], Vec::as_slice);
        let announced = events.iter().filter(|event| ANNOUNCED.contains(&event.event_type.as_str()));
        expected.extend(announced.map(|event| (row.id.to_string(), event.event_type.clone())));
    }
    for record in deleted.iter().filter(|record| record.has_callback) {
        expected.insert((record.id.clone(), format!("export.{}", record.status.to_lowercase())));
    }

    let mut came: HashMap<(String, String), Vec<&Received>> = HashMap::new();
    for one in received {
        if !one.is_valid {
            wrong("invalid signatures", format!("{} as {}", one.event_type, one.webhook_id), &one.export_id);
        }
        came.entry((one.export_id.clone(), one.event_type.clone())).or_default().push(one);
    }
    for (id, event_type) in &expected {
        let came = came.get(&(id.clone(), event_type.clone())).map_or(&[][..], Vec::as_slice);
        if !came.iter().any(|one| one.is_valid && one.was_answered) {
            wrong("deliveries missing", format!("{event_type} came {} times, never valid and answered with 2xx", came.len()), id);
        }
    }
    for ((id, event_type), came) in &came {
        // The history of a deleted record is gone: it may have timed out before it ended.
        let is_deleted = deleted.iter().any(|record| record.id == *id);
        if !is_deleted && !expected.contains(&(id.clone(), event_type.clone())) {
            wrong("deliveries of nothing", format!("{event_type} came, but did not happen"), id);
        }
        if came.iter().any(|one| one.webhook_id != came[0].webhook_id || !one.says_the_same_as(came[0])) {
            let ids: BTreeSet<&str> = came.iter().map(|one| one.webhook_id.as_str()).collect();
            wrong("deliveries of nothing", format!("{event_type} came with different bodies or ids: {ids:?}"), id);
        }
    }
    violations
}
