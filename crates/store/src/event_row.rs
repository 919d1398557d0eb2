//! A row of `export_events`.

use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;
use tableferry_domain::caller::CallerName;
use tableferry_domain::export::ExportStatus;
use tableferry_domain::export::event::{Event, EventKind};

#[derive(Debug)]
pub(super) struct EventRow {
    pub(super) export_id: Uuid,
    pub(super) sequence: i32,
    pub(super) r#type: String,
    pub(super) at: OffsetDateTime,
    pub(super) export_status: String,
    pub(super) detail: String,
    pub(super) created_by: Option<String>,
}

impl TryFrom<EventRow> for Event {
    type Error = StoreError;

    fn try_from(row: EventRow) -> Result<Self, StoreError> {
        let inconsistent = |what: String| StoreError::InconsistentRow {
            table: "export_events",
            id: row.export_id,
            what: what.into(),
        };
        Ok(Self {
            sequence: row.sequence,
            kind: EventKind::parse(&row.r#type)
                .ok_or_else(|| inconsistent(format!("unknown type {}", row.r#type)))?,
            at: row.at.into(),
            status: ExportStatus::parse(&row.export_status)
                .ok_or_else(|| inconsistent(format!("unknown status {}", row.export_status)))?,
            detail: row.detail,
            created_by: row.created_by.as_deref().map(CallerName::from_db),
        })
    }
}
