//! Conversions between the domain's values and the SDK's.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::{Blob, DateTime};
use aws_sdk_dynamodb::types::{self as sdk, AttributeValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};

use super::error::bad_answer;
use tableferry_domain::aws::arn::{ExportArn, TableArn};
use tableferry_domain::aws::description::{
    DescribedRequest, DescribedStatus, ExportDescription, Written,
};
use tableferry_domain::aws::failure::AwsFailure;
use tableferry_domain::export::filter::FilterSpecification;
use tableferry_domain::export::request::{ExportFormat, ExportViewType};
use tableferry_domain::ids::ClientToken;
use tableferry_domain::timestamp::Timestamp;

pub(super) fn to_sdk_time(time: Timestamp) -> DateTime {
    DateTime::from_secs(time.unix_seconds())
}

pub(super) fn from_sdk_time(time: &DateTime) -> Option<Timestamp> {
    Timestamp::from_unix_seconds(time.as_secs_f64())
}

pub(super) fn to_sdk_filter(filter: &FilterSpecification) -> sdk::FilterSpecification {
    let text = |e: &Option<tableferry_domain::export::filter::Expression>| {
        e.as_ref().map(|e| e.as_str().to_owned())
    };
    let names: HashMap<_, _> = filter
        .expression_attribute_names
        .clone()
        .into_iter()
        .collect();
    let values: HashMap<_, _> = filter
        .expression_attribute_values
        .iter()
        .filter_map(|(name, v)| Some((name.clone(), to_sdk_value(v.as_json())?)))
        .collect();
    sdk::FilterSpecification::builder()
        .set_filter_expression(text(&filter.filter_expression))
        .set_projection_expression(text(&filter.projection_expression))
        .set_key_condition_expression(text(&filter.key_condition_expression))
        .set_expression_attribute_names((!names.is_empty()).then_some(names))
        .set_expression_attribute_values((!values.is_empty()).then_some(values))
        .build()
}

/// `None` for an invalid attribute value, which a checked filter does not contain.
fn to_sdk_value(json: &Value) -> Option<AttributeValue> {
    let (tag, inner) = json.as_object()?.iter().next()?;
    let text = |v: &Value| v.as_str().map(str::to_owned);
    let blob = |v: &Value| Some(Blob::new(BASE64.decode(v.as_str()?).ok()?));
    let texts = || {
        inner
            .as_array()?
            .iter()
            .map(text)
            .collect::<Option<Vec<_>>>()
    };
    Some(match tag.as_str() {
        "S" => AttributeValue::S(text(inner)?),
        "N" => AttributeValue::N(text(inner)?),
        "B" => AttributeValue::B(blob(inner)?),
        "BOOL" => AttributeValue::Bool(inner.as_bool()?),
        "NULL" => AttributeValue::Null(true),
        "SS" => AttributeValue::Ss(texts()?),
        "NS" => AttributeValue::Ns(texts()?),
        "BS" => AttributeValue::Bs(inner.as_array()?.iter().map(blob).collect::<Option<_>>()?),
        "L" => AttributeValue::L(
            inner
                .as_array()?
                .iter()
                .map(to_sdk_value)
                .collect::<Option<_>>()?,
        ),
        "M" => AttributeValue::M(
            inner
                .as_object()?
                .iter()
                .map(|(k, v)| Some((k.clone(), to_sdk_value(v)?)))
                .collect::<Option<_>>()?,
        ),
        _ => return None,
    })
}

fn from_sdk_value(value: &AttributeValue) -> Value {
    let encode = |blob: &Blob| BASE64.encode(blob.as_ref());
    match value {
        AttributeValue::S(s) => json!({"S": s}),
        AttributeValue::N(n) => json!({"N": n}),
        AttributeValue::B(b) => json!({"B": encode(b)}),
        AttributeValue::Bool(b) => json!({"BOOL": b}),
        AttributeValue::Ss(all) => json!({"SS": all}),
        AttributeValue::Ns(all) => json!({"NS": all}),
        AttributeValue::Bs(all) => json!({"BS": all.iter().map(encode).collect::<Vec<_>>()}),
        AttributeValue::L(all) => json!({"L": all.iter().map(from_sdk_value).collect::<Vec<_>>()}),
        AttributeValue::M(all) => {
            json!({"M": all.iter().map(|(k, v)| (k.clone(), from_sdk_value(v))).collect::<Map<_, _>>()})
        }
        _ => json!({"NULL": true}),
    }
}

