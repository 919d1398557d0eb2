//! An event in the history of an export, as callers see it.

use serde::Serialize;
use tableferry_domain::export::ExportStatus;
use tableferry_domain::export::event::{Event, EventKind};
use tableferry_domain::timestamp::Timestamp;
use utoipa::ToSchema;

/// An event in the history of an export.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ExportEvent)]
pub struct EventView {
    /// Increases with each event of the export. In a stream it is the event's `id`.
    #[schema(example = 2)]
    pub sequence: i32,
    /// What happened.
    pub r#type: EventKind,
    /// When it happened.
    #[schema(value_type = String, format = DateTime)]
    pub timestamp: Timestamp,
    /// The status of the export after the event.
    pub export_status: ExportStatus,
    /// What happened, in words.
    pub detail: String,
    /// The caller that caused the event; null if it was the service or AWS, or if callers need not
    /// authenticate.
    #[schema(required, example = "api_key:orders-team")]
    pub created_by: Option<String>,
}

impl From<&Event> for EventView {
    fn from(event: &Event) -> Self {
        Self {
            sequence: event.sequence,
            r#type: event.kind,
            timestamp: event.at,
            export_status: event.status,
            detail: event.detail.clone(),
            created_by: event
                .created_by
                .as_ref()
                .map(|name| name.as_str().to_owned()),
        }
    }
}
