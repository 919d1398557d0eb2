//! Checks of the table, its point-in-time recovery and the requested times.

use super::facts::is_missing;
use super::{CheckStatus, Facts, Finding, Recovery, failed, passed, skipped, unanswered, warning};
use crate::aws::iam::caller_statement;
use crate::export::request::{ExportKind, ExportRequest};
use crate::timestamp::Timestamp;

pub(super) fn exists(request: &ExportRequest, facts: &Facts) -> Finding {
    let table = &request.table_arn;
    match &facts.table {
        Ok(found) => match found.status.as_str() {
            "DELETING" => failed(
                format!("The table {} is being deleted.", table.table_name()),
                "Correct table_arn.",
            ),
            "CREATING" => warning(
                format!("The table {} is being created.", table.table_name()),
                "Wait until it is ACTIVE.",
            ),
            status => passed(format!(
                "The table {} exists and is {status}.",
                table.table_name()
            )),
        },
        Err(failure) if is_missing(failure) => missing(request),
        Err(failure) => match &facts.recovery {
            Ok(_) => passed(format!(
                "The table {} exists: DescribeContinuousBackups found it.",
                table.table_name()
            )),
            Err(other) if is_missing(other) => missing(request),
            Err(_) => unanswered(
                "DescribeTable",
                &caller_statement(&["dynamodb:DescribeTable"], table.as_str()),
                failure,
            ),
        },
    }
}

fn missing(request: &ExportRequest) -> Finding {
    let table = &request.table_arn;
    failed(
        format!(
            "There is no table {} in account {}, region {}.",
            table.table_name(),
            table.account_id(),
            table.region()
        ),
        "Correct table_arn, or create the table.",
    )
}

pub(super) fn recovery(request: &ExportRequest, facts: &Facts) -> Finding {
    let table = request.table_arn.as_str();
    match &facts.recovery {
        Ok(Recovery::On { earliest, latest }) => passed(format!(
            "Point-in-time recovery is on and covers {} to {}.",
            earliest.map_or_else(|| "its beginning".to_owned(), |t| t.to_string()),
            latest.map_or_else(|| "about five minutes ago".to_owned(), |t| t.to_string()),
        )),
        Ok(Recovery::Off) => failed(
            "Point-in-time recovery is off for the table, and AWS can export only from it.",
            format!(
                "Turn on point-in-time recovery: aws dynamodb update-continuous-backups --table-name {table} --region {} \
                 --point-in-time-recovery-specification PointInTimeRecoveryEnabled=true",
                request.table_arn.region()
            ),
        ),
        Err(failure) if is_missing(failure) => skipped("The table does not exist."),
        Err(failure) => unanswered(
            "DescribeContinuousBackups",
            &caller_statement(&["dynamodb:DescribeContinuousBackups"], table),
            failure,
        ),
    }
}

/// The earliest and latest recoverable time, or why they are unknown.
fn recoverable(
    request: &ExportRequest,
    facts: &Facts,
) -> Result<(Option<Timestamp>, Option<Timestamp>), Finding> {
    match &facts.recovery {
        Ok(Recovery::On { earliest, latest }) => Ok((*earliest, *latest)),
        Ok(Recovery::Off) => Err(skipped(
            "Point-in-time recovery is off, so no time can be recovered.",
        )),
        Err(_) => {
            let (_, detail, fix) = recovery(request, facts);
            Err((CheckStatus::Skipped, detail, fix))
        }
    }
}

pub(super) fn export_time(request: &ExportRequest, facts: &Facts) -> Finding {
    let time = match &request.kind {
        ExportKind::Incremental { .. } => {
            return skipped("An incremental export has a window instead of an export_time.");
        }
        ExportKind::Full { export_time: None } => {
            return skipped(
                "The request has no export_time; AWS takes the snapshot when it starts the export.",
            );
        }
        ExportKind::Full {
            export_time: Some(time),
        } => *time,
    };
    let (earliest, latest) = match recoverable(request, facts) {
        Ok(times) => times,
        Err(finding) => return finding,
    };
    if let Some(earliest) = earliest.filter(|earliest| time < earliest.whole_seconds()) {
        return failed(
            format!("{time} is before {earliest}, the earliest time that can be recovered."),
            format!("Choose an export_time of {earliest} or later."),
        );
    }
    if let Some(latest) = latest.filter(|latest| time > *latest) {
        return failed(
            format!("{time} is after {latest}, the latest time that can currently be recovered."),
            "Choose an earlier export_time, wait a few minutes, or leave it out for a snapshot of now.",
        );
    }
    passed(format!("{time} can be recovered."))
}

/// AWS first compares the window's start with the table's creation, then its end with now.
pub(super) fn window(request: &ExportRequest, facts: &Facts) -> Finding {
    let ExportKind::Incremental { from, to, .. } = &request.kind else {
        return skipped("A full export has no window.");
    };
    let created_at = facts.table.as_ref().ok().and_then(|table| table.created_at);
    if let Some(created_at) = created_at.filter(|created_at| *from < created_at.whole_seconds()) {
        return failed(
            format!("The window begins at {from}, before the table was created at {created_at}."),
            format!(
                "Choose an export_from_time of {} or later.",
                created_at
                    .whole_seconds()
                    .plus(std::time::Duration::from_secs(1))
            ),
        );
    }
    let (earliest, _) = match recoverable(request, facts) {
        Ok(times) => times,
        Err(finding) => return finding,
    };
    if let Some(earliest) = earliest.filter(|earliest| *from < earliest.whole_seconds()) {
        return failed(
            format!(
                "The window begins at {from}, before {earliest}, the earliest time that can be recovered."
            ),
            format!("Choose an export_from_time of {earliest} or later, or create a full export."),
        );
    }
    let end = to.map_or_else(|| "when AWS starts it".to_owned(), |to| to.to_string());
    passed(format!("The window from {from} to {end} can be recovered."))
}

/// AWS checks a filter against the table's key only if it has a key condition.
pub(super) fn filter_keys(request: &ExportRequest, facts: &Facts) -> Finding {
    let Some(filter) = &request.filter else {
        return skipped("The request has no filter.");
    };
    if filter.key_condition_expression.is_none() {
        return skipped("Without a key condition, a filter may name any attribute.");
    }
    let key = match &facts.table {
        Ok(table) => table.key.as_ref(),
        Err(failure) => {
            let table = request.table_arn.as_str();
            return unanswered(
                "DescribeTable",
                &caller_statement(&["dynamodb:DescribeTable"], table),
                failure,
            );
        }
    };
    let Some(key) = key else {
        return skipped("DescribeTable did not return the table's key.");
    };
    let errors: Vec<String> = filter
        .key_errors(key)
        .iter()
        .map(|(at, invalid)| format!("{} {invalid}.", &at[1..]))
        .collect();
    if errors.is_empty() {
        let names: Vec<&str> = key
            .attributes()
            .map(|attribute| attribute.name.as_str())
            .collect();
        return passed(format!(
            "The filter matches the table's key ({}).",
            names.join(", ")
        ));
    }
    failed(errors.join(" "), "Correct filter_specification.")
}
