//! DescribeExport, and the description of an export. Which members it has depends on the export's
//! progress.

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use crate::arn;
use crate::clock::epoch_seconds;
use crate::dynamodb::context::Context;
use crate::dynamodb::error::ApiError;
use crate::dynamodb::input::{Input, Violations};
use crate::world::{EXPORT_LIFE, Export, Outcome, Scope};

pub(in crate::dynamodb) async fn describe(
    context: &Context<'_>,
    input: Input<'_>,
) -> Result<Value, ApiError> {
    let world = context.world;
    let key = format!(
        "describe {} {}",
        context.caller.account, context.caller.region
    );
    if !world
        .state()
        .throttle
        .admit(&key, world.limits.describe_calls, world.clock.now())
    {
        return Err(ApiError::throttled());
    }
    let given = input.text("ExportArn")?;
    let mut violations = Violations::default();
    violations.required(given, "exportArn");
    violations.length(given, "exportArn", 37, 1024);
    violations.report()?;
    let given = given.unwrap_or_default();
    context.admit(given)?;
    let elsewhere = |(partition, service, _)| {
        partition != arn::partition_of(&context.caller.region) || service != "dynamodb"
    };
    if arn::owner_of(given).is_some_and(elsewhere) {
        return Err(ApiError::access_denied());
    }
    let (table, _) =
        arn::parse_export(given).ok_or_else(|| ApiError::validation("Invalid Export ARN"))?;
    if table.region != context.caller.region {
        return Err(not_found("Invalid export arn"));
    }
    world.finish_export(given, false).await;
    let now = world.clock.now();
    let state = world.state();
    let export = state
        .export(given)
        .filter(|export| !is_forgotten(export, now));
    let export = export.ok_or_else(|| not_found(&format!("Export not found: {given}")))?;
    Ok(json!({"ExportDescription": describe_export(export)}))
}

fn not_found(what: &str) -> ApiError {
    ApiError::modelled(
        "ExportNotFoundException",
        format!("Export not found: {what}"),
    )
}

/// AWS forgets an export 90 days after its end.
pub(super) fn is_forgotten(export: &Export, now: OffsetDateTime) -> bool {
    export
        .finish
        .as_ref()
        .is_some_and(|finish| now - finish.at > EXPORT_LIFE)
}

/// The description. Members that the request did not set are absent, except for three that AWS
/// fills in.
pub(super) fn describe_export(export: &Export) -> Value {
    let request = &export.request;
    let mut shown = Map::new();
    let mut show = |name: &str, value: Value| {
        if !value.is_null() {
            shown.insert(name.to_owned(), value);
        }
    };
    show("ExportArn", json!(export.arn));
    show("ExportStatus", json!(export.status()));
    show("StartTime", epoch_seconds(export.started_at));
    show("TableArn", json!(request.table_arn));
    show("TableId", json!(export.table_id));
    show("ClientToken", json!(export.client_token));
    show("S3Bucket", json!(request.s3_bucket));
    show("S3BucketOwner", json!(request.s3_bucket_owner));
    show("S3Prefix", json!(request.s3_prefix));
    show(
        "S3SseAlgorithm",
        json!(request.s3_sse_algorithm.as_deref().unwrap_or("AES256")),
    );
    show("S3SseKmsKeyId", json!(request.s3_sse_kms_key_id));
    show(
        "ExportFormat",
        json!(request.export_format.as_deref().unwrap_or("DYNAMODB_JSON")),
    );
    show("ExportType", json!(request.export_type));
    show("FilterSpecification", json!(request.filter_specification));
    show("DestinationType", json!("S3"));
    match export.scope {
        Scope::Full { at } => show("ExportTime", epoch_seconds(at)),
        Scope::Incremental {
            from,
            to,
            old_images,
        } => {
            let view = if old_images {
                "NEW_AND_OLD_IMAGES"
            } else {
                "NEW_IMAGE"
            };
            let specification = json!({
                "ExportFromTime": epoch_seconds(from), "ExportToTime": epoch_seconds(to), "ExportViewType": view,
            });
            show("IncrementalExportSpecification", specification);
        }
    }
    if let Some(finish) = &export.finish {
        show("EndTime", epoch_seconds(finish.at));
        match &finish.outcome {
            Outcome::Completed {
                manifest_key,
                item_count,
                billed_size_bytes,
            } => {
                show("ExportManifest", json!(manifest_key));
                show("ItemCount", json!(item_count));
                show("BilledSizeBytes", json!(billed_size_bytes));
            }
            Outcome::Failed(failure) => {
                show("FailureCode", json!(failure.code));
                show("FailureMessage", json!(failure.message));
            }
        }
    }
    Value::Object(shown)
}
