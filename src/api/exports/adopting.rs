//! Adopts one export that was started elsewhere: AWS describes it, and a record is stored unless
//! there is one.

use crate::api::caller::RequestCaller;
use crate::api::problem::{Problem, ProblemType};
use crate::api::{ApiState, trace};
use crate::domain::aws::arn::{ExportArn, TableArn};
use crate::domain::aws::failure::{AwsFailure, FailureClass};
use crate::domain::export::Export;
use crate::domain::export::adopt::adopt;
use crate::domain::export::estimate::estimate;
use crate::domain::export::event::EventKind;
use crate::domain::invalid::Invalid;
use crate::domain::lifecycle::doubt::after_search;
use crate::domain::lifecycle::outcome::{Claimed, StepContext};
use crate::store::StoreError;
use crate::store::accept::Acceptance;
use crate::telemetry::metrics_catalog::EXPORT_EVENTS;

/// The result of an adoption.
#[derive(Debug)]
pub(super) enum Adoption {
    /// A record was created.
    Adopted(Box<Export>),
    /// The export had a record already.
    Known(Box<Export>),
}

/// Why an export was not adopted.
#[derive(Debug)]
pub(super) enum NotAdopted {
    /// AWS did not describe it.
    Aws(AwsFailure),
    /// AWS's description lacks values that a record needs.
    Unusable(Invalid),
    /// The caller may not name its bucket.
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

/// The answer if a call of AWS failed; `what` is what AWS was asked to do.
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

/// Adopts the export of this ARN, which no record has.
pub(super) async fn adopt_one(
    state: &ApiState,
    caller: &RequestCaller,
    table_arn: &TableArn,
    arn: &ExportArn,
) -> Result<Adoption, NotAdopted> {
    let check = |export: &Export| {
        caller
            .check_adoption(&export.request)
            .map_err(|problem| NotAdopted::Forbidden(Box::new(problem)))
    };
    let described = state
        .aws
        .describe(table_arn, arn)
        .await
        .map_err(NotAdopted::Aws)?;
    // This service started the export, but has not got AWS's answer yet: its worker will find it,
    // unless it timed out and the search has ended.
    if let Some(token) = &described.client_token
        && let Some(known) = state
            .store
            .find_created_by_token(table_arn.as_str(), token.as_str())
            .await?
    {
        check(&known)?;
        let context = StepContext {
            now: state.clock.now(),
            jitter: state.clock.jitter(),
            bounds: state.poll_bounds,
        };
        let found =
            |claimed: &Claimed| after_search(claimed, Ok(Some(described.clone())), None, &context);
        let settled = state
            .store
            .settle_doubt(
                known.id,
                found,
                caller.name().as_ref(),
                state.clock.delivery_id(),
            )
            .await?;
        if settled.is_some() {
            state.signals.export_due.send();
        }
        return Ok(Adoption::Known(Box::new(settled.unwrap_or(known))));
    }
    let mut export = adopt(
        state.clock.export_id(),
        table_arn.clone(),
        &described,
        state.clock.now(),
    )
    .map_err(NotAdopted::Unusable)?;
    check(&export)?;
    export.created_by = caller.name();
    let past = state.store.past_exports(&export.request, None).await?;
    export.estimate = Some(estimate(
        &export.request.kind,
        &past,
        None,
        state.prices.per_gb(table_arn.region()),
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
    tracing::info!(export.id = %export.id, export.arn = arn.as_str(), caller.name = caller.logged(), "export adopted");
    state.signals.export_due.send();
    Ok(Adoption::Adopted(Box::new(export)))
}
