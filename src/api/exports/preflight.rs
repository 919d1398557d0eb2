//! `POST /v1/exports/preflight`: checks an export without creating it. Starts and stores nothing.

use std::future::Future;
use std::time::Duration;

use axum::Json;
use axum::extract::State;

use super::request::{self, CreateExport};
use super::vetting::vet_callback;
use crate::api::ApiState;
use crate::api::body::JsonObject;
use crate::api::caller::RequestCaller;
use crate::api::problem::docs::BodyProblems;
use crate::api::problem::{FieldError, Problem, ProblemType};
use crate::api::query::NoQuery;
use crate::api_types::preflight::PreflightView;
use crate::aws::TurnKind;
use crate::domain::aws::failure::{AwsFailure, FailureClass};
use crate::domain::aws::s3::Encryption;
use crate::domain::export::request::ExportRequest;
use crate::domain::invalid::Invalid;
use crate::domain::preflight::{
    AwsResult, BucketProbe, Facts, KeyFacts, LaneLoad, Report, judge, key_region,
};

/// The time limit of one call. At most three calls follow each other, so a preflight takes at most
/// six seconds, plus the wait for its turn.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a preflight waits for its turn in its account and region.
const TURN_PATIENCE: Duration = Duration::from_secs(2);

/// Check a request without creating an export
///
/// The body is that of a create. Checks the fields of the request, the table, point-in-time
/// recovery, the bucket with its owner and policy, the KMS key, and the quota, within seconds.
/// Nothing is started or stored. If AWS does not permit the service to make a check, the check is
/// `skipped` and names the missing permission. `ok` is false if at least one check `failed`.
#[utoipa::path(
    post,
    path = "/v1/exports/preflight",
    tag = "Exports",
    security(("bearer" = ["exports:read"])),
    extensions(("x-asks-aws" = json!(true))),
    request_body(content = CreateExport, description = "The body of a create, at most 256 KiB", example = json!({
        "table_arn": "arn:aws:dynamodb:us-east-1:123456789012:table/Orders",
        "s3_bucket": "tableferry-exports",
    })),
    responses((status = 200, description = "The result of every check, even if the request is invalid", body = PreflightView), BodyProblems)
)]
pub async fn preflight_export(
    State(state): State<ApiState>,
    _: NoQuery,
    caller: RequestCaller,
    JsonObject(body): JsonObject,
) -> Result<Json<PreflightView>, Problem> {
    let request = request::read(&body, &state.callbacks, &state.vault, state.clock.now());
    if let Ok(request) = &request {
        caller.check(request)?;
    }
    match vet_callback(&state, request).await {
        Ok(request) => Ok(Json(check(&state, &request).await?.0.into())),
        Err(problem) => Ok(Json(
            Report::for_invalid_request(&problem.in_words()).into(),
        )),
    }
}

/// The results of the checks, and the facts that they are based on.
pub(super) async fn check(
    state: &ApiState,
    request: &ExportRequest,
) -> Result<(Report, Facts), Problem> {
    let table = &request.table_arn;
    let load = state
        .store
        .lane_load(table.account_id(), table.region())
        .await?;
    let now = || state.clock.now();
    let turn = state
        .aws
        .turns
        .wait(
            TurnKind::Preflight,
            table.account_id(),
            table.region(),
            now,
            TURN_PATIENCE,
        )
        .await;
    let facts = if turn {
        gather(state, request, load).await
    } else {
        unasked(state, load)
    };
    Ok((judge(request, &facts), facts))
}

/// The answer to a create of which a check failed.
pub(super) fn refusal(report: &Report) -> Option<Problem> {
    let errors: Vec<_> = report
        .failed()
        .map(|check| {
            let fix = check
                .fix
                .as_ref()
                .map(|fix| format!(" {fix}"))
                .unwrap_or_default();
            FieldError::new(
                check.name.pointer(),
                &Invalid::new(format!("{}{fix}", check.detail)),
            )
        })
        .collect();
    (!errors.is_empty()).then(|| Problem::with_errors(ProblemType::PreflightFailed, errors))
}

/// Asks AWS for everything, in parallel where possible.
async fn gather(state: &ApiState, request: &ExportRequest, load: LaneLoad) -> Facts {
    let table = &request.table_arn;
    let (table_facts, recovery, (bucket, owned, policy, key)) = tokio::join!(
        in_time(state.aws.describe_table(table)),
        in_time(state.aws.recovery(table)),
        about_bucket(state, request)
    );
    Facts {
        table: table_facts,
        recovery,
        bucket,
        owned,
        policy,
        key,
        load,
        max_in_flight: state.max_in_flight,
    }
}

type AboutBucket = (
    AwsResult<BucketProbe>,
    AwsResult<BucketProbe>,
    AwsResult<Option<serde_json::Value>>,
    Option<AwsResult<KeyFacts>>,
);

/// Finds the bucket's region, then its owner, its policy and the key in that region.
async fn about_bucket(state: &ApiState, request: &ExportRequest) -> AboutBucket {
    let (table, to) = (&request.table_arn, &request.destination);
    let (account, bucket) = (table.account_id(), to.bucket.as_str());
    let mut probe = in_time(state.aws.head_bucket(account, table.region(), bucket, None)).await;
    if let Ok(BucketProbe::Elsewhere {
        region: Some(region),
    }) = &probe
    {
        let region = region.clone();
        probe = in_time(state.aws.head_bucket(account, &region, bucket, None)).await;
    }
    let bucket_region = probe
        .as_ref()
        .ok()
        .and_then(BucketProbe::region)
        .map(str::to_owned);
    let region = bucket_region.as_deref().unwrap_or(table.region());
    let owner = to
        .bucket_owner
        .as_ref()
        .map_or(account, |owner| owner.as_str());
    let key_id = match &to.encryption {
        Some(Encryption::Kms {
            key_id: Some(key_id),
        }) => Some(key_id.as_str()),
        _ => None,
    };
    let key = async {
        // A key that is not named by an ARN is of the bucket's region, so that must be known.
        let at = key_id.and_then(|key_id| {
            Some((
                key_id,
                bucket_region.as_deref().or_else(|| key_region(key_id))?,
            ))
        });
        match at {
            Some((key_id, region)) => {
                Some(in_time(state.aws.describe_key(account, region, key_id)).await)
            }
            None => None,
        }
    };
    let (owned, policy, key) = tokio::join!(
        in_time(state.aws.head_bucket(account, region, bucket, Some(owner))),
        in_time(state.aws.bucket_policy(account, region, bucket)),
        key
    );
    (probe, owned, policy, key)
}

async fn in_time<T>(question: impl Future<Output = AwsResult<T>>) -> AwsResult<T> {
    tokio::time::timeout(QUESTION_TIMEOUT, question)
        .await
        .unwrap_or_else(|_| {
            Err(AwsFailure {
                class: FailureClass::Unknown,
                code: "TimedOut".to_owned(),
                message: "AWS did not answer in time".to_owned(),
            })
        })
}

/// The facts if too many preflights of this account and region run: AWS is not called.
fn unasked(state: &ApiState, load: LaneLoad) -> Facts {
    fn busy<T>() -> AwsResult<T> {
        let message = "too many preflights of this account and region at once".to_owned();
        Err(AwsFailure {
            class: FailureClass::Throttled,
            code: "TooManyPreflights".to_owned(),
            message,
        })
    }
    let max_in_flight = state.max_in_flight;
    Facts {
        table: busy(),
        recovery: busy(),
        bucket: busy(),
        owned: busy(),
        policy: busy(),
        key: Some(busy()),
        load,
        max_in_flight,
    }
}
