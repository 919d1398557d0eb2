//! What an export's state and what AWS settles of its request look like as columns; shared by those
//! who insert and those who update.

use serde::Serialize;
use time::OffsetDateTime;

use super::StoreError;
use tableferry_domain::export::Export;
use tableferry_domain::request::ExportKind;
use tableferry_domain::s3::Encryption;

/// The columns that hold what AWS said, from the state.
#[derive(Debug, Serialize)]
pub(super) struct StateColumns<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) export_arn: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) table_id: Option<&'a str>,
    #[serde(
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) start_time: Option<OffsetDateTime>,
    #[serde(
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) end_time: Option<OffsetDateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) item_count: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) billed_size_in_bytes: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) manifest_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failure_source: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failure_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failure_message: Option<&'a str>,
    pub(super) start_in_doubt: bool,
}

impl<'a> From<&'a Export> for StateColumns<'a> {
    fn from(export: &'a Export) -> Self {
        use tableferry_domain::export::{ExportState, Failed, TimedOut};
        let accepted = export.state.accepted();
        let written = match &export.state {
            ExportState::Completed(_, written) => Some(written),
            _ => None,
        };
        let (source, code, message, failed_at) = match &export.state {
            ExportState::Failed(Failed::ByAws {
                code,
                message,
                end_time,
                ..
            }) => (
                Some("aws"),
                Some(code.as_str()),
                Some(message.as_str()),
                *end_time,
            ),
            ExportState::Failed(Failed::Refused { code, message }) => (
                Some("refused"),
                Some(code.as_str()),
                Some(message.as_str()),
                None,
            ),
            _ => (None, None, None, None),
        };
        Self {
            export_arn: accepted.map(|a| a.arn.as_str()),
            table_id: accepted.and_then(|a| a.table_id.as_deref()),
            start_time: accepted
                .and_then(|a| a.start_time)
                .map(OffsetDateTime::from),
            end_time: written
                .and_then(|w| w.end_time)
                .or(failed_at)
                .map(OffsetDateTime::from),
            item_count: written.and_then(|w| w.item_count),
            billed_size_in_bytes: written.and_then(|w| w.billed_size_in_bytes),
            manifest_key: written.and_then(|w| w.manifest_key.as_deref()),
            failure_source: source,
            failure_code: code,
            failure_message: message,
            start_in_doubt: export.state == ExportState::TimedOut(TimedOut::InDoubt),
        }
    }
}

/// The columns that AWS may settle, from the request.
#[derive(Debug, Serialize)]
pub(super) struct SettledColumns {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) s3_sse_algorithm: Option<&'static str>,
    #[serde(
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) export_time: Option<OffsetDateTime>,
    #[serde(
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) export_from_time: Option<OffsetDateTime>,
    #[serde(
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) export_to_time: Option<OffsetDateTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) export_view_type: Option<&'static str>,
}

impl From<&Export> for SettledColumns {
    fn from(export: &Export) -> Self {
        let s3_sse_algorithm = export
            .request
            .destination
            .encryption
            .as_ref()
            .map(|encryption| match encryption {
                Encryption::Aes256 => "AES256",
                Encryption::Kms { .. } => "KMS",
            });
        match &export.request.kind {
            ExportKind::Full { export_time } => Self {
                s3_sse_algorithm,
                export_time: export_time.map(OffsetDateTime::from),
                export_from_time: None,
                export_to_time: None,
                export_view_type: None,
            },
            ExportKind::Incremental { from, to, view } => Self {
                s3_sse_algorithm,
                export_time: None,
                export_from_time: Some((*from).into()),
                export_to_time: to.map(OffsetDateTime::from),
                export_view_type: Some(view.as_str()),
            },
        }
    }
}

/// Rows in the form in which statements read them.
///
/// # Errors
/// None that can happen: rows have a form in JSON.
pub(super) fn as_json(rows: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(rows)
        .map_err(|error| StoreError::Database(sqlx::Error::Encode(error.into())))
}