fn from_sdk_filter(filter: &sdk::FilterSpecification) -> Option<FilterSpecification> {
    let mut json = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            json.insert(name.to_owned(), value);
        }
    };
    put(
        "filter_expression",
        filter.filter_expression().map(Value::from),
    );
    put(
        "projection_expression",
        filter.projection_expression().map(Value::from),
    );
    put(
        "key_condition_expression",
        filter.key_condition_expression().map(Value::from),
    );
    put(
        "expression_attribute_names",
        filter
            .expression_attribute_names()
            .map(|names| json!(names)),
    );
    let values = filter.expression_attribute_values();
    put(
        "expression_attribute_values",
        values.map(|all| {
            Value::Object(
                all.iter()
                    .map(|(name, v)| (name.clone(), from_sdk_value(v)))
                    .collect(),
            )
        }),
    );
    // AWS has accepted it, so it is not checked again.
    FilterSpecification::from_db(&Value::Object(json)).ok()
}

/// Converts a description. Missing values stay missing; only the ARN and the status are required.
pub(super) fn from_description(
    d: Option<&sdk::ExportDescription>,
) -> Result<ExportDescription, AwsFailure> {
    let d = d.ok_or_else(|| bad_answer("ExportDescription"))?;
    let arn = d.export_arn().ok_or_else(|| bad_answer("ExportArn"))?;
    let status = status_of(d)?;
    let window = d.incremental_export_specification();
    Ok(ExportDescription {
        arn: ExportArn::from_trusted(arn.to_owned()),
        status,
        table_id: d.table_id().map(str::to_owned),
        start_time: d.start_time().and_then(from_sdk_time),
        export_time: d.export_time().and_then(from_sdk_time),
        export_from_time: window
            .and_then(|w| w.export_from_time())
            .and_then(from_sdk_time),
        export_to_time: window
            .and_then(|w| w.export_to_time())
            .and_then(from_sdk_time),
        export_view_type: window
            .and_then(|w| w.export_view_type())
            .and_then(|v| ExportViewType::parse(v.as_str()).ok()),
        s3_sse_algorithm: d.s3_sse_algorithm().map(|a| a.as_str().to_owned()),
        client_token: d
            .client_token()
            .map(|t| ClientToken::from_trusted(t.to_owned())),
        request: DescribedRequest {
            table_arn: d.table_arn().and_then(|arn| TableArn::parse(arn).ok()),
            s3_bucket: d.s3_bucket().map(str::to_owned),
            s3_bucket_owner: d.s3_bucket_owner().map(str::to_owned),
            s3_prefix: d.s3_prefix().map(str::to_owned),
            s3_sse_kms_key_id: d.s3_sse_kms_key_id().map(str::to_owned),
            export_format: d
                .export_format()
                .and_then(|f| ExportFormat::parse(f.as_str()).ok()),
            incremental: d
                .export_type()
                .is_some_and(|t| t.as_str() == "INCREMENTAL_EXPORT")
                || window.is_some(),
            filter: d.filter_specification().and_then(from_sdk_filter),
        },
    })
}

fn status_of(d: &sdk::ExportDescription) -> Result<DescribedStatus, AwsFailure> {
    let end_time = d.end_time().and_then(from_sdk_time);
    Ok(
        match d
            .export_status()
            .ok_or_else(|| bad_answer("ExportStatus"))?
            .as_str()
        {
            "IN_PROGRESS" => DescribedStatus::InProgress,
            "COMPLETED" => DescribedStatus::Completed(Written {
                end_time,
                item_count: d.item_count().filter(|n| *n >= 0),
                billed_size_in_bytes: d.billed_size_bytes().filter(|n| *n >= 0),
                manifest_key: d.export_manifest().map(str::to_owned),
            }),
            "FAILED" => DescribedStatus::Failed {
                end_time,
                code: d.failure_code().unwrap_or("Unknown").to_owned(),
                message: d
                    .failure_message()
                    .unwrap_or("AWS gave no message")
                    .to_owned(),
            },
            other => {
                return Err(bad_answer(&format!(
                    "ExportStatus that is known (it says {other})"
                )));
            }
        },
    )
}
