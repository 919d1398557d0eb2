//! `POST /v1/exports/preflight`: finds out what can be known of an export before it is asked for.
//! Starts nothing, stores nothing.

use std::future::Future;
use std::time::Duration;

use axum::Json;
use axum::extract::{RawQuery, State};

use super::create::vetted;
use super::request::{self, CreateExport};
use crate::api::ApiState;
use crate::api::body::JsonObject;
use crate::api::guard::Calling;
use crate::api::problem::{FieldError, Problem, ProblemType};
use crate::api::problem_docs::problems;
use crate::api::query::Query;
use crate::aws::TurnKind;
use crate::domain::aws_failure::{AwsFailure, FailureClass};
use crate::domain::invalid::Invalid;
use crate::domain::preflight::{
    Asked, BucketLook, Facts, KeyFacts, LaneLoad, Report, judge, key_region,
};
use crate::domain::request::ExportRequest;
use crate::domain::s3::Encryption;

/// How long one question may take. A chain of three follows the bucket, so a preflight takes six
/// seconds at most, and its turn.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a preflight waits for its turn in its account and region.
const TURN_PATIENCE: Duration = Duration::from_secs(2);

problems! {
    /// What can go wrong.
    PreflightProblems: MalformedJson, InvalidParameter, PayloadTooLarge, RequestTimeout, UnsupportedMediaType, ValidationFailed, Internal, Unavailable
}

/// Check a request for an export without asking for it
///
/// Takes the body of a create. Looks at the request's own rules, the table, point-in-time recovery,
/// the bucket with its owner and policy, the KMS key, and the quota, side by side and within
/// seconds; starts nothing and stores nothing. A check that the service may not make is `skipped`
/// and names the permission that would allow it. `ok` is false exactly if a check `failed`.
#[utoipa::path(
    post,
    path = "/v1/exports/preflight",
    tag = "Exports",
    security(("bearer" = ["exports:read"])),
    request_body(content = CreateExport, description = "The body of a create; at most 256 KiB", example = json!({
        "table_arn": "arn:aws:dynamodb:us-east-1:123456789012:table/Orders",
        "s3_bucket": "tableferry-exports",
    })),
    responses((status = 200, description = "Every check, also if the request would be refused", body = Report), PreflightProblems)
)]
pub async fn preflight_export(
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
    calling: Calling,
    JsonObject(body): JsonObject,
) -> Result<Json<Report>, Problem> {
    Query::of(query.as_deref()).finish()?;
    let request = request::read(&body, &state.callbacks, &state.vault, state.chance.now());
    if let Ok(request) = &request {
        calling.check(request)?;
    }
    match vetted(&state, request).await {
        Ok(request) => Ok(Json(check(&state, &request).await?.0)),
        Err(problem) => Ok(Json(Report::of_broken_request(&problem.in_words()))),
    }
}

/// The checks of a request, and what they stand on.
///
/// # Errors
/// The database does not answer.
pub(super) async fn check(
    state: &ApiState,
    request: &ExportRequest,
) -> Result<(Report, Facts), Problem> {
    let table = &request.table_arn;
    let load = state
        .store
        .lane_load(table.account_id(), table.region())
        .await?;
    let now = || state.chance.now();
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

/// A create that a check forbids.
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

/// Asks AWS everything, side by side where one answer does not need another.
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
        most_in_flight: state.most_in_flight,
    }
}

type AboutBucket = (
    Asked<BucketLook>,
    Asked<BucketLook>,
    Asked<Option<serde_json::Value>>,
    Option<Asked<KeyFacts>>,
);

/// The bucket where it is, then its owner, its policy and the key in its region.
async fn about_bucket(state: &ApiState, request: &ExportRequest) -> AboutBucket {
    let (table, to) = (&request.table_arn, &request.destination);
    let (account, bucket) = (table.account_id(), to.bucket.as_str());
    let mut look = in_time(
        state
            .aws
            .look_at_bucket(account, table.region(), bucket, None),
    )
    .await;
    if let Ok(BucketLook::Elsewhere {
        region: Some(region),
    }) = &look
    {
        let region = region.clone();
        look = in_time(state.aws.look_at_bucket(account, &region, bucket, None)).await;
    }
    let told = look
        .as_ref()
        .ok()
        .and_then(BucketLook::region)
        .map(str::to_owned);
    let region = told.as_deref().unwrap_or(table.region());
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
        let at = key_id
            .and_then(|key_id| Some((key_id, told.as_deref().or_else(|| key_region(key_id))?)));
        match at {
            Some((key_id, region)) => {
                Some(in_time(state.aws.describe_key(account, region, key_id)).await)
            }
            None => None,
        }
    };
    let (owned, policy, key) = tokio::join!(
        in_time(
            state
                .aws
                .look_at_bucket(account, region, bucket, Some(owner))
        ),
        in_time(state.aws.bucket_policy(account, region, bucket)),
        key
    );
    (look, owned, policy, key)
}

async fn in_time<T>(question: impl Future<Output = Asked<T>>) -> Asked<T> {
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

/// Too many preflights of this account and region at once: AWS is asked nothing.
fn unasked(state: &ApiState, load: LaneLoad) -> Facts {
    fn busy<T>() -> Asked<T> {
        let message = "too many preflights of this account and region at once".to_owned();
        Err(AwsFailure {
            class: FailureClass::Throttled,
            code: "TooManyPreflights".to_owned(),
            message,
        })
    }
    let most_in_flight = state.most_in_flight;
    Facts {
        table: busy(),
        recovery: busy(),
        bucket: busy(),
        owned: busy(),
        policy: busy(),
        key: Some(busy()),
        load,
        most_in_flight,
    }
}
