//! The columns of an export's state.

use time::OffsetDateTime;

use super::ExportRow;
use tableferry_domain::aws::arn::ExportArn;
use tableferry_domain::aws::description::Written;
use tableferry_domain::export::{Accepted, ExportState, ExportStatus, Failed, TimedOut};
use tableferry_domain::timestamp::Timestamp;

/// The columns that each state fills differently, under their names in [`ExportRow`].
#[derive(Debug, Default)]
pub(super) struct StateColumns {
    pub(super) export_arn: Option<String>,
    pub(super) table_id: Option<String>,
    pub(super) start_time: Option<OffsetDateTime>,
    pub(super) end_time: Option<OffsetDateTime>,
    pub(super) item_count: Option<i64>,
    pub(super) billed_size_in_bytes: Option<i64>,
    pub(super) manifest_key: Option<String>,
    pub(super) failure_source: Option<String>,
    pub(super) failure_code: Option<String>,
    pub(super) failure_message: Option<String>,
    pub(super) start_in_doubt: bool,
}

impl From<&ExportState> for StateColumns {
    fn from(state: &ExportState) -> Self {
        let accepted = state.accepted();
        let mut columns = Self {
            export_arn: accepted.map(|accepted| accepted.arn.as_str().to_owned()),
            table_id: accepted.and_then(|accepted| accepted.table_id.clone()),
            start_time: accepted
                .and_then(|accepted| accepted.start_time)
                .map(OffsetDateTime::from),
            ..Self::default()
        };
        match state {
            ExportState::Completed(_, written) => {
                columns.end_time = written.end_time.map(OffsetDateTime::from);
                columns.item_count = written.item_count;
                columns.billed_size_in_bytes = written.billed_size_in_bytes;
                columns.manifest_key.clone_from(&written.manifest_key);
            }
            ExportState::Failed(Failed::ByAws {
                code,
                message,
                end_time,
                ..
            }) => {
                columns.end_time = end_time.map(OffsetDateTime::from);
                columns.set_failure("aws", code, message);
            }
            ExportState::Failed(Failed::Refused { code, message }) => {
                columns.set_failure("refused", code, message);
            }
            ExportState::TimedOut(TimedOut::InDoubt) => columns.start_in_doubt = true,
            _ => {}
        }
        columns
    }
}

impl StateColumns {
    fn set_failure(&mut self, source: &str, code: &str, message: &str) {
        self.failure_source = Some(source.to_owned());
        self.failure_code = Some(code.to_owned());
        self.failure_message = Some(message.to_owned());
    }
}

/// The state that a row holds. Takes its texts out of the row.
pub(super) fn read(row: &mut ExportRow) -> Result<ExportState, String> {
    let accepted = row.export_arn.take().map(|arn| Accepted {
        arn: ExportArn::from_trusted(arn),
        table_id: row.table_id.take(),
        start_time: row.start_time.map(Timestamp::from),
    });
    let end_time = row.end_time.map(Timestamp::from);
    let failure = row.failure_code.take().zip(row.failure_message.take());
    let status = ExportStatus::parse(&row.export_status)
        .ok_or_else(|| format!("unknown status {}", row.export_status))?;
    match (status, accepted, row.failure_source.as_deref(), failure) {
        (ExportStatus::Pending, None, None, None) => Ok(ExportState::Pending),
        (ExportStatus::Cancelled, None, None, None) => Ok(ExportState::Cancelled),
        (ExportStatus::InProgress, Some(accepted), None, None) => {
            Ok(ExportState::InProgress(accepted))
        }
        (ExportStatus::TimedOut, accepted, None, None) => Ok(ExportState::TimedOut(
            match (accepted, row.start_in_doubt) {
                (Some(accepted), _) => TimedOut::Accepted(accepted),
                (None, true) => TimedOut::InDoubt,
                (None, false) => TimedOut::NotStarted,
            },
        )),
        (ExportStatus::Completed, Some(accepted), None, None) => {
            let written = Written {
                end_time,
                item_count: row.item_count,
                billed_size_in_bytes: row.billed_size_in_bytes,
                manifest_key: row.manifest_key.take(),
            };
            Ok(ExportState::Completed(accepted, written))
        }
        (ExportStatus::Failed, Some(accepted), Some("aws"), Some((code, message))) => {
            Ok(ExportState::Failed(Failed::ByAws {
                accepted,
                end_time,
                code,
                message,
            }))
        }
        (ExportStatus::Failed, None, Some("refused"), Some((code, message))) => {
            Ok(ExportState::Failed(Failed::Refused { code, message }))
        }
        _ => Err(format!(
            "status {} does not go with the other columns",
            row.export_status
        )),
    }
}
