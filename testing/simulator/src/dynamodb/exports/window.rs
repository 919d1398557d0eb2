//! The times of an export against its table: which part of the history it covers, or why it cannot.

use time::macros::format_description;
use time::{Duration, OffsetDateTime};

use crate::clock::from_epoch_seconds;
use crate::dynamodb::error::ApiError;
use crate::world::{ExportRequest, IncrementalSpecification, PointInTimeRecovery, Scope, Table};

const SHORTEST: Duration = Duration::minutes(15);
const LONGEST: Duration = Duration::hours(24);

/// The scope of an export that starts now.
pub(super) fn scope(
    request: &ExportRequest,
    table: &Table,
    now: OffsetDateTime,
) -> Result<Scope, ApiError> {
    match &request.incremental_export_specification {
        Some(specification) => incremental(specification, table, now),
        None => full(request.export_time, table, now),
    }
}

fn full(wanted: Option<f64>, table: &Table, now: OffsetDateTime) -> Result<Scope, ApiError> {
    let recovery = recovery(table)?;
    let Some(wanted) = wanted else {
        return Ok(Scope::Full { at: now });
    };
    let at = from_epoch_seconds(wanted).ok_or_else(|| invalid("Export Time is invalid"))?;
    if at > now || at < whole_seconds(recovery.earliest(now)) {
        return Err(invalid("Export Time is invalid"));
    }
    if at > recovery.latest(now) {
        return Err(invalid(
            "Point in Time Recovery is not available for specified export time",
        ));
    }
    Ok(Scope::Full { at })
}

/// AWS checks the window before it checks whether recovery is on, and the table's age before the
/// window's length.
fn incremental(
    specification: &IncrementalSpecification,
    table: &Table,
    now: OffsetDateTime,
) -> Result<Scope, ApiError> {
    let time =
        |seconds| from_epoch_seconds(seconds).ok_or_else(|| invalid("Export Time is invalid"));
    let from = specification.export_from_time.map_or(Ok(now), time)?;
    let to = specification
        .export_to_time
        .map_or_else(|| Ok(whole_seconds(now)), time)?;
    if to > now {
        return Err(invalid(&format!(
            "Incremental export period to time cannot be greater than the current time : {}",
            iso(to)
        )));
    }
    if from < whole_seconds(table.created_at) {
        return Err(invalid(&format!(
            "Incremental export period from time cannot be less than the table creation time : {}",
            iso(from)
        )));
    }
    if to - from < SHORTEST {
        return Err(invalid(
            "Difference between export period from time and export period to time is less than 15 minutes",
        ));
    }
    if to - from > LONGEST {
        return Err(invalid(
            "Difference between export period from time and export period to time is greater than 24 hours",
        ));
    }
    if from < whole_seconds(recovery(table)?.earliest(now)) {
        return Err(invalid(
            "Point in Time Recovery is not available for specified export time",
        ));
    }
    let old_images = specification.export_view_type.as_deref() != Some("NEW_IMAGE");
    Ok(Scope::Incremental {
        from,
        to,
        old_images,
    })
}

fn recovery(table: &Table) -> Result<PointInTimeRecovery, ApiError> {
    table.recovery.ok_or_else(|| {
        let message = format!(
            "Point in time recovery is not enabled for table '{}'",
            table.name
        );
        ApiError::modelled("PointInTimeRecoveryUnavailableException", message)
    })
}

fn invalid(message: &str) -> ApiError {
    ApiError::modelled("InvalidExportTimeException", message)
}

/// Truncated to whole seconds.
pub(super) fn whole_seconds(at: OffsetDateTime) -> OffsetDateTime {
    at.replace_nanosecond(0).unwrap_or(at)
}

fn iso(at: OffsetDateTime) -> String {
    at.format(format_description!(
        "[year]-[month]-[day]T[hour]:[minute]:[second]Z"
    ))
    .unwrap_or_default()
}
