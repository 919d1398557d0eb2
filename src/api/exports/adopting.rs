//! Adopts one export that was started elsewhere: AWS describes it, and its record is stored if
//! nobody here has one.

use crate::api::guard::Calling;
use crate::api::problem::{Problem, ProblemType};
use crate::api::{ApiState, trace};
use crate::domain::adopt::adopt;
use crate::domain::arn::{ExportArn, TableArn};
use crate::domain::aws_failure::{AwsFailure, FailureClass};
use crate::domain::doubt::after_search;
use crate::domain::estimate::estimate;
use crate::domain::event::EventKind;
use crate::domain::export::Export;
use crate::domain::invalid::Invalid;
use crate::domain::step::{Claimed, Surroundings};
use crate::store::StoreError;
use crate::store::accept::Acceptance;
use crate::telemetry::metrics_catalog::EXPORT_EVENTS;

/// What became of an export that was to be adopted.
#[derive(Debug)]
pub(super) enum Adoption {
    /// It has a record now.
    Adopted(Box<Export>),
    /// It had one.
    Known(Box<Export>),
}

/// Why an export was not adopted.
#[derive(Debug)]
pub(super) enum NotAdopted {
    /// AWS did not describe it.
    Aws(AwsFailure),
    /// AWS's description lacks what a record needs.
    Unusable(Invalid),
    /// Its bucket is not the caller's.
    Forbidden(Box<Problem>),
    /// The database does not answer.
    Store(StoreError),
}

impl From<StoreError> for NotAdopted {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<NotAdopted> for Problem {
    fn from(why: NotAdopted) -> Self {
        match why {
            NotAdopted::Aws(failure) => of_aws(&failure, "describe the export"),
            NotAdopted::Unusable(invalid) => {
                Self::new(ProblemType::RefusedByAws, invalid.to_string())
            }
            NotAdopted::Forbidden(problem) => *problem,
            NotAdopted::Store(error) => error.into(),
        }
    }
}

/// A call of AWS that a caller waited for and that gave nothing: `what` is what AWS was to do.
pub(super) fn of_aws(failure: &AwsFailure, what: &str) -> Problem {
    if matches!(
        failure.class,
        FailureClass::Refused | FailureClass::ExportNotFound
    ) {
        return Problem::new(ProblemType::RefusedByAws, failure.to_string());
    }
    tracing::warn!(
        aws.error.code = failure.code,
        aws.error.message = failure.message,
        "AWS did not {what}"
    );
    Problem::new(
        ProblemType::AwsUnavailable,
        format!("AWS did not {what} ({})", failure.code),
    )
}

/// Adopts the export of this ARN, of which no record bears the ARN.
pub(super) async fn adopt_one(
    state: &ApiState,
    calling: &Calling,
    table_arn: &TableArn,
    arn: &ExportArn,
) -> Result<Adoption, NotAdopted> {
    let check = |export: &Export| {
        calling
            .check_adoption(&export.request)
            .map_err(|problem| NotAdopted::Forbidden(Box::new(problem)))
    };
    let described = state
        .aws
        .describe(table_arn, arn)
        .await
        .map_err(NotAdopted::Aws)?;
    // One of our own of which AWS's answer has not arrived here: its worker will hear of it, unless
    // it timed out and the search has ended.
    if let Some(token) = &described.client_token
        && let Some(known) = state
            .store
            .find_created_by_token(table_arn.as_str(), token.as_str())
            .await?
    {
        check(&known)?;
        let around = Surroundings {
            now: state.chance.now(),
            jitter: state.chance.jitter(),
            bounds: state.poll_bounds,
        };
        let found =
            |claimed: &Claimed| after_search(claimed, Ok(Some(described.clone())), None, &around);
        let settled = state
            .store
            .settle_doubt(
                known.id,
                found,
                calling.name().as_ref(),
                state.chance.delivery_id(),
            )
            .await?;
        if settled.is_some() {
            state.exports_due.notify_one();
        }
        return Ok(Adoption::Known(Box::new(settled.unwrap_or(known))));
    }
    let mut export = adopt(
        state.chance.export_id(),
        table_arn.clone(),
        &described,
        state.chance.now(),
    )
    .map_err(NotAdopted::Unusable)?;
    check(&export)?;
    export.created_by = calling.name();
    let past = state.store.past_exports(&export.request, None).await?;
    export.estimate = Some(estimate(
        &export.request.kind,
        &past,
        None,
        state.prices.of(table_arn.region()),
    ));
    export.trace_parent = trace::current();
    let detail = format!("adopted {}", arn.as_str());
    if let Acceptance::Known(known) = state
        .store
        .accept(&export, None, EventKind::Imported, &detail)
        .await?
    {
        return Ok(Adoption::Known(known));
    }
    metrics::counter!(EXPORT_EVENTS, "type" => EventKind::Imported.as_str()).increment(1);
    tracing::info!(export.id = %export.id, export.arn = arn.as_str(), caller.name = calling.logged(), "export adopted");
    state.exports_due.notify_one();
    Ok(Adoption::Adopted(Box::new(export)))
}
