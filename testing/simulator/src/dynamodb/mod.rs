//! AWS's JSON protocol: one route, the operation in a header, and faults and the call log around
//! every call. The header also distinguishes DynamoDB's operations from KMS's DescribeKey;
//! form-encoded requests are for STS.

mod backups;
mod context;
mod error;
mod exports;
mod expressions;
mod input;
mod items;
mod reads;
mod tables;
mod tags;
mod time_to_live;
mod update_expression;
mod update_item;
mod update_table;

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State as Shared;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Map, Value};

pub(crate) use backups::MAX_RECOVERY_DAYS;
pub(crate) use context::Place;
pub(crate) use error::ApiError;
pub(crate) use items::write as write_item;
pub(crate) use tables::new_table;

use crate::arn::parse_export;
use crate::caller::Caller;
use crate::control::Call;
use crate::faults::Instead;
use crate::serve::CutConnection;
use crate::world::World;
use crate::{kms, sts};
use context::Context;
use input::Input;

const TARGET_PREFIX: &str = "DynamoDB_20120810.";

pub(crate) async fn answer(
    Shared(world): Shared<Arc<World>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let caller = Caller::of_headers(&headers, &world.account_id);
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    if text("content-type").starts_with("application/x-www-form-urlencoded") {
        return sts::answer(&world, &caller, &body).await;
    }
    let target = text("x-amz-target");
    let for_kms = target.strip_prefix(kms::TARGET_PREFIX);
    let operation = for_kms
        .or_else(|| target.strip_prefix(TARGET_PREFIX))
        .unwrap_or_default()
        .to_owned();
    let input: Option<Map<String, Value>> = if body.is_empty() {
        Some(Map::new())
    } else {
        serde_json::from_slice(&body).ok()
    };
    let mut call = Call::begin(&world, &caller, &operation, input.as_ref());
    let disturbance = world
        .faults()
        .disturb(&operation, call.table.as_deref(), &caller.region);
    if let Some(delay_ms) = disturbance.delay_ms {
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
    }
    call.fault = disturbance.name();
    let result = match disturbance.instead {
        Some(Instead::Hang) => {
            call.end(&world, "Hang", false);
            std::future::pending().await
        }
        Some(instead) => Err(instead.error()),
        None => match input {
            Some(input) if for_kms.is_some() && operation == "DescribeKey" => {
                kms::describe_key(&world, &caller, input.get("KeyId").and_then(Value::as_str))
            }
            Some(_) if for_kms.is_some() => Err(ApiError::unknown_operation(&operation)),
            Some(input) => {
                run(
                    &Context {
                        world: &world,
                        caller: &caller,
                        list: disturbance.list,
                    },
                    &operation,
                    Input(&input),
                )
                .await
            }
            None => Err(ApiError::serialization(
                "Unexpected token in the request body",
            )),
        },
    };
    let code = result.as_ref().map_or_else(|error| error.code(), |_| "OK");
    call.end(&world, code, result.is_ok());
    tracing::debug!(%operation, account = %caller.account, region = %caller.region, code, "call");
    let mut response = respond(&world, result);
    if for_kms.is_some() {
        response.headers_mut().insert(
            http::header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-amz-json-1.1"),
        );
    }
    if disturbance.drop_answer {
        response.extensions_mut().insert(CutConnection);
    }
    response
}

/// Answers a GET the way AWS answers its load balancers.
pub(crate) async fn healthy(Shared(world): Shared<Arc<World>>, headers: HeaderMap) -> String {
    format!(
        "healthy: dynamodb.{}.amazonaws.com ",
        Caller::of_headers(&headers, &world.account_id).region
    )
}

async fn run(context: &Context<'_>, operation: &str, input: Input<'_>) -> Result<Value, ApiError> {
    match operation {
        "ExportTableToPointInTime" => exports::start(context, input).await,
        "DescribeExport" => exports::describe(context, input).await,
        "ListExports" => exports::list(context, input).await,
        "CreateTable" => tables::create(context, input),
        "DeleteTable" => tables::delete(context, input),
        "DescribeTable" => tables::describe(context, input),
        "UpdateTable" => update_table::update(context, input),
        "DescribeTimeToLive" => time_to_live::describe(context, input),
        "UpdateTimeToLive" => time_to_live::update(context, input),
        "ListTagsOfResource" => tags::list(context, input),
        "TagResource" => tags::add(context, input),
        "UntagResource" => tags::remove(context, input),
        "DescribeLimits" => Ok(tables::limits()),
        "ListTables" => tables::list(context, input),
        "UpdateContinuousBackups" => backups::update(context, input),
        "DescribeContinuousBackups" => backups::describe(context, input),
        "PutItem" => items::put(context, input),
        "DeleteItem" => items::delete(context, input),
        "BatchWriteItem" => items::batch_write(context, input),
        "GetItem" => reads::get(context, input),
        "Scan" => reads::scan(context, input),
        "Query" => reads::query(context, input),
        "UpdateItem" => update_item::update(context, input),
        "BatchGetItem" => reads::batch_get(context, input),
        _ => Err(ApiError::unknown_operation(operation)),
    }
}

fn respond(world: &World, result: Result<Value, ApiError>) -> Response {
    let (status, body) = match result {
        Ok(body) => (200, body),
        Err(error) => (error.status, error.body()),
    };
    let body = body.to_string();
    let request_id: String = {
        let random = &mut world.state().request_ids;
        (0..52)
            .map(|_| char::from(b"0123456789ABCDEFGHIJKLMNOPQRSTUV"[random.usize(..32)]))
            .collect()
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert("server", HeaderValue::from_static("Server"));
    headers.insert(
        http::header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-amz-json-1.0"),
    );
    headers.insert(
        "x-amz-crc32",
        HeaderValue::from(crc32fast::hash(body.as_bytes())),
    );
    if let Ok(request_id) = HeaderValue::try_from(request_id) {
        headers.insert("x-amzn-requestid", request_id);
    }
    *response.body_mut() = Body::from(body);
    response
}

/// The table that a request names, for fault rules and the call log.
pub(crate) fn table_of(input: &Map<String, Value>) -> Option<String> {
    let named = ["TableName", "TableArn", "ResourceArn"]
        .iter()
        .find_map(|member| input.get(*member)?.as_str());
    match (named, input.get("ExportArn").and_then(Value::as_str)) {
        (Some(named), _) => Some(named.rsplit('/').next().unwrap_or(named).to_owned()),
        (None, Some(export)) => parse_export(export).map(|(arn, _)| arn.table),
        (None, None) => None,
    }
}
